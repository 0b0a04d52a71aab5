"""Random and extreme numbers for the engine's arithmetic, and what the reference makes of them."""

import numpy as np

INT32 = np.array((-2**31, -2**31 + 1, -1, 0, 1, 2**30, 2**31 - 1))
MULTIPLIERS = np.array((0, 1, 2**30, 2**30 + 1, 2**31 - 1))


def wrap(values):
    """To int32, as 32 bits wrap."""
    return (np.asarray(values, np.int64) + 2**31) % 2**32 - 2**31


def product_units(count, activation_sum, bias, fields):
    """The sum that is requantised, for sums of counts and parameters of the same shape."""
    correction = 128 * activation_sum if fields["offset"] else 0
    return wrap((count << fields["decode_shift"]) - correction + bias)


def random_fields(rng) -> dict[str, int]:
    low, high = sorted(int(v) for v in rng.choice((-128, -127, -5, 0, 6, 126, 127), 2))
    return {"decode_shift": int(rng.integers(0, 17)), "offset": int(rng.integers(2)),
            "output_zero": int(rng.choice((-128, 127, 0, *rng.integers(-128, 128, 3)))),
            "clamp_low": low, "clamp_high": high}


def random_multipliers(rng, size):
    values = rng.integers(0, 2**31, size)
    return np.where(rng.random(size) < 0.3, rng.choice(MULTIPLIERS, size), values)


def random_channels(rng, size: int, fields: dict[str, int]):
    """count, activation_sum, bias, multiplier, shift, one of each a channel.

    Sums in product units are spread over all sizes, with ties and extremes; shifts to the left
    stay within int32, as the reference asks.
    """
    wanted = rng.integers(-2**31, 2**31, size) >> rng.integers(0, 32, size)
    wanted = np.where(rng.random(size) < 0.3, rng.choice(INT32, size), wanted)
    activation_sum = rng.integers(0, 2**16, size)
    count = rng.integers(-2**15, 2**15, size)
    bias = wrap(wanted - product_units(count, activation_sum, 0, fields))
    right = np.minimum(rng.integers(0, 40, size), 31)
    left = np.array([31 - int(abs(v)).bit_length() for v in wanted]).clip(0, 31)
    shift = np.where(rng.random(size) < 0.3, (left * rng.random(size)).astype(int), -right)
    return count, activation_sum, bias, random_multipliers(rng, size), shift
