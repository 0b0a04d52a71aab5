"""Exponentials and reciprocals in fixed point of 32 bits, as gemmlowp computes them.

A value of b integer bits is an integer of 31 - b fractional bits. Products are
SaturatingRoundingDoublingHighMul, shifts to the right RoundingDivideByPOT. Constants are those of
gemmlowp's `fixedpoint.h`: Taylor coefficients, powers of e, and the first guess of a reciprocal.
"""

import numpy as np

from dscim.arrays import Int64
from dscim.host.golden.reference.requantise import (
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)

ONE = (1 << 31) - 1
"""1 without integer bits."""

EIGHTH, THIRD = 1895147668, 715827883
"""exp(-1/8) and 1/3 without integer bits."""

POWERS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
"""For each power of two: its exponent k, and exp(-2**k) without integer bits."""

GUESS, SLOPE = 1515870810, -1010580540
"""48/17 and -32/17 with 2 integer bits."""


def exp_of_negative(value: Int64, integer_bits: int) -> Int64:
    """exp(value) without integer bits, for values of at most 0 with `integer_bits`."""
    fraction = 31 - integer_bits
    quarter = 1 << (fraction - 2)
    part = (value & (quarter - 1)) - quarter
    x = _left(part, integer_bits) + (1 << 28)
    square = _times(x, x)
    cube, fourth = _times(square, x), _times(square, square)
    tail = _times(_right(fourth, 2) + cube, THIRD) + square
    result = EIGHTH + _times(x + _right(tail, 1), EIGHTH)
    rest = part - value
    for exponent, power in POWERS:
        if exponent < integer_bits:
            has = (rest >> (fraction + exponent)) & 1
            result = np.where(has, _times(result, power), result)
    return np.where(value == 0, ONE, result)


def reciprocal(value: Int64, integer_bits: int) -> tuple[Int64, Int64]:
    """1 / value as (mantissa without integer bits, shift): mantissa / 2**(31 + shift).

    value: at least 1 with `integer_bits`.
    """
    zeros = 32 - np.frexp(value.astype(np.float64))[1].astype(np.int64)
    half = ((value << zeros) - (1 << 31) + ONE + 1) // 2
    x = GUESS + _times(half, SLOPE)
    for _ in range(3):
        x = x + _left(_times(x, (1 << 29) - _times(half, x)), 2)
    return _left(x, 1), integer_bits - zeros


def _times(a: Int64, b: Int64 | int) -> Int64:
    return rounding_doubling_high_mul(a, b)


def _right(x: Int64, bits: int) -> Int64:
    return rounding_divide_by_pot(x, bits)


def _left(x: Int64, bits: int) -> Int64:
    return np.clip(x << bits, -ONE - 1, ONE)
