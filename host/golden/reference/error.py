"""The error of a product, over all operand pairs (contract, "RMSE")."""

import numpy as np

from dscim.arrays import Int64
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference.matrix import region_thresholds
from dscim.host.golden.reference.operands import encode_activations, encode_weights


def row_errors(spec: ProductSpec) -> Int64:
    """(G, 256, 256): a row's estimate minus its exact product, for each int8 x and w.

    In offset mode the corrections are exact, so the error is that of a'w' alone.
    """
    operands = np.arange(-128, 128).astype(np.int8)
    a, a_sign = encode_activations(operands, spec, 0)
    b, b_sign = encode_weights(operands, spec)
    p, q = region_thresholds(spec)
    a_fires = (a >> spec.operand_shift)[None, :, None] > p[:, None, :]
    b_fires = (b >> spec.operand_shift)[None, :, None] > q[:, None, :]
    counts = a_fires.astype(np.int64) @ b_fires.astype(np.int64).transpose(0, 2, 1)
    estimate = (counts * a_sign[:, None] * b_sign) << spec.decode_shift
    if spec.signed == "offset":
        return estimate - a[:, None] * b
    wide = operands.astype(np.int64)
    return estimate - wide[:, None] * wide


def uniform_rmse(spec: ProductSpec, rows: int = 128) -> float:
    """RMSE in % of rows * 65536, for uniform independent INT8 operands, by enumeration.

    Errors of rows are independent: variances add, and means add before they are squared.
    """
    errors = row_errors(spec).astype(np.float64)
    repeat = rows // spec.or_width
    mean = repeat * errors.mean(axis=(1, 2)).sum()
    variance = repeat * errors.var(axis=(1, 2)).sum()
    return float(100 * np.sqrt(variance + mean**2) / (rows * 65536))
