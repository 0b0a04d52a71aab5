"""Converts a file's scales to the integers of TensorFlow Lite's kernels.

TensorFlow Lite's reference FULLY_CONNECTED rounds sum * scale once, ties away from zero, with the
scale in double precision; the engine's scale has 31 bits. They can differ only if sum * scale is
next to a tie; `nearest_scaling` tries all such sums that a layer can reach.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float64, Int8, Int32, Int64
from dscim.gateware.specs.base import require
from dscim.host.golden.reference import multiply_rounding_once
from dscim.host.network.node import Pair
from dscim.host.network.scaling import quantise_factor


@dataclass(frozen=True)
class Quantity:
    """The real numbers that int8 values represent: real = scale * (integer - zero).

    scale: a float32 above 0. zero: -128..127, after the shift of uint8 by 128.
    """

    scale: float
    zero: int

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.scale) and self.scale > 0,
            f"The scale {self.scale} is not above 0 and finite.",
        )
        require(
            -128 <= self.zero <= 127,
            f"The zero point {self.zero} is outside the 8 bits of its tensor.",
        )

    def integer(self, real: float) -> int:
        """The nearest integer to `real`, ties away from zero, in float32 as the kernels do."""
        with np.errstate(over="ignore"):
            ratio = float(np.float32(real) / np.float32(self.scale))
        ratio = min(max(ratio, -1000.0), 1000.0)
        return self.zero + int(math.copysign(math.floor(abs(ratio) + 0.5), ratio))


def clamp(quantity: Quantity, low: float | None, high: float | None) -> Pair:
    """The least and greatest int8 within the bounds low..high of an activation."""
    least = -128 if low is None else max(-128, quantity.integer(low))
    most = 127 if high is None else min(127, quantity.integer(high))
    require(
        least <= 127 and most >= -128 and least <= most,
        f"The activation bounds {low}..{high} leave no int8 value with the scale "
        f"{quantity.scale} and the zero point {quantity.zero}.",
    )
    return least, most


def product_factors(source: float, weights: npt.ArrayLike, output: float) -> Float64:
    """input scale * weight scale / output scale, each a float32, in double as in the kernels."""
    return np.float64(source) * np.asarray(weights, np.float64) / np.float64(output)


TIES = np.arange(-256, 256) + 0.5
"""The ties between saturation on both sides, for any zero point of the output."""


def nearest_scaling(real: float, least: int, most: int) -> tuple[int, int, int]:
    """(multiplier, shift, wrong): the scaling that is right for the most sums in least..most.

    A sum is right if it rounds as sum * real does, ties away from zero. wrong: the number of
    unsaturated sums that round to another integer; if it is 0, no output differs.
    """
    sums = _near_ties(real, least, most)
    scaled = sums * real
    expected = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled).astype(np.int64)
    best = (0, 0, 1 << 62)
    for multiplier, shift in _candidates(real):
        made = multiply_rounding_once(sums, np.array(multiplier), np.array(shift))
        wrong = int(np.count_nonzero(made != expected))
        if wrong < best[2]:
            best = (multiplier, shift, wrong)
        if not wrong:
            break
    return best


def _near_ties(real: float, least: int, most: int) -> Int64:
    """The sums in least..most (32 bits) next to a tie.

    Only these may round differently with a factor within 2**-30 of `real`.
    """
    if real <= 0:
        return np.zeros(0, np.int64)
    ties = TIES / real
    ties = ties[(ties > least - 8) & (ties < most + 8)]
    around = np.floor(ties).astype(np.int64)[:, None] + np.arange(-6, 8)
    near: Int64 = np.sort(around[(around >= least) & (around <= most)])
    return near[np.diff(near, prepend=least - 1) > 0]


def _candidates(real: float) -> Iterable[tuple[int, int]]:
    """(multiplier, shift): that of the kernels first, then its neighbours."""
    nearest, shift = quantise_factor(real)
    for multiplier in (nearest, nearest + 1, nearest - 1):
        if 0 <= multiplier < 1 << 31:
            yield multiplier, shift


def reach(weights: Int8 | Int64, bias: Int32, zero: int) -> tuple[Int64, Int64]:
    """The least and the greatest sum of each output, (outputs,), over all int8 inputs.

    weights: (outputs, inputs). zero: the input's zero point.
    """
    wide = weights.astype(np.int64)
    positive, negative = np.maximum(wide, 0).sum(axis=1), np.minimum(wide, 0).sum(axis=1)
    low, high = -128 - zero, 127 - zero
    return (positive * low + negative * high + bias, positive * high + negative * low + bias)
