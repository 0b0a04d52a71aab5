"""The contract point by point, just as section 2 states it: slow, but easy to verify by reading.

Every sample point is drawn, every row's bit is formed, and every OR group is a real OR over its
rows. `dscim.host.golden.reference.matrix` computes the same bits fast.
"""

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64
from dscim.checks import check_operands
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.operands import (
    column_corrections,
    encode_activations,
    encode_weights,
)


def row_bits(
    operand: Int64, coordinate: int, region: Int64, spec: ProductSpec
) -> npt.NDArray[np.bool_]:
    """x_a or x_w for one point: region gating and comparison.

    operand: a' or w' with rows last; coordinate: r_a or r_w; region: (rows,) i or j.
    """
    inside = coordinate // spec.side == region
    return inside & (operand >> spec.operand_shift > coordinate % spec.side)


def counts(x: Int8, w: Int8, spec: ProductSpec, zero_point: int = 0) -> Int64:
    """N: the group bits counted over L points, (M, N) for x (M, K) and w (K, N) int8.

    ArgumentError for other arrays and numbers.
    """
    check_operands(x, w, zero_point)
    a, a_sign = encode_activations(x, spec, zero_point)
    b, b_sign = encode_weights(w, spec)
    depth = x.shape[1]
    rows = np.arange(depth) % spec.or_width
    total = np.zeros((x.shape[0], w.shape[1]), np.int64)
    for r_a, r_w in spec.sequence.points(spec.length, spec.or_width):
        a_bits = row_bits(a, r_a, rows // spec.root, spec)
        b_bits = row_bits(b.T, r_w, rows % spec.root, spec)
        for start in range(0, depth, spec.or_width):
            group = slice(start, start + spec.or_width)
            fired = a_bits[:, None, group] & b_bits[None, :, group]
            negative = a_sign[:, None, group] != b_sign.T[None, :, group]
            total += (fired & ~negative).any(axis=2)
            total -= (fired & negative).any(axis=2).astype(np.int64)
    return total


def product(x: Int8, w: Int8, spec: ProductSpec, zero_point: int = 0) -> Int64:
    """The estimate of sum((x - z) * w) in product units, (M, N), for x (M, K) and w (K, N).

    ArgumentError as for `counts`.
    """
    estimate = counts(x, w, spec, zero_point) << spec.decode_shift
    if spec.signed == "offset":
        sum_a = encode_activations(x, spec, zero_point)[0].sum(axis=1, keepdims=True)
        estimate = estimate - 128 * sum_a
    return estimate + column_corrections(w, spec, zero_point)
