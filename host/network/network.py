"""A quantised network as a graph of integer nodes.

Activations are int8, NHWC. A node's inputs are earlier nodes, or INPUT, the network's own
input. Everything that decides a bit of the result is an integer (the table of a softmax aside,
which comes last); scales only tell what an integer stands for:
real = scale * (integer - zero point).
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
"""The most values of one tensor of one image."""


@dataclass(frozen=True, eq=False)
class Network:
    """A whole network; it is checked when it is made, and SpecError names the node at fault.

    shape: of the input. scale, zero: what the input's integers stand for.
    nodes: in an order in which they can be computed; the last is the network's output.
    classes: a name for each channel of the output, or none.
    arithmetic: what the network was tuned for; its activation shift is overridden by each node.
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
                f"The node name {node.name!r} is empty or taken.",
            )
            for given in node.inputs:
                require(
                    given in zeros, f"Node {node.name!r} takes {given!r}, which no earlier node is."
                )
            _check(node, tuple(zeros[given] for given in node.inputs))
            zeros[node.name] = node.output_zero
        channels = self.shapes()[self.nodes[-1].name][2]
        require(
            len(self.classes) in (0, channels),
            f"{len(self.classes)} class names do not fit an output of {channels} channels.",
        )

    def shapes(self) -> dict[str, Shape]:
        """(height, width, channels) of INPUT and of every node's output."""
        shapes = {INPUT: self.shape}
        _check_size(f"Network {self.name!r}", "input", self.shape)
        for node in self.nodes:
            shape = node.output_shape([shapes[name] for name in node.inputs])
            _check_size(f"Node {node.name!r}", "output", shape)
            shapes[node.name] = shape
        return shapes

    def layers(self, arithmetic: ProductSpec | None = None) -> Iterator[tuple[Weighted, LayerSpec]]:
        """The convolutions, depthwise ones too, in order, each with its layer.

        arithmetic: the product of each; None: the network's own.
        """
        shapes = self.shapes()
        for node in self.nodes_of(Weighted):
            yield node, node.layer(shapes[node.inputs[0]], arithmetic or self.arithmetic)

    def nodes_of(self, kind: type[Kind]) -> list[Kind]:
        """The nodes of `kind`, in order; those of Weighted are all that run on the macro."""
        return of_kind(self.nodes, kind)

    def with_weighted(self, change: Callable[[Weighted], Weighted]) -> "Network":
        """The network with each node that runs on the macro replaced by what `change` returns."""
        changed: dict[str, Node] = {node.name: change(node) for node in self.nodes_of(Weighted)}
        return replace(self, nodes=tuple(changed.get(node.name, node) for node in self.nodes))


def _check(node: Node, zeros: tuple[int, ...]) -> None:
    """Raises SpecError unless the node's numbers fit each other and its inputs' zero points."""
    require(
        len(zeros) == node.arity, f"Node {node.name!r} has {len(zeros)} inputs, not {node.arity}."
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
        all(wanted in (None, given) for wanted, given in zip(own, zeros, strict=True)),
        f"Node {node.name!r} expects the zero points {own}, but its inputs have {zeros}.",
    )


def _check_quantity(what: str, scale: float, zero: int) -> None:
    """Raises SpecError unless integers of this scale and zero point stand for something."""
    require(
        isfinite(scale) and scale > 0 and -128 <= zero <= 127,
        f"{what} has the scale {scale} and the zero point {zero}; a scale is above 0, a zero "
        "point within -128..127.",
    )


def _check_size(what: str, tensor: str, shape: Shape) -> None:
    """Raises SpecError for a tensor that is empty or that no memory holds."""
    height, width, channels = shape
    require(
        min(shape) >= 1 and height * width * channels <= MAX_VALUES,
        f"{what} has an {tensor} of {shape}; sizes begin at 1, and at most {MAX_VALUES} "
        "values fit.",
    )
