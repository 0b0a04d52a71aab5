"""Unnecessary nodes: padding and reshapes are folded into their neighbours, unread nodes dropped.

Each function takes and returns the nodes of a network in order; no bit of the output changes.
`shapes` holds the shape of INPUT and of every node's output.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from dscim.gateware.specs.layer import MAX_SIDE
from dscim.host.network import Conv, Node, Pad, Reshape, Shape, Weighted
from dscim.host.network.node import Padding


def fold(nodes: Iterable[Node], shapes: Mapping[str, Shape], output: str) -> tuple[Node, ...]:
    """Applies all of them; `output` is the last node of the network."""
    return tuple(drop_unread(fold_reshapes(fold_pads(list(nodes)), shapes), output))


def fold_pads(nodes: list[Node]) -> list[Node]:
    """Folds a Pad into the convolution that is its only reader: both pad with the zero point."""
    readers = Counter(name for node in nodes for name in node.inputs)
    pads = {node.name: node for node in nodes if isinstance(node, Pad) and readers[node.name] == 1}
    return [_padded(node, pads.get(node.inputs[0])) for node in nodes]


def fold_reshapes(nodes: list[Node], shapes: Mapping[str, Shape]) -> list[Node]:
    """Bypasses a Reshape that a Reshape or a fully connected layer reads.

    A kernel that covers the whole input has its weights in the input's order, so it can take the
    shape that the input had before.
    """
    sources = {node.name: node.inputs[0] for node in nodes if isinstance(node, Reshape)}
    return [_unreshaped(node, sources, shapes) for node in nodes]


def drop_unread(nodes: Iterable[Node], output: str) -> list[Node]:
    """The nodes that `output` depends on."""
    read, kept = {output}, []
    for node in reversed(list(nodes)):
        if node.name in read:
            read |= set(node.inputs)
            kept.append(node)
    return kept[::-1]


def _padded(node: Node, pad: Pad | None) -> Node:
    """A convolution with the padding of `pad` added to its own; any other node unchanged."""
    if pad is None or not isinstance(node, Weighted):
        return node
    own = node.padding
    padding: Padding = tuple(
        (before + first, after + second)
        for (before, after), (first, second) in zip(pad.padding, own, strict=True)
    )  # type: ignore[assignment]
    return replace(node, inputs=pad.inputs, padding=padding)


def _unreshaped(node: Node, sources: Mapping[str, str], shapes: Mapping[str, Shape]) -> Node:
    """A Reshape or fully connected layer that reads the input of all Reshapes before it."""
    source = node.inputs[0]
    while source in sources:
        source = sources[source]
    if isinstance(node, Reshape):
        return replace(node, inputs=(source,))
    if (
        isinstance(node, Conv)
        and _fully_connected(node, shapes)
        and max(shapes[source]) <= MAX_SIDE
    ):
        weights = node.weights.reshape(len(node.weights), *shapes[source])
        return replace(node, inputs=(source,), weights=weights)
    return node


def _fully_connected(node: Conv, shapes: Mapping[str, Shape]) -> bool:
    """True for a kernel as large as its unpadded input."""
    return node.weights.shape[1:] == shapes[node.inputs[0]] and node.padding == ((0, 0), (0, 0))
