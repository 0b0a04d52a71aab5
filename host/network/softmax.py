"""The softmax, in single precision and in integers, and its logarithm."""

from dataclasses import dataclass, field

import numpy as np

from dscim.arrays import Float32, Int32
from dscim.gateware.specs.base import require
from dscim.host.network.node import Node


@dataclass(frozen=True, eq=False)
class Softmax(Node):
    """The softmax over the channels, as TensorFlow Lite's int8 kernel computes it.

    table: (256,) float32, entry d is exp(-beta * input scale * d) for a channel that is d below
    the greatest. The sum runs over the channels in order, in single precision, as in the kernel.
    output = round(table[d] / (sum * output scale)) + output_zero.
    """

    pointwise, keeps_scale, fixes_scale = False, False, True

    table: Float32 = field(kw_only=True)

    def zeros(self) -> tuple[int | None, ...]:
        """Any zero point: only differences count."""
        return (None,)

    def check(self) -> None:
        """Raises SpecError unless the table begins with 1 and stays within 0..1."""
        _check_powers(self.name, self.table)
        require(
            self.output_scale >= 2.0**-10,
            f"Node {self.name!r} has the output scale {self.output_scale}; it must be at least "
            "1/1024, and is 1/256 for probabilities in 8 bits.",
        )


@dataclass(frozen=True, eq=False)
class LogSoftmax(Node):
    """The logarithm of the softmax over the channels, as TensorFlow Lite's int8 kernel computes it.

    table: as in Softmax. input_scale: of the input. In single precision, ties to even:
    round((input_scale * (x - greatest) - log(sum of powers)) / output scale) + output_zero.
    """

    pointwise, keeps_scale, fixes_scale = False, False, True

    table: Float32 = field(kw_only=True)
    input_scale: float = field(kw_only=True)

    def zeros(self) -> tuple[int | None, ...]:
        """Any zero point: only differences count."""
        return (None,)

    def check(self) -> None:
        """Raises SpecError unless the table begins with 1 and the scale is above 0."""
        _check_powers(self.name, self.table)
        require(
            self.input_scale > 0,
            f"Node {self.name!r} has the input scale {self.input_scale}, which is not above 0.",
        )


@dataclass(frozen=True, eq=False)
class IntegerSoftmax(Node):
    """The softmax over the channels, as TensorFlow Lite's int8 reference kernel computes it.

    table: (256,) int32, entry d is exp(-beta * input scale * d) with 31 fractional bits, for a
    channel that is d below the greatest; 0 where the kernel leaves the channel out. The output has
    the scale 1/256 and the zero point -128.
    """

    pointwise, keeps_scale, fixes_scale = False, False, True

    table: Int32 = field(kw_only=True)

    def zeros(self) -> tuple[int | None, ...]:
        """Any zero point: only differences count."""
        return (None,)

    def check(self) -> None:
        """Raises SpecError unless the table begins with 1 and stays within 0..1."""
        good = (
            self.table.dtype == np.int32
            and self.table.shape == (256,)
            and self.table[0] == (1 << 31) - 1
            and bool((self.table >= 0).all())
        )
        require(
            good and (self.output_scale, self.output_zero) == (1 / 256, -128),
            f"Node {self.name!r} needs a table of 256 int32 from {(1 << 31) - 1} down to 0, the "
            f"output scale 1/256 and the zero point -128; it has {self.table.dtype} of shape "
            f"{self.table.shape}, {self.output_scale} and {self.output_zero}.",
        )


def _check_powers(name: str, table: Float32) -> None:
    """Raises SpecError unless the table begins with 1 and stays within 0..1."""
    good = (
        table.dtype == np.float32
        and table.shape == (256,)
        and table[0] == 1
        and bool(((table >= 0) & (table <= 1)).all())
    )
    require(
        good,
        f"Node {name!r} needs a table of 256 float32 from 1 down to 0; it has "
        f"{table.dtype} of shape {table.shape}.",
    )
