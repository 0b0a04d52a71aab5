"""The contract as matrix products over thresholds: the same bits, fast enough for networks.

The order of the points does not affect a count, and a point reaches only the row that owns
its region. So if (p_s, q_s) are the points of a row's region in local coordinates,

    N = sum over s of [a' >> sh > p_s] @ [w' >> sh > q_s]      (signs multiplied in)

which is one matrix product, whose inner size is multiplied by the number of points per region. Its
entries are -1, 0 and 1 and its sums stay below 2**24, so single precision is exact.
"""

from functools import cache

import numpy as np

from dscim.arrays import Float32, Floats, Int8, Int64, UInt8
from dscim.checks import check_array, check_range
from dscim.gateware.specs import MAX_DEPTH, ProductSpec
from dscim.host.golden.reference.operands import (
    column_corrections,
    encode_activations,
    encode_weights,
)

NEVER = 255
"""A threshold that no operand of a region exceeds."""

BLOCK_BYTES = 4 << 20
"""Bytes of fired rows in memory at a time: few enough for the processor's cache."""


@cache
def region_thresholds(spec: ProductSpec) -> UInt8:
    """(2, G, m), read-only: the local thresholds p_s and q_s of each region's points, by row.

    m is the largest number of points in a region; rows with fewer are padded with NEVER.
    """
    points = spec.sequence.points(spec.length, spec.or_width)
    region = points // spec.side
    owner = region[:, 0] * spec.root + region[:, 1]
    by_row = [points[owner == row] % spec.side for row in range(spec.or_width)]
    table = np.full((2, spec.or_width, max(map(len, by_row))), NEVER, np.uint8)
    for row, local in enumerate(by_row):
        table[:, row, : len(local)] = local.T
    table.flags.writeable = False
    return table


class PreparedWeights:
    """Weights prepared for many products in one arithmetic."""

    def __init__(
        self, w: Int8, spec: ProductSpec, zero_point: int = 0, rows: Int64 | None = None
    ) -> None:
        """w: (K, N) int8 with K from 1 to 32,767; zero_point: z of the activations, int8.

        rows: (K,) the contract's row of each row of w, by default 0, 1 ... K-1.
        ArgumentError for other arrays and numbers.
        """
        check_array("w", w, np.int8, ("K", "N"))
        check_range("the number K of inputs of a product", w.shape[0], 1, MAX_DEPTH)
        check_range("zero_point", zero_point, -128, 127)
        self.spec = spec
        self.zero_point = zero_point
        self.depth, self.columns = w.shape
        if spec.exact:
            self._matrix: Floats = w.astype(np.float64)
            return
        rows = np.arange(self.depth) if rows is None else rows
        self._p, q = region_thresholds(spec)[:, rows % spec.or_width].transpose(0, 2, 1)
        magnitude, sign = encode_weights(w, spec)
        level = magnitude >> spec.operand_shift
        self._matrix = np.where(level > q[:, :, None], sign, 0).astype(np.float32)
        self._constant = column_corrections(w, spec, zero_point)
        self._tables = _activation_tables(spec, zero_point)

    def product(self, x: Int8) -> Int64:
        """sum((x - z) * w) in product units, (M, N) int64, for x (M, K) int8.

        ArgumentError for another x.
        """
        check_array("x", x, np.int8, ("M", self.depth))
        block = max(1, BLOCK_BYTES // (4 * self.depth))
        parts = [self._block(x[start : start + block]) for start in range(0, len(x), block)]
        return np.concatenate(parts) if parts else np.zeros((0, self.columns), np.int64)

    def _block(self, x: Int8) -> Int64:
        if self.spec.exact:
            return ((x.astype(np.float64) - self.zero_point) @ self._matrix).astype(np.int64)
        levels, signs, magnitudes = self._tables
        operand = x.view(np.uint8)
        level = levels[operand]
        sign = signs[operand] if signs.min() < 0 else None
        hit = np.empty(level.shape, np.bool_)
        fired = np.empty(level.shape, np.float32)
        counts = np.zeros((len(x), self.columns), np.float32)
        for thresholds, matrix in zip(self._p, self._matrix, strict=True):
            np.greater(level, thresholds, out=hit)
            np.copyto(fired, hit)
            if sign is not None:
                fired *= sign
            counts += fired @ matrix
        estimate = counts.astype(np.int64) << self.spec.decode_shift
        if self.spec.signed == "offset":
            estimate -= 128 * magnitudes[operand].sum(axis=1, keepdims=True)
        return estimate + self._constant


def _activation_tables(spec: ProductSpec, zero_point: int) -> tuple[UInt8, Float32, Int64]:
    """Three tables indexed by an activation as a byte: its level in the region, its sign, a'."""
    operands = np.arange(256, dtype=np.uint8).view(np.int8)
    magnitude, sign = encode_activations(operands, spec, zero_point)
    level = (magnitude >> spec.operand_shift).astype(np.uint8)
    return level, sign.astype(np.float32), magnitude


def product(x: Int8, w: Int8, spec: ProductSpec, zero_point: int = 0) -> Int64:
    """sum((x - z) * w) as `spec` computes it, in product units: (M, N) int64.

    x: (M, K) int8; w: (K, N) int8; zero_point: z, int8. With `spec.exact` the true integers.
    ArgumentError for other arrays and numbers.
    """
    return PreparedWeights(w, spec, zero_point).product(x)
