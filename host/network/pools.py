"""The nodes that reduce windows: average, maximum, and the mean over a whole image."""

from dataclasses import dataclass, field

from dscim.gateware.specs.base import require
from dscim.host.network.node import Node, Padding, Pair, Shape, check_scaling, pooled_shape


@dataclass(frozen=True, eq=False)
class AveragePool(Node):
    """The mean of each window, in the integers of TensorFlow Lite's int8 AVERAGE_POOL_2D.

    Scale and zero point are those of the input. Padded positions do not count.
    kernel, stride: (y, x).
    """

    pointwise, keeps_scale, fixes_scale = False, True, False

    kernel: Pair = field(kw_only=True)
    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """One position per window."""
        return pooled_shape(self, shapes[0])


@dataclass(frozen=True, eq=False)
class MaxPool(Node):
    """The greatest value of each window. Padded positions do not count.

    Scale and zero point are those of the input. kernel, stride: (y, x).
    """

    pointwise, keeps_scale, fixes_scale = False, True, False

    kernel: Pair = field(kw_only=True)
    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """One position per window."""
        return pooled_shape(self, shapes[0])


@dataclass(frozen=True, eq=False)
class Mean(Node):
    """The mean over height and width, in the integers of TensorFlow Lite's int8 MEAN.

    output = requantised(sum of (x - input_zero)) + output_zero, where multiplier and shift
    (Q31, positive = left) are input scale / output scale / number of positions.
    single_rounding: whether it rounds once, ties away from zero, not twice as in gemmlowp.
    """

    pointwise, keeps_scale, fixes_scale = False, False, False

    input_zero: int = field(kw_only=True)
    multiplier: int = field(kw_only=True)
    shift: int = field(kw_only=True)
    single_rounding: bool = False

    def zeros(self) -> tuple[int | None, ...]:
        """The input's own zero point."""
        return (self.input_zero,)

    def check(self) -> None:
        """Raises SpecError unless the scaling is valid."""
        check_scaling(self.name, self.multiplier, self.shift)

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """One position; the sum must stay within 32 bits."""
        height, width, channels = shapes[0]
        require(
            height * width < 1 << 23,
            f"Node {self.name!r} sums {height * width} positions; 32 bits hold the sum of at most "
            f"{(1 << 23) - 1}.",
        )
        return 1, 1, channels
