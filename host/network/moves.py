"""The nodes that only move integers: joining, selecting and reordering."""

from dataclasses import dataclass, field

import numpy as np

from dscim.arrays import Int8, Int32
from dscim.gateware.specs.base import require
from dscim.host.network.lookup import LEVELS
from dscim.host.network.node import Node, Shape

AXES = ("height", "width", "channels")


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """One or more tensors behind each other, each brought to the output's scale by a table.

    axis: 0 height, 1 width, 2 channels. tables: (inputs, 256) int8; entry v of a row is for the
    value v - 128 of that input, and is v - 128 itself where the scales agree.
    """

    arity = None
    pointwise, keeps_scale, fixes_scale = False, False, True

    axis: int = field(kw_only=True)
    tables: Int8 = field(kw_only=True)

    def zeros(self) -> tuple[int | None, ...]:
        """Any zero points: the tables include them."""
        return (None,) * len(self.inputs)

    def check(self) -> None:
        """Raises SpecError unless there is a table for each input."""
        require(
            self.axis in range(3),
            f"Node {self.name!r} joins along axis {self.axis}, not 0..2.",
        )
        require(
            len(self.inputs) >= 1
            and self.tables.dtype == np.int8
            and self.tables.shape == (len(self.inputs), LEVELS),
            f"Node {self.name!r} has tables {self.tables.dtype} of shape {self.tables.shape} for "
            f"{len(self.inputs)} inputs, not ({len(self.inputs)}, {LEVELS}) int8.",
        )

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The sum of the sizes along the axis; all others must agree."""
        others = {tuple(np.delete(shape, self.axis)) for shape in shapes}
        require(
            len(others) == 1,
            f"Node {self.name!r} joins the shapes {shapes} along the {AXES[self.axis]}; their "
            "other sizes must be equal.",
        )
        sizes = list(shapes[0])
        sizes[self.axis] = sum(shape[self.axis] for shape in shapes)
        return sizes[0], sizes[1], sizes[2]


@dataclass(frozen=True, eq=False)
class Select(Node):
    """Chosen rows, columns and channels of a tensor, in any order and any number of times.

    rows, columns, channels: int32, the places in the input, or -1 for the zero point. It covers
    slices, splits, repetition, enlargement by the nearest value, and zeros in between.
    """

    pointwise, keeps_scale, fixes_scale = False, True, False

    rows: Int32 = field(kw_only=True)
    columns: Int32 = field(kw_only=True)
    channels: Int32 = field(kw_only=True)

    def check(self) -> None:
        """Raises SpecError unless the places are lists of int32."""
        for what, places in zip(AXES, (self.rows, self.columns, self.channels), strict=True):
            require(
                places.dtype == np.int32 and places.ndim == 1 and places.size > 0,
                f"Node {self.name!r} selects {what} by {places.dtype} of shape {places.shape}, "
                "not by a list of int32.",
            )

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """As many rows, columns and channels as are chosen."""
        chosen = (self.rows, self.columns, self.channels)
        for what, places, size in zip(AXES, chosen, shapes[0], strict=True):
            require(
                int(places.min()) >= -1 and int(places.max()) < size,
                f"Node {self.name!r} selects {what} {int(places.min())}..{int(places.max())}, "
                f"outside -1..{size - 1}.",
            )
        return len(self.rows), len(self.columns), len(self.channels)


@dataclass(frozen=True, eq=False)
class Transpose(Node):
    """The values with their dimensions in another order.

    The values, in H, W, C order, are seen as a tensor of `sizes`, its dimensions are reordered
    to `order`, and the result, in its order, has `shape`.
    """

    pointwise, keeps_scale, fixes_scale = False, True, False

    sizes: tuple[int, ...] = field(kw_only=True)
    order: tuple[int, ...] = field(kw_only=True)
    shape: Shape = field(kw_only=True)

    def check(self) -> None:
        """Raises SpecError unless `order` is a permutation of the dimensions."""
        require(
            sorted(self.order) == list(range(len(self.sizes))) and len(self.sizes) <= 16,
            f"Node {self.name!r} has the order {self.order} for {len(self.sizes)} dimensions, not "
            "each once, of 16 at most.",
        )

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The new shape; all three must hold as many values."""
        counts = {int(np.prod(each, dtype=object)) for each in (shapes[0], self.sizes, self.shape)}
        require(
            len(counts) == 1 and min(*self.sizes, *self.shape) >= 1,
            f"Node {self.name!r} reorders {shapes[0]} as {self.sizes} to {self.shape}; these must "
            "hold the same number of values.",
        )
        return self.shape
