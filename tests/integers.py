"""Random and extreme numbers for the engine's arithmetic, and their reference results."""

from fractions import Fraction
from math import floor

import numpy as np

from dscim.gateware.descriptor import MAX_WIDENING

INT32 = np.array((-(2**31), -(2**31) + 1, -1, 0, 1, 2**30, 2**31 - 1))
MULTIPLIERS = np.array((0, 1, 2**30, 2**30 + 1, 2**31 - 1))


def wrap(values):
    """Wrapped to int32."""
    return (np.asarray(values, np.int64) + 2**31) % 2**32 - 2**31


def product_units(count, activation_sum, bias, fields):
    """The sum that is requantised, for sums of counts and parameters of the same shape."""
    correction = 128 * activation_sum if fields["offset"] else 0
    return wrap((count << fields["decode_shift"]) - correction + bias)


def random_fields(rng) -> dict[str, int]:
    low, high = sorted(int(v) for v in rng.choice((-128, -127, -5, 0, 6, 126, 127), 2))
    return {
        "decode_shift": int(rng.integers(0, 17)),
        "offset": int(rng.integers(2)),
        "single_rounding": int(rng.integers(2)),
        "output_zero": int(rng.choice((-128, 127, 0, *rng.integers(-128, 128, 3)))),
        "clamp_low": low,
        "clamp_high": high,
    }


def half_away(value: Fraction) -> int:
    """The nearest integer, ties away from zero."""
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


def scale_twice(x: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier with both of its roundings, as gemmlowp defines them.

    SaturatingRoundingDoublingHighMul adds 2**30 (or 1 - 2**30) and truncates, which for a
    negative product is a tie towards plus infinity; RoundingDivideByPOT ties away from zero.
    """
    product = (x << max(shift, 0)) * multiplier
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)
    return half_away(Fraction(high, 2 ** max(-shift, 0)))


def scale_once(x: int, multiplier: int, shift: int) -> int:
    """x * multiplier * 2**(shift - 31), rounded once, ties away from zero."""
    return half_away(x * multiplier * Fraction(2) ** (shift - 31))


def random_multipliers(rng, size):
    values = rng.integers(0, 2**31, size)
    return np.where(rng.random(size) < 0.3, rng.choice(MULTIPLIERS, size), values)


def random_channels(rng, size: int, fields: dict[str, int]):
    """count, activation_sum, bias, multiplier, shift, one of each per channel.

    Sums in product units are spread over all sizes, with ties and extremes; shifts to the left
    stay within int32, as the reference requires.
    """
    wanted = rng.integers(-(2**31), 2**31, size) >> rng.integers(0, 32, size)
    wanted = np.where(rng.random(size) < 0.3, rng.choice(INT32, size), wanted)
    activation_sum = rng.integers(0, 2**16, size)
    count = rng.integers(-(2**15), 2**15, size)
    bias = wrap(wanted - product_units(count, activation_sum, 0, fields))
    right = np.minimum(rng.integers(0, 40, size), 31)
    left = np.array([31 - int(abs(v)).bit_length() for v in wanted]).clip(0, 31)
    shift = np.where(rng.random(size) < 0.3, (left * rng.random(size)).astype(int), -right)
    return count, activation_sum, bias, random_multipliers(rng, size), shift


def beside_ties(rng, size: int):
    """Sums, multipliers and right shifts whose quotients are at or next to ties."""
    places = rng.integers(0, 32, size)  # the right shift
    power = np.array([rng.integers(max(0, right - 1), 31) for right in places])
    unit = 31 + places - power  # 2**unit sums are one output
    most = np.minimum((2**31 >> unit) - 1, 140)
    output = (rng.random(size) * (2 * most + 2)).astype(int) - most - 1
    sums = (output << unit) + (1 << unit - 1) + rng.integers(-1, 2, size)
    multiplier = (1 << power) + (rng.integers(-1, 2, size) * (power > 1))
    return wrap(sums.clip(-(2**31), 2**31 - 1)), multiplier, -places


def random_addition(rng) -> dict[str, int]:
    """Any integers that an add may have."""
    left = int(rng.choice((0, 20, 22, *rng.integers(0, 23, 2))))
    low = int(rng.integers(-128, 100))
    fields = {
        "first_zero": int(rng.choice((-128, 127, 0, 9))),
        "left_shift": left,
        "second_zero": int(rng.choice((-128, 127, 0, -9))),
        "sum_zero": int(rng.integers(-128, 128)),
        "sum_low": low,
        "sum_high": int(rng.integers(low, 128)),
    }
    for name, multiplier in zip(
        ("first", "second", "output"), random_multipliers(rng, 3), strict=True
    ):
        fields[f"{name}_multiplier"] = int(multiplier)
        fields[f"{name}_shift"] = int(
            rng.choice((0, -1, -31, MAX_WIDENING - left, rng.integers(-31, 1)))
        )
    fields["output_shift"] = int(rng.integers(-31, -left // 2))
    return fields
