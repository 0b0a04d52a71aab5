"""Look-up tables: counts for each activation and weight, pointwise nodes for each input."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from dscim.arrays import Int8, Int64, UInt8
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.matrix import NEVER, region_thresholds
from dscim.host.golden.reference.operands import encode_activations, encode_weights

CHUNK = 16
"""Maximum number of points in one table of 16 bytes."""

NOTHING = -128
"""The code of a weight that exceeds no threshold: the kernel's look-up returns 0."""


@dataclasses.dataclass(frozen=True)
class CountTables:
    """The counts of every row of a product with constant weights.

    codes:     (chunks, K, N) int8, a weight's index in its tables.
    signs:     (K, N) int8, +1 or -1; None where the code includes the sign.
    luts:      (tables, 256, 16) int8, indexed by the activation as a byte, and by code.
    rows:      (chunks, K) the table of each row.
    byte_rows: rows of counts whose sum stays within int8.
    """

    codes: Int8
    signs: Int8 | None
    luts: Int8
    rows: Int64
    byte_rows: int


def count_tables(w: Int8, spec: ProductSpec, zero_point: int) -> CountTables:
    """The tables of w (K, N) int8 for activations with the zero point z; spec is not exact."""
    thresholds = _chunks(spec)
    distinct, owner = np.unique(
        thresholds.reshape(-1, *thresholds.shape[2:]), axis=0, return_inverse=True
    )
    region = np.arange(len(w)) % spec.or_width
    rows = owner.reshape(thresholds.shape[:2])[:, region]
    magnitude, sign = encode_weights(w, spec)
    level = (magnitude >> spec.operand_shift).astype(np.uint8)
    most = int((distinct[:, 1] != NEVER).sum(axis=1).max())
    folded = 2 * most <= CHUNK
    codes = np.empty((len(thresholds), *w.shape), np.int8)
    for chunk, table in enumerate(rows):
        codes[chunk] = _codes(level, distinct[:, 1], table)
        if folded:
            codes[chunk] += np.where((sign < 0) & (codes[chunk] >= 0), most, 0).astype(np.int8)
    separate = not folded and bool((sign < 0).any())
    luts = np.stack([_lut(p, q, spec, zero_point, most if folded else 0) for p, q in distinct])
    return CountTables(codes, sign.astype(np.int8) if separate else None, luts, rows, 127 // most)


def _chunks(spec: ProductSpec) -> UInt8:
    """(chunks, G, 2, up to CHUNK): each region's points, in chunks, sorted by q.

    Regions with fewer points are padded with NEVER.
    """
    points = region_thresholds(spec).transpose(1, 0, 2)
    count = -(-points.shape[2] // CHUNK)
    parts = np.full((count, len(points), 2, min(points.shape[2], CHUNK)), NEVER, np.uint8)
    for chunk in range(count):
        part = points[:, :, chunk * CHUNK : (chunk + 1) * CHUNK]
        order = np.argsort(part[:, 1], axis=1, kind="stable")
        parts[chunk, :, :, : part.shape[2]] = np.take_along_axis(part, order[:, None], axis=2)
    return parts


def _codes(level: UInt8, q: UInt8, table: Int64) -> Int8:
    """(K, N): how many thresholds of its row's table each weight exceeds, minus 1; or NOTHING.

    level: (K, N) in steps of the region. q: (tables, m). table: (K,).
    """
    levels = np.arange(256)
    exceeded = (levels[:, None] > q[:, None, :]).sum(axis=2)
    code = np.where(exceeded > 0, exceeded - 1, NOTHING).astype(np.int8)
    return code[table[:, None], level]


def _lut(
    p: UInt8,
    q: UInt8,
    spec: ProductSpec,
    zero_point: int,
    mirrored: int,
) -> Int8:
    """(256, 16): the signed count of the points (p, q), by activation byte and by code.

    Code c counts the first c + 1 points, sorted by q. mirrored: codes from this one on are those
    of negative weights; 0: there are none.
    """
    operands = np.arange(256, dtype=np.uint8).view(np.int8)
    magnitude, sign = encode_activations(operands, spec, zero_point)
    fires = (magnitude >> spec.operand_shift)[:, None] > p
    fires &= q != NEVER
    counts = fires.cumsum(axis=1) * sign[:, None]
    lut = np.zeros((256, CHUNK), np.int8)
    lut[:, : counts.shape[1]] = counts
    if mirrored:
        lut[:, mirrored : 2 * mirrored] = -counts[:, :mirrored]
    return lut


class PointwiseTable:
    """A function of one or two int8 values, computed once for all 256 or 65,536 inputs."""

    def __init__(self, function: Callable[..., Int8], arity: int) -> None:
        """function: takes `arity` (1 or 2) int8 arrays of shape (1, H, W, C), as a node does."""
        values = np.arange(256, dtype=np.uint8).view(np.int8)
        grids = np.meshgrid(*[values] * arity, indexing="ij")
        self._table = function(*(grid.reshape(1, 1, 1, -1) for grid in grids)).ravel()

    def __call__(self, inputs: Sequence[Int8]) -> Int8:
        """The function of `inputs`, int8 arrays of one shape."""
        index = inputs[0].view(np.uint8).astype(np.uint16)
        for other in inputs[1:]:
            index <<= 8
            index |= other.view(np.uint8)
        return self._table[index]
