"""From real scales to the integers of TensorFlow Lite's reference kernels."""

import math

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float32, Int32, Int64
from dscim.host.golden.reference.requantise import rounding_doubling_high_mul
from dscim.host.network.fixed_point import exp_of_negative


def quantise_multiplier(real: npt.ArrayLike) -> tuple[Int32, Int32]:
    """Q31 multiplier and shift (positive = left) of real factors >= 0, as QuantizeMultiplier does.

    real = multiplier * 2**(shift - 31) to 31 bits, ties away from zero; a factor below 2**-32
    becomes 0.
    """
    fraction, shift = np.frexp(np.asarray(real, np.float64))
    multiplier = np.floor(fraction * (1 << 31) + 0.5).astype(np.int64)
    carried = multiplier == 1 << 31
    multiplier = np.where(carried, 1 << 30, multiplier)
    shift = shift + carried
    lost = shift < -31
    return (
        np.where(lost, 0, multiplier).astype(np.int32),
        np.where(lost, 0, shift).astype(np.int32),
    )


def quantise_factor(real: float) -> tuple[int, int]:
    """Multiplier and shift of one real factor; see `quantise_multiplier`."""
    multipliers, shifts = quantise_multiplier([real])
    return int(multipliers[0]), int(shifts[0])


def add_factors(
    first: float, second: float, output: float, left_shift: int = 20
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Multipliers and shifts of an Add (first input, second input, output) from their scales."""
    twice = 2 * max(first, second)
    multipliers, shifts = quantise_multiplier(
        [first / twice, second / twice, twice / (output * (1 << left_shift))]
    )
    return (
        (int(multipliers[0]), int(multipliers[1]), int(multipliers[2])),
        (int(shifts[0]), int(shifts[1]), int(shifts[2])),
    )


def mean_factors(real: float, count: int) -> tuple[int, int]:
    """Multiplier and shift of a Mean over `count` positions; real: input scale / output scale.

    The kernel divides the multiplier by the count, rounding down.
    """
    multiplier, shift = quantise_factor(real)
    moved = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << moved) // count, shift - moved


def integer_softmax_table(scale: float, beta: float = 1.0) -> Int32:
    """(256,) int32: the table of an IntegerSoftmax for an input of this scale."""
    real = min(float(np.float64(beta) * np.float64(np.float32(scale)) * (1 << 26)), 2.0**31 - 1)
    multiplier, shift = quantise_factor(real)
    least = math.floor(31 * (1 << 26) / 2.0**shift)
    below: Int64 = np.arange(256)
    steps = np.minimum(below, least) << max(shift, 0)
    scaled = rounding_doubling_high_mul(-steps, multiplier)
    powers = np.where(below <= least, exp_of_negative(scaled, 5), 0)
    return powers.astype(np.int32)


def softmax_table(scale: float, beta: float = 1.0) -> Float32:
    """(256,) float32: the table of a Softmax for an input of this scale.

    The exponents are products in single precision, as in the kernel; each power is the nearest
    float32, on every machine.
    """
    exponents = -np.float32(scale) * np.float32(beta) * np.arange(256, dtype=np.float32)
    return np.array([math.exp(exponent) for exponent in exponents.tolist()], np.float32)
