"""The nodes that are tables: any function of one tensor, or of two, value by value.

An importer computes the table in the integers of the file's kernels, so the node has their bits
whatever the function is: LOGISTIC, HARD_SWISH, a product of two tensors, a sum with a constant.
"""

from dataclasses import dataclass, field

import numpy as np

from dscim.arrays import Int8, UInt8
from dscim.gateware.specs.base import require
from dscim.host.network.node import Node, Shape

LEVELS = 256
"""The values of an int8; entry v of a table is for the value v - 128."""


@dataclass(frozen=True, eq=False)
class Lookup(Node):
    """A function of one tensor: output = table[which, input + 128].

    function: its name, for reports. table: (n, 256) int8, n from 1 to 256. which: (h, w, c) uint8,
    the row of the table for each position, broadcast with the input: one row for a plain function,
    one for each value of a constant operand.
    """

    pointwise, keeps_scale, fixes_scale = False, False, True

    function: str = field(kw_only=True)
    table: Int8 = field(kw_only=True)
    which: UInt8 = field(kw_only=True)

    def zeros(self) -> tuple[int | None, ...]:
        """Any zero point: the table includes it."""
        return (None,)

    def check(self) -> None:
        """Raises SpecError unless the arrays fit each other."""
        require(
            self.table.dtype == np.int8
            and self.table.ndim == 2
            and self.table.shape[1] == LEVELS
            and 1 <= len(self.table) <= LEVELS,
            f"Node {self.name!r} has a table {self.table.dtype} of shape {self.table.shape}, not "
            "(1 to 256, 256) int8.",
        )
        require(
            self.which.dtype == np.uint8
            and self.which.ndim == 3
            and self.which.size > 0
            and int(self.which.max()) < len(self.table),
            f"Node {self.name!r} chooses rows by {self.which.dtype} of shape {self.which.shape}, "
            f"not by (h, w, c) uint8 below {len(self.table)}.",
        )

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The input's shape, broadcast with that of `which`."""
        height, width, channels = self.which.shape
        return broadcast(self.name, shapes[0], (height, width, channels))


@dataclass(frozen=True, eq=False)
class Combine(Node):
    """A function of two tensors: output = table[first + 128, second + 128].

    function: its name, for reports. table: (256, 256) int8. The inputs are broadcast.
    """

    arity = 2
    pointwise, keeps_scale, fixes_scale = False, False, True

    function: str = field(kw_only=True)
    table: Int8 = field(kw_only=True)

    def zeros(self) -> tuple[int | None, ...]:
        """Any zero points: the table includes them."""
        return (None, None)

    def check(self) -> None:
        """Raises SpecError unless the table has an entry for each pair of values."""
        require(
            self.table.dtype == np.int8 and self.table.shape == (LEVELS, LEVELS),
            f"Node {self.name!r} has a table {self.table.dtype} of shape {self.table.shape}, not "
            f"({LEVELS}, {LEVELS}) int8.",
        )

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The shape of both inputs after broadcasting."""
        return broadcast(self.name, *shapes)


def broadcast(name: str, first: Shape, second: Shape) -> Shape:
    """The common shape of two tensors whose sizes are equal or 1; SpecError for others."""
    require(
        all(a == b or 1 in (a, b) for a, b in zip(first, second, strict=True)),
        f"Node {name!r} combines the shapes {first} and {second}; sizes must be equal or 1.",
    )
    height, width, channels = (max(a, b) for a, b in zip(first, second, strict=True))
    return height, width, channels
