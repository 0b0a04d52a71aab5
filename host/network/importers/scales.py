"""From a file's scales to the integers of TensorFlow Lite's kernels."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs.base import require
from dscim.host.network.node import Pair


@dataclass(frozen=True)
class Quantity:
    """What int8 values stand for: real = scale * (integer - zero).

    scale: a float32's value, above 0. zero: -128..127; uint8 is shifted by 128 before.
    """

    scale: float
    zero: int

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.scale) and self.scale > 0,
            f"The scale {self.scale} is no scale: it must be above 0 and finite.",
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
    """The least and greatest int8 of an activation that keeps values within low..high."""
    least = -128 if low is None else max(-128, quantity.integer(low))
    most = 127 if high is None else min(127, quantity.integer(high))
    require(
        least <= 127 and most >= -128 and least <= most,
        f"An activation of {low}..{high} leaves no value of int8 at the scale "
        f"{quantity.scale} and the zero point {quantity.zero}.",
    )
    return least, most


def product_factors(
    source: float, weights: npt.ArrayLike, output: float
) -> npt.NDArray[np.float64]:
    """input scale * weight scale / output scale, each a float32, as the kernels: in double."""
    return np.float64(source) * np.asarray(weights, np.float64) / np.float64(output)
