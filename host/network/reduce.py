"""The nodes that reduce any axes: sums with a scale, and the greatest or least value."""

from dataclasses import dataclass, field

import numpy as np

from dscim.gateware.specs.base import require
from dscim.host.network.node import Node, Shape, check_scaling

MAX_SUMMED = (1 << 23) - 1
"""The most values of a sum that stays within 32 bits."""


@dataclass(frozen=True, eq=False)
class Sum(Node):
    """The sum over some axes, scaled; a mean if the scale includes the division.

    axes: of 0 height, 1 width, 2 channels; they have the size 1 in the output.
    output = requantised(sum of (x - input_zero)) + output_zero; multiplier and shift are Q31,
    positive = left. single_rounding: whether it rounds once, ties away from zero, not twice as in
    gemmlowp.
    """

    pointwise, keeps_scale, fixes_scale = False, False, False

    axes: tuple[int, ...] = field(kw_only=True)
    input_zero: int = field(kw_only=True)
    multiplier: int = field(kw_only=True)
    shift: int = field(kw_only=True)
    single_rounding: bool = False

    def zeros(self) -> tuple[int | None, ...]:
        """The input's own zero point."""
        return (self.input_zero,)

    def check(self) -> None:
        """Raises SpecError unless axes and scaling are valid."""
        _check_axes(self.name, self.axes)
        check_scaling(self.name, self.multiplier, self.shift)

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The size 1 along the axes; the sum must stay within 32 bits."""
        count = int(np.prod([shapes[0][axis] for axis in self.axes], dtype=object))
        require(
            count <= MAX_SUMMED,
            f"Node {self.name!r} sums {count} values; 32 bits hold the sum of at most "
            f"{MAX_SUMMED}.",
        )
        return _reduced(shapes[0], self.axes)


@dataclass(frozen=True, eq=False)
class Extreme(Node):
    """The greatest or the least value over some axes. Scale and zero point stay the same.

    axes: of 0 height, 1 width, 2 channels; they have the size 1 in the output. least: whether it
    is the least value, not the greatest.
    """

    pointwise, keeps_scale, fixes_scale = False, True, False

    axes: tuple[int, ...] = field(kw_only=True)
    least: bool = False

    def check(self) -> None:
        """Raises SpecError unless the axes are valid."""
        _check_axes(self.name, self.axes)

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The size 1 along the axes."""
        return _reduced(shapes[0], self.axes)


def _check_axes(name: str, axes: tuple[int, ...]) -> None:
    require(
        len(set(axes)) == len(axes) and set(axes) <= {0, 1, 2},
        f"Node {name!r} reduces the axes {axes}, not each of 0, 1 and 2 at most once.",
    )


def _reduced(shape: Shape, axes: tuple[int, ...]) -> Shape:
    height, width, channels = (1 if i in axes else size for i, size in enumerate(shape))
    return height, width, channels
