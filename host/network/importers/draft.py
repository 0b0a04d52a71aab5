"""A network during its import: nodes in order, then folded and checked."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SpecError
from dscim.host.network import INPUT, Network, Node, Shape, Weighted
from dscim.host.network.file import MAX_NODES
from dscim.host.network.importers.fold import fold
from dscim.host.network.importers.scales import Quantity

Made = TypeVar("Made")


class Draft:
    """Nodes in order, each with its shape, its quantity and its tensor name in the file.

    shape, quantity, source: those of the network's input.
    rounded: nodes that cannot round exactly as the file's kernels do; see Imported.
    """

    def __init__(self, shape: Shape, quantity: Quantity, source: str) -> None:
        self.nodes: list[Node] = []
        self.shapes = {INPUT: shape}
        self.quantities = {INPUT: quantity}
        self.sources = {INPUT: source}
        self.rounded: dict[str, float] = {}

    def add(self, node: Node, shape: Shape, source: str) -> str:
        """Adds a node whose output has `shape` and is the file's `source`; returns its name."""
        if len(self.nodes) >= MAX_NODES:
            raise UserError(f"it has more than {MAX_NODES} operators.")
        self.nodes.append(node)
        self.shapes[node.name] = shape
        self.quantities[node.name] = Quantity(node.output_scale, node.output_zero)
        self.sources[node.name] = source
        return node.name

    def finish(
        self, name: str, output: str, notes: Iterable[str], file: dict[str, Any]
    ) -> "Imported":
        """The import, folded and checked, that ends with the node `output`; exact arithmetic.

        file: the entry of the file in the provenance. UserError if nothing is computed, or if a
        shape differs from the one in the file.
        """
        if output == INPUT:
            raise UserError("the file's output is its input: there is nothing to compute.")
        nodes = fold(self.nodes, self.shapes, output)
        kept = {node.name for node in nodes}
        sources = {key: value for key, value in self.sources.items() if key in kept | {INPUT}}
        rounded = {key: value for key, value in self.rounded.items() if key in kept}
        provenance = {"import": {**file, "tensors": sources, "rounded": rounded}}
        quantity = self.quantities[INPUT]
        network = Network(
            name,
            self.shapes[INPUT],
            quantity.scale,
            quantity.zero,
            nodes,
            (),
            ProductSpec(exact=True),
            provenance,
        )
        for made, shape in network.shapes().items():
            if shape != self.shapes[made]:
                raise UserError(
                    f"{made!r} has an output of shape {shape}, but the file says "
                    f"{self.shapes[made]} (height, width, channels)."
                )
        return Imported(network, tuple(notes), sources, saturated(network), rounded)


def saturated(network: Network) -> dict[str, int]:
    """The number of weights of each node that are -128; the signed mode split uses -127."""
    counts = {
        node.name: int(np.count_nonzero(node.weights == -128))
        for node in network.nodes_of(Weighted)
    }
    return {name: count for name, count in counts.items() if count}


def at(place: str, make: Callable[[], Made]) -> Made:
    """The result of `make`; a SpecError becomes a UserError that names the place."""
    try:
        return make()
    except SpecError as error:
        text = str(error)
        raise UserError(f"{place}: {text[:1].lower()}{text[1:]}") from error


@dataclasses.dataclass(frozen=True)
class Imported:
    """A network from a file, with notes for the user.

    notes: sentences on what was left out or shifted at input and output.
    sources: the tensor names in the file of INPUT and of each node.
    saturated: weights of -128, by node. rounded: by node, the share of possible sums that round
    to another integer, because the file's kernels have a finer scale than the engine.
    """

    network: Network
    notes: tuple[str, ...]
    sources: dict[str, str]
    saturated: dict[str, int]
    rounded: dict[str, float]
