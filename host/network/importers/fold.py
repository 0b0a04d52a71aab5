"""Removes unnecessary nodes: folds padding and reshapes into their readers.

Each function takes and returns the nodes of a network in order; no bit of the output changes.
shapes: of INPUT and of every node's output, by name.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from dscim.host.network import (
    ON_HOST,
    Add,
    AveragePool,
    Conv,
    Depthwise,
    MaxPool,
    Mean,
    Node,
    Pad,
    Requantise,
    Reshape,
    Shape,
    Softmax,
    Weighted,
)
from dscim.host.network.importers.expand import fits_layer
from dscim.host.network.node import ByKind, Padding, of_kind


def fold(nodes: Iterable[Node], shapes: Mapping[str, Shape], output: str) -> tuple[Node, ...]:
    """The nodes after all foldings. output: the name of the network's last node."""
    return tuple(drop_unread(fold_reshapes(fold_pads(list(nodes)), shapes), output))


def fold_pads(nodes: list[Node]) -> list[Node]:
    """Folds a Pad into its only reader, a convolution: both pad with the zero point."""
    readers = Counter(name for node in nodes for name in node.inputs)
    pads = {pad.name: pad for pad in of_kind(nodes, Pad) if readers[pad.name] == 1}
    return [_padded(node, pads.get(node.inputs[0])) for node in nodes]


def fold_reshapes(nodes: list[Node], shapes: Mapping[str, Shape]) -> list[Node]:
    """Skips a Reshape that another Reshape or a fully connected layer reads.

    The rows of a kernel that covers the whole input are in the order of the input, so the kernel
    takes the shape that the input had before.
    """
    sources = {reshape.name: reshape.inputs[0] for reshape in of_kind(nodes, Reshape)}
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
    """The node with the padding of `pad` folded in, if its kind supports it."""
    absorb = PADS[type(node)]
    return node if pad is None or absorb is None else absorb(node, pad)


def _absorb_pad(node: Weighted, pad: Pad) -> Node:
    """The convolution of the unpadded tensor, with the padding added to its own."""
    padding: Padding = tuple(
        (before + first, after + second)
        for (before, after), (first, second) in zip(pad.padding, node.padding, strict=True)
    )  # type: ignore[assignment]
    return replace(node, inputs=pad.inputs, padding=padding)


PADS: ByKind[Callable[[Any, Pad], Node] | None] = {
    Conv: _absorb_pad,
    Depthwise: _absorb_pad,
    Add: None,
    AveragePool: None,
    MaxPool: None,
    Mean: None,
    Pad: None,
    Requantise: None,
    Reshape: None,
    Softmax: None,
    **dict.fromkeys(ON_HOST),
}
"""How a Pad is folded into each kind of node; None: it stays."""


def _unreshaped(node: Node, sources: Mapping[str, str], shapes: Mapping[str, Shape]) -> Node:
    """The node, reading the tensor before all preceding Reshapes if its kind supports it."""
    skip, source = RESHAPES[type(node)], node.inputs[0]
    while source in sources:
        source = sources[source]
    return node if skip is None else skip(node, source, shapes)


def _skip_reshape(node: Reshape, source: str, shapes: Mapping[str, Shape]) -> Node:
    return replace(node, inputs=(source,))


def _skip_flatten(node: Conv, source: str, shapes: Mapping[str, Shape]) -> Node:
    if not _fully_connected(node, shapes) or not fits_layer(shapes[source]):
        return node
    weights = node.weights.reshape(len(node.weights), *shapes[source])
    return replace(node, inputs=(source,), weights=weights)


RESHAPES: ByKind[Callable[[Any, str, Mapping[str, Shape]], Node] | None] = {
    Conv: _skip_flatten,
    Reshape: _skip_reshape,
    Depthwise: None,
    Add: None,
    AveragePool: None,
    MaxPool: None,
    Mean: None,
    Pad: None,
    Requantise: None,
    Softmax: None,
    **dict.fromkeys(ON_HOST),
}
"""How each kind of node skips the Reshapes before it; None: it does not."""


def _fully_connected(node: Conv, shapes: Mapping[str, Shape]) -> bool:
    """True if the kernel is as large as the unpadded input."""
    return node.weights.shape[1:] == shapes[node.inputs[0]] and node.padding == ((0, 0), (0, 0))
