"""A quantised network as a graph of integer nodes.

Activations are int8, NHWC. A node's inputs are earlier nodes, or INPUT, the network's
input. Only integers determine the result, except for the table of a softmax, which comes last. A
scale gives an integer its meaning: real = scale * (integer - zero point).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.gateware.specs.base import require
from dscim.host.network.node import INPUT, Kind, Node, Shape, of_kind
from dscim.host.network.weighted import Weighted

MAX_VALUES = 1 << 26
"""The maximum number of values in one tensor of one image."""


@dataclass(frozen=True, eq=False)
class Network:
    """A whole network. It is checked when it is created; SpecError names the faulty node.

    shape: of the input. scale, zero: scale and zero point of the input.
    nodes: in an order in which they can be computed; the last one is the network's output.
    classes: a name for each channel of the output, or empty.
    arithmetic: the arithmetic it was tuned for; each node has its own activation shift.
    provenance: JSON values: data set, seeds, versions.
    """

    name: str
    shape: Shape
    scale: float
    zero: int
    nodes: tuple[Node, ...]
    classes: tuple[str, ...] = ()
    arithmetic: ProductSpec = ProductSpec()
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(bool(self.nodes), f"Network {self.name!r} has no nodes.")
        _check_quantity(f"Network {self.name!r}", self.scale, self.zero)
        zeros = {INPUT: self.zero}
        for node in self.nodes:
            require(
                bool(node.name) and node.name not in zeros,
                f"The node name {node.name!r} is empty or not unique.",
            )
            for name in node.inputs:
                require(
                    name in zeros, f"Node {node.name!r} reads {name!r}, which no earlier node has."
                )
            _check(node, tuple(zeros[name] for name in node.inputs))
            zeros[node.name] = node.output_zero
        channels = self.shapes()[self.nodes[-1].name][2]
        require(
            len(self.classes) in (0, channels),
            f"{len(self.classes)} class names do not fit an output of {channels} channels.",
        )

    def suits(self, arithmetic: ProductSpec) -> bool:
        """Whether the network was tuned for `arithmetic`.

        The exact product suits every network that was not calibrated or fine-tuned for another.
        """
        own = replace(self.arithmetic, activation_shift=arithmetic.activation_shift)
        if arithmetic.exact:
            return own.exact or not {"calibrate", "finetune"} & set(self.provenance)
        return arithmetic == own

    def shapes(self) -> dict[str, Shape]:
        """(height, width, channels) of INPUT and of every node's output, by name."""
        shapes = {INPUT: self.shape}
        _check_size(f"Network {self.name!r}", "input", self.shape)
        for node in self.nodes:
            shape = node.output_shape([shapes[name] for name in node.inputs])
            _check_size(f"Node {node.name!r}", "output", shape)
            shapes[node.name] = shape
        return shapes

    def layers(self, arithmetic: ProductSpec | None = None) -> Iterator[tuple[Weighted, LayerSpec]]:
        """The convolutions, including depthwise ones, in order, each with its layer.

        arithmetic: of the products; None: the network's own.
        """
        shapes = self.shapes()
        for node in self.nodes_of(Weighted):
            yield node, node.layer(shapes[node.inputs[0]], arithmetic or self.arithmetic)

    def nodes_of(self, kind: type[Kind]) -> list[Kind]:
        """The nodes of `kind`, in order. Weighted: all nodes that run on the macro."""
        return of_kind(self.nodes, kind)

    def with_weighted(self, change: Callable[[Weighted], Weighted]) -> "Network":
        """The network in which `change` has replaced each Weighted node."""
        changed: dict[str, Node] = {node.name: change(node) for node in self.nodes_of(Weighted)}
        return replace(self, nodes=tuple(changed.get(node.name, node) for node in self.nodes))


def _check(node: Node, zeros: tuple[int, ...]) -> None:
    """Raises SpecError unless the node is consistent with itself and its inputs' zero points."""
    require(
        len(zeros) == (node.arity or max(1, len(zeros))),
        f"Node {node.name!r} has {len(zeros)} inputs, not {node.arity or 'at least 1'}.",
    )
    low, high = node.clamp
    require(
        -128 <= low <= high <= 127 and -128 <= node.output_zero <= 127,
        f"Node {node.name!r} has the clamp {node.clamp} and the output zero point "
        f"{node.output_zero}, not all within -128..127.",
    )
    _check_quantity(f"Node {node.name!r}", node.output_scale, node.output_zero)
    node.check()
    own = node.zeros()
    require(
        all(needed in (None, zero) for needed, zero in zip(own, zeros, strict=True)),
        f"Node {node.name!r} expects the zero points {own}, but its inputs have {zeros}.",
    )


def _check_quantity(what: str, scale: float, zero: int) -> None:
    """Raises SpecError unless the scale and the zero point are valid."""
    require(
        isfinite(scale) and scale > 0 and -128 <= zero <= 127,
        f"{what} has the scale {scale} and the zero point {zero}; scales must be above 0, zero "
        "points within -128..127.",
    )


def _check_size(what: str, tensor: str, shape: Shape) -> None:
    """Raises SpecError for a tensor that is empty or too large."""
    height, width, channels = shape
    require(
        min(shape) >= 1 and height * width * channels <= MAX_VALUES,
        f"{what} has an {tensor} of {shape}; sizes must be at least 1, with at most {MAX_VALUES} "
        "values in total.",
    )
