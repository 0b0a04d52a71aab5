"""The nodes between layers: sums, rescaling, padding, reshaping."""

from dataclasses import dataclass, field

import numpy as np

from dscim.gateware.specs.base import require
from dscim.host.network.node import Node, Padding, Pair, Shape, check_scaling


@dataclass(frozen=True, eq=False)
class Add(Node):
    """The sum of two tensors, in the integers of TensorFlow Lite's int8 reference ADD.

    input_zeros: of the two inputs. multipliers, shifts: for first input, second input, output;
    Q31 multiplier, positive shift = left. left_shift: bits by which the inputs are widened, 0..22.
    """

    arity = 2
    pointwise, keeps_scale, fixes_scale = True, False, False

    input_zeros: Pair = field(kw_only=True)
    multipliers: tuple[int, int, int] = field(kw_only=True)
    shifts: tuple[int, int, int] = field(kw_only=True)
    left_shift: int = 20

    def zeros(self) -> tuple[int | None, ...]:
        """Each input's own zero point."""
        return self.input_zeros

    def check(self) -> None:
        """Raises SpecError unless the integers are valid for an addition."""
        check_scaling(self.name, self.multipliers, self.shifts)
        require(
            0 <= self.left_shift <= 22,
            f"Node {self.name!r} widens by {self.left_shift} bits, not 0..22.",
        )

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The shape that both inputs have."""
        require(shapes[0] == shapes[1], f"Node {self.name!r} adds tensors of the shapes {shapes}.")
        return shapes[0]


@dataclass(frozen=True, eq=False)
class Requantise(Node):
    """The same values with another scale and zero point: TensorFlow Lite's QUANTIZE of int8.

    With a clamp it is also a separate activation function between two quantised tensors.
    multiplier, shift: input scale / output scale; Q31 multiplier, positive shift = left.
    single_rounding: whether it rounds once, ties away from zero, not twice as in gemmlowp.
    """

    pointwise, keeps_scale, fixes_scale = True, False, False

    input_zero: int = field(kw_only=True)
    multiplier: int = field(kw_only=True)
    shift: int = field(kw_only=True)
    single_rounding: bool = False

    def zeros(self) -> tuple[int | None, ...]:
        """The input's own zero point."""
        return (self.input_zero,)

    def check(self) -> None:
        """Raises SpecError unless the scaling is valid and stays within 32 bits."""
        check_scaling(self.name, self.multiplier, self.shift)
        require(
            self.shift <= 22,
            f"Node {self.name!r} shifts left by {self.shift} bits; more than 22 overflow 32 bits.",
        )


@dataclass(frozen=True, eq=False)
class Pad(Node):
    """The input surrounded by its zero point. Scale and zero point stay the same."""

    pointwise, keeps_scale, fixes_scale = False, True, False

    padding: Padding = field(kw_only=True)

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The input's shape enlarged by the padding."""
        (top, bottom), (left, right) = self.padding
        require(
            min(top, bottom, left, right) >= 0,
            f"Node {self.name!r} has the padding {self.padding}; paddings must be at least 0.",
        )
        height, width, channels = shapes[0]
        return height + top + bottom, width + left + right, channels


@dataclass(frozen=True, eq=False)
class Reshape(Node):
    """The same values in another shape, in H, W, C order. Scale and zero point stay the same."""

    pointwise, keeps_scale, fixes_scale = False, True, False

    shape: Shape = field(kw_only=True)

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The new shape, which must hold as many values as the old one."""
        count = np.prod(shapes[0], dtype=object)
        require(
            np.prod(self.shape, dtype=object) == count and min(self.shape) >= 1,
            f"Node {self.name!r} reshapes {shapes[0]} to {self.shape}, which holds a different "
            "number of values.",
        )
        return self.shape
