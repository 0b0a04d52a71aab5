"""FP8 (E4M3) numbers, and their mantissas aligned to int8 for an integer macro.

The way of arXiv 2602.05743: the numbers of a tile share the exponent of the largest, each
mantissa is shifted to it, rounded half to even, and multiplied as an integer.
"""

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float32

Int = npt.NDArray[np.int32]

LARGEST = 448.0
"""The largest E4M3 number, 1.75 * 2**8: no infinities, one NaN."""

LEAST_EXPONENT = -6
"""Of a normal number; below it the step stays that of this exponent."""

MANTISSA_BITS = 3

TOP = 6
"""Binary places of an aligned mantissa: the largest of a tile is 64..127 in magnitude."""


def exponents(values: Float32) -> Int:
    """floor(log2 |v|) of each value; of 0 far below any other."""
    return np.where(values == 0, -1000, np.frexp(values)[1] - 1).astype(np.int32)


def round_e4m3(values: Float32) -> Float32:
    """Each value's nearest E4M3 number, half to even, beyond the largest saturated."""
    steps = np.maximum(exponents(values), LEAST_EXPONENT) - MANTISSA_BITS
    rounded = np.ldexp(np.rint(np.ldexp(values, -steps)), steps)
    return np.clip(rounded, -LARGEST, LARGEST).astype(np.float32)


def scale_exponents(values: Float32) -> Int:
    """(M, 1) for rows (M, K): the greatest s with |v| * 2**s at most 448 for the whole row."""
    most = np.abs(values).max(axis=1, keepdims=True)
    room = np.where(most == 0, 1.0, LARGEST / np.maximum(most, np.float32(1e-30)))
    return exponents(room.astype(np.float32))


def to_fp8(values: Float32) -> tuple[Float32, Int]:
    """(M, K) rows as E4M3 numbers of rows scaled by 2**s, and s (M, 1)."""
    scale = scale_exponents(values)
    return round_e4m3(np.ldexp(values, scale)), scale


def align(values: Float32) -> tuple[npt.NDArray[np.int8], Int]:
    """(M, K) numbers, of one tile, as int8 mantissas and each row's shared exponent (M, 1).

    v is about m * 2**e: e makes the row's largest magnitude lie in 64..127.
    """
    shared = exponents(values).max(axis=1, keepdims=True) - TOP
    shared = np.maximum(shared, -200)  # a row of zeros: any exponent does
    # Of E4M3 the largest is at most 1.875 * 64; of other numbers 127.5 and more would be 128.
    return np.clip(np.rint(np.ldexp(values, -shared)), -127, 127).astype(np.int8), shared
