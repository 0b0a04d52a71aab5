"""Row strips: parts of a node that need no more memory than there is."""

import dataclasses
from dataclasses import dataclass

from dscim.gateware.layout import tensor_words
from dscim.host.network import AveragePool, MaxPool, Mean, Node
from dscim.host.network.node import Shape
from dscim.host.network.weighted import Weighted

Windowed = Weighted | AveragePool | MaxPool


@dataclass(frozen=True)
class Strip:
    """Output rows first..last-1 of a node, from input rows first..last-1.

    node: the node as it is on those rows: its vertical padding is what is left of it there.
    """

    node: Node
    input: range
    output: range


def strip(node: Node, shape: Shape, output: range) -> Strip:
    """The strip of `node`, whose inputs are of `shape`, with the rows `output` of its output."""
    if isinstance(node, Mean):
        return Strip(node, range(shape[0]), output)
    if not isinstance(node, Windowed):
        return Strip(node, output, output)
    height = node.weights.shape[-3] if isinstance(node, Weighted) else node.kernel[0]
    first = output.start * node.stride[0] - node.padding[0][0]
    last = (output.stop - 1) * node.stride[0] - node.padding[0][0] + height
    rows = range(min(max(first, 0), shape[0] - 1), max(min(last, shape[0]), 1))
    padding = ((rows.start - first, last - rows.stop), node.padding[1])
    return Strip(dataclasses.replace(node, padding=padding), rows, output)


def words(node: Node, shape: Shape, part: Strip) -> tuple[int, int]:
    """Words of the activation memory that a strip's input and output take, each."""
    output = node.output_shape([shape] * node.arity)
    return (
        tensor_words((len(part.input), *shape[1:])),
        tensor_words((len(part.output), *output[1:])),
    )


def strips(node: Node, shape: Shape, room: int) -> list[Strip]:
    """As few strips as fit `room` words with their inputs and output; none when not even a row.

    shape: of the node's inputs. All strips but the last have as many output rows.
    """
    rows = node.output_shape([shape] * node.arity)[0]
    for count in range(1, rows + 1):
        step = -(-rows // count)
        parts = [
            strip(node, shape, range(first, min(first + step, rows)))
            for first in range(0, rows, step)
        ]
        if all(
            node.arity * taken + made <= room
            for taken, made in (words(node, shape, part) for part in parts)
        ):
            return parts
    return []
