"""The functions of LiteRT's reference kernels, in their integers, for the tables of nodes.

Each function takes int64 arrays of the operator's stored values and `Quantity`s, and returns the
output before saturation, as int64. The sources are the files of `tflite/kernels/internal/reference`
that are named after the operators.
"""

import math
from collections.abc import Callable

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.host.golden.reference import scaled
from dscim.host.golden.reference.requantise import rounding_divide_by_pot
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.node import Pair
from dscim.host.network.scaling import add_factors, quantise_factor

LEFT_SHIFT = 20
"""Bits by which ADD and SUB widen their operands."""

VALUES: Int64 = np.arange(-128, 128)
"""All values of an int8, in the order of a table."""

Binary = Callable[[Int64, Int64], Int64]


def saturated(values: Int64, clamp: Pair) -> Int8:
    """The values within `clamp`, as int8."""
    return np.clip(values, *clamp).astype(np.int8)


def sum_of(first: Quantity, second: Quantity, output: Quantity, sign: int = 1) -> Binary:
    """ADD, or SUB with the sign -1, whose second multiplier is negative."""
    multipliers, shifts = add_factors(first.scale, second.scale, output.scale, LEFT_SHIFT)

    def function(a: Int64, b: Int64) -> Int64:
        wide = scaled((a - first.zero) << LEFT_SHIFT, multipliers[0], shifts[0], False)
        other = scaled((b - second.zero) << LEFT_SHIFT, sign * multipliers[1], shifts[1], False)
        return scaled(wide + other, multipliers[2], shifts[2], False) + output.zero

    return function


def product_of(first: Quantity, second: Quantity, output: Quantity) -> Binary:
    """MUL: the scale is a product and a quotient of single precision."""
    real = np.float32(first.scale) * np.float32(second.scale) / np.float32(output.scale)
    multiplier, shift = quantise_factor(float(real))

    def function(a: Int64, b: Int64) -> Int64:
        wide = (a - first.zero) * (b - second.zero)
        return scaled(wide, multiplier, shift, False) + output.zero

    return function


def leaky(source: Quantity, alpha: float, output: Quantity) -> Int64:
    """LEAKY_RELU: one scale above the zero point, another one below; (256,)."""
    ratio = np.float32(source.scale) / np.float32(output.scale)
    slope = np.float32(source.scale) * np.float32(alpha) / np.float32(output.scale)
    wide = VALUES - source.zero
    return _two_slopes(wide, wide, float(ratio), float(slope)) + output.zero


def prelu(source: Quantity, alpha: Quantity, output: Quantity) -> Binary:
    """PRELU: as LEAKY_RELU, with quantised slopes."""
    ratio = np.float32(source.scale) / np.float32(output.scale)
    slope = np.float32(source.scale) * np.float32(alpha.scale) / np.float32(output.scale)

    def function(x: Int64, a: Int64) -> Int64:
        wide = x - source.zero
        return _two_slopes(wide, wide * (a - alpha.zero), float(ratio), float(slope)) + output.zero

    return function


def _two_slopes(above: Int64, below: Int64, ratio: float, slope: float) -> Int64:
    """`above` by `ratio` where it is not negative, elsewhere `below` by `slope`, of any sign."""
    multiplier, shift = quantise_factor(abs(slope))
    low = scaled(below, int(math.copysign(multiplier, slope)), shift, False)
    return np.where(above >= 0, scaled(above, *quantise_factor(ratio), False), low)


def real_function(source: Quantity, output: Quantity, function: Callable[[float], float]) -> Int64:
    """LOGISTIC, TANH and others: a function in single precision, rounded away from zero; (256,)."""
    inverse = np.float32(1) / np.float32(output.scale)
    inputs = np.float32(source.scale) * (VALUES - source.zero).astype(np.float32)
    made = np.array([function(float(x)) for x in inputs], np.float32) * inverse
    rounded = np.copysign(np.floor(np.abs(made) + np.float32(0.5)), made)
    return np.nan_to_num(rounded, posinf=1e6, neginf=-1e6).astype(np.int64) + output.zero


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), in single precision as the kernel."""
    power = np.float32(math.exp(min(-x, 88.7)))
    return float(np.float32(1) / (np.float32(1) + power))


def hard_swish(source: Quantity, output: Quantity) -> Int64:
    """HARD_SWISH: x * relu6(x + 3) / 6 with 16 bits; (256,)."""
    fine = np.float32(1 / 128) * np.float32(source.scale)
    out, out_shift = _sixteen(float(fine / np.float32(output.scale)))
    ramp, ramp_shift = _sixteen(float(fine / np.float32(3 / 32768)))
    hires = (VALUES - source.zero) << 7
    scaled_input = _high_mul(hires, out)
    value = _left(hires, ramp_shift - 1) if ramp_shift > 0 else hires
    value = _high_mul(value, ramp)
    if ramp_shift > 0:
        value = _left(value, 1)
    if ramp_shift < 0:
        value = rounding_divide_by_pot(value, -ramp_shift)
    value = (value + (1 << 15)) >> 1
    wide = value * scaled_input
    product = np.sign(wide) * (np.abs(wide) >> 15)
    made = rounding_divide_by_pot(product, -out_shift)
    return _int16(_int16(made) + output.zero)


def hard_swish_fits(source: Quantity, output: Quantity) -> bool:
    """Whether the kernel accepts the scales: its output must not be finer than its wide input."""
    fine = np.float32(1 / 128) * np.float32(source.scale)
    return quantise_factor(float(fine / np.float32(output.scale)))[1] <= 0


def _sixteen(real: float) -> tuple[int, int]:
    """A multiplier of 15 bits and its shift, rounded from that of 31 bits."""
    multiplier, shift = quantise_factor(real)
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1), shift


def _int16(x: Int64) -> Int64:
    return np.clip(x, -(1 << 15), (1 << 15) - 1)


def _left(x: Int64, bits: int) -> Int64:
    """A left shift that saturates at 16 bits."""
    return _int16(x << min(bits, 32))


def _high_mul(x: Int64, multiplier: int) -> Int64:
    """SaturatingRoundingDoublingHighMul of 16 bits: x * multiplier / 2**15, ties upwards."""
    wide = x * multiplier
    nudged = wide + np.where(wide >= 0, 1 << 14, 1 - (1 << 14))
    quotient = np.abs(nudged) >> 15
    return np.where(nudged < 0, -quotient, quotient)
