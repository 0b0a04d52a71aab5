"""The base class of all nodes, and what several kinds share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from dscim.arrays import Array
from dscim.gateware.specs.base import require

INPUT = "input"
"""The name of the network's input, for nodes that read it."""

Shape = tuple[int, int, int]
"""(height, width, channels)."""

Pair = tuple[int, int]

Padding = tuple[Pair, Pair]
"""((top, bottom), (left, right)), in positions."""


@dataclass(frozen=True, eq=False)
class Node:
    """A step of a network: it computes one int8 tensor from one or more earlier ones.

    name: unique, not empty, not INPUT. inputs: names of earlier nodes, or INPUT.
    output_zero, output_scale: zero point and scale of the int8 output. clamp: its minimum and
    maximum, within -128..127; a fused ReLU is a clamp at output_zero.
    """

    arity: ClassVar[int | None] = 1
    """The number of inputs; None: any number of at least 1."""

    pointwise: ClassVar[bool]
    """Whether each output value depends only on the input values at the same position."""

    keeps_scale: ClassVar[bool]
    """Whether the output has the scale and the zero point of the input."""

    fixes_scale: ClassVar[bool]
    """Whether the node's numbers hold for one input scale only, and cannot be adapted."""

    name: str
    inputs: tuple[str, ...]
    output_zero: int
    output_scale: float
    clamp: Pair = (-128, 127)

    def zeros(self) -> tuple[int | None, ...]:
        """The zero point that each input must have; None: any."""
        return (self.output_zero,)

    def check(self) -> None:
        """Raises SpecError unless the node's numbers are consistent."""

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The output's shape for inputs of `shapes`; SpecError if they do not fit."""
        return shapes[0]


Kind = TypeVar("Kind", bound=Node)
Entry = TypeVar("Entry")

ByKind = dict[type[Node], Entry]
"""A table with an entry for each kind of node: how an operation treats it.

Every table has an entry for every kind in KINDS; None marks a kind that the operation does not
support. `tests/test_kinds.py` checks all tables and names the kinds that are missing.
"""


def of_kind(nodes: Iterable[Node], kind: type[Kind]) -> list[Kind]:
    """The nodes of `kind` among `nodes`, in order."""
    return [node for node in nodes if isinstance(node, kind)]


def check_scaling(name: str, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> None:
    """Raises SpecError for a multiplier or shift that TensorFlow Lite's kernels do not support."""
    multipliers: Array = np.asarray(multiplier, np.int64)
    shifts: Array = np.asarray(shift, np.int64)
    require(
        bool(((multipliers >= 0) & (multipliers < 1 << 31)).all() and (abs(shifts) <= 31).all()),
        f"Node {name!r} has a multiplier below 0 or a shift beyond 31.",
    )


def same_padding(size: int, kernel: int, stride: int) -> Pair:
    """Padding before and after `size` positions in the scheme SAME; an odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pooled_shape(node: Any, shape: Shape) -> Shape:
    """The output shape of a pool, with kernel, stride and padding, on an input of `shape`."""
    require(
        min(*node.kernel, *node.stride) >= 1 and min(map(min, node.padding)) >= 0,
        f"Node {node.name!r} has the kernel {node.kernel}, the stride {node.stride} and the "
        f"padding {node.padding}; sizes must be at least 1, paddings at least 0.",
    )
    sides = [
        (size + sum(pad) - kernel) // stride + 1
        for size, pad, kernel, stride in zip(
            shape[:2], node.padding, node.kernel, node.stride, strict=True
        )
    ]
    require(
        min(sides) >= 1,
        f"Node {node.name!r} has the kernel {node.kernel}, larger than its padded input "
        f"of {shape[:2]}.",
    )
    require(
        all(max(pad) < kernel for pad, kernel in zip(node.padding, node.kernel, strict=True)),
        f"Node {node.name!r} has windows that hold padding only: its padding {node.padding} is as "
        f"large as its kernel {node.kernel}.",
    )
    return sides[0], sides[1], shape[2]
