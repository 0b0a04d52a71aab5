"""Makes the tables that ship: python -m dscim.host.studies.tables [NAME ...]."""

import sys
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.studies.operands import GAUSSIAN, UNIFORM, WIDE, Distribution, axes
from dscim.host.studies.points import best_points, form_of

SEED = 3
MADE_FOR = {"uniform": UNIFORM, "gaussian": GAUSSIAN, "wide": WIDE}
"""int8 on both axes, at an activation shift of 1."""

ENTRIES = 7
COARSE = 3
"""Entries that hold for OR64 too: their thresholds lie on its coarser grid."""

BEGINNINGS = (60, 60, 60, 60, 60, 10, 4)


def entry(operands: Distribution, place: int) -> tuple[int, list[tuple[int, int]], float]:
    """Entry `place` of a table: the shift, the points, the rms error of a row."""
    or_width = 64 if place < COARSE else 16
    spec = ProductSpec(or_width, or_width << place, SequenceSpec(), "split", 1)
    form = form_of(*axes(spec, operands), spec.side)
    rng = np.random.default_rng([SEED, place])
    found = [(best_points(form, np.ones(1 << place), float(1 << (spec.decode_shift - shift)),
                          BEGINNINGS[place], rng), shift) for shift in range(4)]
    best, shift = min(found, key=lambda pair: pair[0].error)
    scale = 256 // spec.side
    return shift, [tuple(point) for point in (scale * best.points.T).tolist()], best.error**0.5


def _lines(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        operands = MADE_FOR[name]
        yield f'    "{name}": ('
        for place in range(ENTRIES):
            shift, points, _ = entry(operands, place)
            text = ", ".join(map(str, points))
            yield from textwrap.wrap(f"({shift}, ({text},)),", 90, initial_indent=" " * 8,
                                     subsequent_indent=" " * 12, break_on_hyphens=False)
        yield "    ),"


if __name__ == "__main__":
    for line in _lines(sys.argv[1:] or list(MADE_FOR)):
        print(line, flush=True)
