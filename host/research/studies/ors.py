"""Three kinds of OR accumulation of 128 rows, simulated bit by bit with random points."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float64, Int64
from dscim.host.research.studies.study import Cell, Row

ROWS = 128
FULL = 65536
"""The product of two operands of 256."""

BLOCK = 16
"""Vectors that are simulated at a time."""

Way = Callable[[Int64, Int64, int, int, np.random.Generator], Float64]
"""From (vectors, ROWS) operands a', w' in 0..255, OR width, stream length and random generator to
the estimates of sum(a'w') from the counts of the OR groups, (vectors,)."""


def plain(a: Int64, w: Int64, or_width: int, length: int, rng: np.random.Generator) -> Float64:
    """Every row has independent streams; rows that fire together are counted once."""
    shape = (*a.shape, length)
    fired = (a[..., None] > rng.integers(0, 256, shape)) & (
        w[..., None] > rng.integers(0, 256, shape)
    )
    return _ored(fired, or_width) * (FULL / length)


def gated(a: Int64, w: Int64, or_width: int, length: int, rng: np.random.Generator) -> Float64:
    """All rows share one pair of numbers; each row is gated to its region, operands unchanged."""
    fired = _gated(a, w, or_width, length, rng, 1)
    return _ored(fired, or_width) * (FULL / length)


def remapped(a: Int64, w: Int64, or_width: int, length: int, rng: np.random.Generator) -> Float64:
    """DS-CIM: gated, with operands shrunk into their row's region."""
    fired = _gated(a, w, or_width, length, rng, int(or_width**0.5))
    return _ored(fired, or_width) * (or_width * FULL / length)


WAYS: dict[str, Way] = {
    "plain OR": plain,
    "regions without remapping": gated,
    "DS-CIM (remapped)": remapped,
}


def estimates(
    way: Way, a: Int64, w: Int64, or_width: int, length: int, rng: np.random.Generator
) -> Float64:
    """The estimates of `way` for all vectors, in bounded memory."""
    return np.concatenate(
        [
            way(a[start : start + BLOCK], w[start : start + BLOCK], or_width, length, rng)
            for start in range(0, len(a), BLOCK)
        ]
    )


def way_cells(
    rows: Callable[[str, str, int], Iterator[Row]], variants: Iterable[str], vectors: int
) -> list[Cell]:
    """A cell for each way and variant: rows(way, variant, vectors)."""
    return [
        Cell(f"{name}, {variant}, {vectors} vectors", partial(rows, name, variant, vectors))
        for variant in variants
        for name in WAYS
    ]


def _gated(
    a: Int64, w: Int64, or_width: int, length: int, rng: np.random.Generator, shrink: int
) -> npt.NDArray[np.bool_]:
    """(vectors, ROWS, length) row bits: within the row's region and below both operands.

    shrink: 1, or the number of regions per side; coordinates then start at the region's corner.
    """
    root = int(or_width**0.5)
    side = 256 // root
    r_a, r_w = rng.integers(0, 256, (2, len(a), 1, length))
    row = np.arange(ROWS)[None, :, None] % or_width
    own = (r_a // side == row // root) & (r_w // side == row % root)
    if shrink > 1:
        r_a, r_w = r_a % side, r_w % side
    return own & (a[..., None] // shrink > r_a) & (w[..., None] // shrink > r_w)


def _ored(fired: npt.NDArray[np.bool_], or_width: int) -> Float64:
    """The ones of all groups' ORs, (vectors,)."""
    groups = fired.reshape(len(fired), -1, or_width, fired.shape[-1])
    return groups.any(axis=2).sum(axis=(1, 2)).astype(np.float64)
