"""The usual way to simulate stochastic computing, bit stream by bit stream, as a baseline.

For each sample point the comparators of every row produce two bits, an AND combines them, every OR
group is a real OR over its rows, and counters add up the results. Windows, rows and outputs are
vectorised, in batches of windows, but the contract's structure is not used to be faster.
"""

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64, UInt8
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.operands import (
    column_corrections,
    encode_activations,
    encode_weights,
)

BATCH_BITS = 1 << 22
"""Row bits in memory at a time."""


def product(x: Int8, w: Int8, spec: ProductSpec, zero_point: int = 0) -> Int64:
    """sum((x - z) * w) as `spec` computes it, in product units: (M, N) for (M, K) and (K, N)."""
    batch = max(1, BATCH_BITS // w.size)
    parts = [
        _counts(x[start : start + batch], w, spec, zero_point) for start in range(0, len(x), batch)
    ]
    estimate = np.concatenate(parts) << spec.decode_shift
    if spec.signed == "offset":
        a = encode_activations(x, spec, zero_point)[0]
        estimate -= 128 * a.sum(axis=1, keepdims=True)
    return estimate + column_corrections(w, spec, zero_point)


def _counts(x: Int8, w: Int8, spec: ProductSpec, zero_point: int) -> Int64:
    """The group bits counted over all points, (M, N); negative ones count as -1."""
    a, a_negative = _rows(*encode_activations(x, spec, zero_point), spec)
    magnitude, sign = encode_weights(w, spec)
    b, b_negative = _rows(magnitude.T, sign.T, spec)
    negative = a_negative[:, None] ^ b_negative[None]
    row = np.arange(spec.or_width)
    counts = np.zeros((len(x), w.shape[1]), np.int64)
    for r_a, r_w in spec.sequence.points(spec.length, spec.or_width):
        a_bits = (a > r_a % spec.side) & (r_a // spec.side == row // spec.root)
        b_bits = (b > r_w % spec.side) & (r_w // spec.side == row % spec.root)
        fired = a_bits[:, None] & b_bits[None]
        counts += (fired & ~negative).any(axis=3).sum(axis=2)
        counts -= (fired & negative).any(axis=3).sum(axis=2)
    return counts


def _rows(magnitude: Int64, sign: Int64, spec: ProductSpec) -> tuple[UInt8, npt.NDArray[np.bool_]]:
    """Shrunk operands, and whether they are negative: (M, groups, G) each; unused rows are 0."""
    fill = ((0, 0), (0, -magnitude.shape[1] % spec.or_width))
    level = np.pad((magnitude >> spec.operand_shift).astype(np.uint8), fill)
    shape = (len(level), -1, spec.or_width)
    return level.reshape(shape), np.pad(sign < 0, fill).reshape(shape)
