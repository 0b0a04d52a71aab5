"""Random tables of thresholds for tests."""

import numpy as np

from dscim.gateware.specs import SequenceSpec


def random_table(entries: int, seed: int = 0) -> SequenceSpec:
    """A table for n = 1, 2 ... 2**(entries - 1) points, some of them equal, the ends among them."""
    rng = np.random.default_rng(seed)
    table = []
    for place in range(entries):
        points = rng.integers(0, 256, (1 << place, 2))
        points[rng.random(points.shape) < 0.1] = 255
        points[rng.random(points.shape) < 0.1] = 0
        table.append((int(rng.integers(0, 4)), tuple(sorted(map(tuple, points.tolist())))))
    return SequenceSpec("table", table=tuple(table))
