"""Requantisation with the rounding of TensorFlow Lite's reference kernels, twice or once."""

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64


def rounding_doubling_high_mul(a: Int64, b: Int64 | int) -> Int64:
    """SaturatingRoundingDoublingHighMul: (a * b) / 2**31 to nearest, ties upwards.

    a, b: values of int32 range; b is never -2**31 here, so nothing saturates.
    """
    wide = a * b
    nudged = wide + np.where(wide >= 0, 1 << 30, 1 - (1 << 30))
    quotient = np.abs(nudged) >> 31
    return np.where(nudged < 0, -quotient, quotient)


def rounding_divide_by_pot(x: Int64, exponent: Int64 | int) -> Int64:
    """RoundingDivideByPOT: x / 2**exponent, rounded to nearest, ties away from zero."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def multiply_by_quantized_multiplier(x: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """x * multiplier * 2**(shift - 31) as TensorFlow Lite computes it, with double rounding.

    multiplier: 0..2**31-1 (Q31); shift: positive is a left shift, which must not leave int32.
    """
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    return rounding_divide_by_pot(rounding_doubling_high_mul(x << left, multiplier), right)


def multiply_rounding_once(x: Int64, multiplier: Int64, shift: Int64) -> Int64:
    """x * multiplier * 2**(shift - 31), rounded once, ties away from zero.

    multiplier, shift: as for `multiply_by_quantized_multiplier`; right shifts of at most 31.
    """
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    return rounding_divide_by_pot((x << left) * multiplier, 31 + right)


def scaled(
    x: Int64, multiplier: npt.ArrayLike, shift: npt.ArrayLike, single_rounding: bool
) -> Int64:
    """x * multiplier * 2**(shift - 31), rounded once or, as in gemmlowp, twice."""
    scale = multiply_rounding_once if single_rounding else multiply_by_quantized_multiplier
    return scale(x, np.asarray(multiplier, np.int64), np.asarray(shift, np.int64))


def requantise(
    accumulator: Int64,
    multiplier: npt.ArrayLike,
    shift: npt.ArrayLike,
    output_zero: int,
    clamp: tuple[int, int],
    single_rounding: bool = False,
) -> Int8:
    """int8 outputs of 32-bit sums in product units, bias included, channels last.

    multiplier, shift: one number, or one per channel (the last axis). single_rounding: see
    `scaled`.
    """
    values = scaled(accumulator, multiplier, shift, single_rounding)
    return np.clip(values + output_zero, *clamp).astype(np.int8)
