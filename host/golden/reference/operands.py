"""Operands of the macro: unsigned magnitudes with a sign (contract, "Signed mode")."""

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.gateware.specs import ProductSpec


def encode_activations(x: Int8, spec: ProductSpec, zero_point: int) -> tuple[Int64, Int64]:
    """a' in 0..255 and its sign (+1 or -1) for int8 activations of any shape.

    offset: a' = x + 128, always +1; an exact correction handles the zero point.
    split:  a' = min(|x - z| << e, 255) with the sign of x - z.
    """
    if spec.signed == "offset":
        return x.astype(np.int64) + 128, np.ones(x.shape, np.int64)
    difference = x.astype(np.int64) - zero_point
    magnitude = np.minimum(np.abs(difference) << spec.activation_shift, 255)
    return magnitude, np.where(difference < 0, -1, 1)


def encode_weights(w: Int8, spec: ProductSpec) -> tuple[Int64, Int64]:
    """w' in 0..255 and its sign for int8 weights of any shape; -128 saturates in split."""
    if spec.signed == "offset":
        return w.astype(np.int64) + 128, np.ones(w.shape, np.int64)
    wide = w.astype(np.int64)
    return 2 * np.minimum(np.abs(wide), 127), np.where(wide < 0, -1, 1)


def column_corrections(w: Int8, spec: ProductSpec, zero_point: int) -> Int64:
    """The constant that a column of weights adds to its estimate, in product units, (N,).

    offset: -128*sum(w') + 16384*K - z*sum(w); split: 0.
    """
    if spec.signed == "split":
        return np.zeros(w.shape[1], np.int64)
    total = w.astype(np.int64).sum(axis=0)
    depth = w.shape[0]
    return -128 * (total + 128 * depth) + 16384 * depth - zero_point * total
