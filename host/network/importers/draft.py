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


@dataclasses.dataclass(frozen=True)
class Origin:
    """The tensor of the file that holds a node's values.

    name, index: of the tensor; -1 in formats whose tensors have unique names. order: the node's
    "h", "w" and "c" in the order in which the tensor holds them.
    """

    name: str
    index: int = -1
    order: str = "hwc"


@dataclasses.dataclass(frozen=True)
class Entry:
    """The file's input: its name, numpy's name of its type, the order of "h", "w" and "c" in it.

    dims: its dimensions after the batch.
    """

    name: str
    dtype: str
    order: str
    dims: tuple[int, ...]


class Draft:
    """Nodes in order, each with its shape, its quantity and its tensor in the file.

    shape, quantity, source: those of the network's input. Nodes between two operators have no
    source. rounded: nodes that cannot round exactly as the file's kernels do; see Imported.
    """

    def __init__(self, shape: Shape, quantity: Quantity, source: Origin) -> None:
        self.nodes: list[Node] = []
        self.shapes = {INPUT: shape}
        self.quantities = {INPUT: quantity}
        self.sources = {INPUT: source}
        self.rounded: dict[str, float] = {}

    def add(self, node: Node, shape: Shape, source: Origin | None, place: str) -> str:
        """Adds a node whose output has `shape` and is the file's `source`; returns its name.

        UserError, which begins with `place`, if the node is not consistent or has another shape.
        """
        if len(self.nodes) >= MAX_NODES:
            raise UserError(f"it has more than {MAX_NODES} operators.")
        at(place, node.check)
        made = at(place, lambda: node.output_shape([self.shapes[name] for name in node.inputs]))
        if made != shape:
            raise UserError(
                f"{place} has an output of shape {made}, but the file says {shape} (height, width, "
                "channels)."
            )
        self.nodes.append(node)
        self.shapes[node.name] = shape
        self.quantities[node.name] = Quantity(node.output_scale, node.output_zero)
        if source is not None:
            self.sources[node.name] = source
        return node.name

    def unique(self, name: str) -> str:
        """`name`, or with a number if a node has it."""
        numbered = (f"{name}_{number}" for number in range(2, MAX_NODES + 2))
        return (
            name if name not in self.shapes else next(n for n in numbered if n not in self.shapes)
        )

    def finish(self, name: str, output: str, notes: Iterable[str], file: "File") -> "Imported":
        """The import, folded and checked, that ends with the node `output`; exact arithmetic.

        UserError if nothing is computed.
        """
        if output == INPUT:
            raise UserError("the file's output is its input: there is nothing to compute.")
        nodes = fold(self.nodes, self.shapes, output)
        kept = {node.name for node in nodes}
        sources = {key: value for key, value in self.sources.items() if key in kept | {INPUT}}
        rounded = {key: value for key, value in self.rounded.items() if key in kept}
        tensors = {key: origin.name for key, origin in sources.items()}
        provenance = {"import": {**file.facts, "tensors": tensors, "rounded": rounded}}
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
        return Imported(
            network,
            tuple(notes),
            sources,
            saturated(network),
            rounded,
            file.runtime,
            file.batch,
            file.entry,
        )


@dataclasses.dataclass(frozen=True)
class File:
    """What a file says besides its network.

    facts: its entry in the provenance. runtime: the one that it was made for, a key of
    `dscim.host.network.importers.runtimes.RUNTIMES`. batch: the images that it takes at once.
    entry: its input.
    """

    facts: dict[str, Any]
    runtime: str
    batch: int
    entry: Entry


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
    sources: the tensors in the file of INPUT and of the nodes that have one.
    saturated: weights of -128, by node. rounded: by node, the share of possible sums that round
    to another integer, because the file's kernels have a finer scale than the engine.
    runtime, batch, entry: see File.
    """

    network: Network
    notes: tuple[str, ...]
    sources: dict[str, Origin]
    saturated: dict[str, int]
    rounded: dict[str, float]
    runtime: str
    batch: int
    entry: Entry
