"""Row strips: cuts a node into parts that fit the activation memory."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dscim.gateware.layout import ceil_div, tensor_rows
from dscim.gateware.specs import SocSpec
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
    Softmax,
    Weighted,
)
from dscim.host.network.node import ByKind, Shape


@dataclass(frozen=True)
class Strip:
    """The output rows `output` of a node, computed from the input rows `input`.

    node: the node with the part of its vertical padding that these rows reach.
    """

    node: Node
    input: range
    output: range


def _same(node: Node, shape: Shape, output: range) -> Strip:
    """For a node that reads its inputs at the position of the output."""
    return Strip(node, output, output)


def _whole(node: Node, shape: Shape, output: range) -> Strip:
    """For a node that reads all rows."""
    return Strip(node, range(shape[0]), output)


def _windowed(node: Weighted | AveragePool | MaxPool, shape: Shape, output: range) -> Strip:
    """For a node that reads windows."""
    first = output.start * node.stride[0] - node.padding[0][0]
    last = (output.stop - 1) * node.stride[0] - node.padding[0][0] + node.kernel[0]
    rows = range(min(max(first, 0), shape[0] - 1), max(min(last, shape[0]), 1))
    padding = ((rows.start - first, last - rows.stop), node.padding[1])
    return Strip(dataclasses.replace(node, padding=padding), rows, output)


STRIPS: ByKind[Callable[[Any, Shape, range], Strip] | None] = {
    Conv: _windowed,
    Depthwise: _windowed,
    Add: _same,
    AveragePool: _windowed,
    MaxPool: _windowed,
    Mean: _whole,
    Requantise: _same,
    Pad: None,
    Reshape: None,
    Softmax: None,
    **dict.fromkeys(ON_HOST),
}
"""How each kind of node is cut; None: the host computes it as a whole."""


def strip(node: Node, shape: Shape, output: range) -> Strip:
    """The strip of `node`, on inputs of `shape`, that computes the rows `output` of its output."""
    cut = STRIPS[type(node)]
    assert cut is not None, "the host computes nodes as a whole"
    return cut(node, shape, output)


def _rows(node: Node, shape: Shape, part: Strip, banks: int) -> int:
    """Rows of the activation memory for a strip's inputs and its output."""
    output = node.output_shape([shape] * len(node.inputs))
    return len(node.inputs) * tensor_rows((len(part.input), *shape[1:]), banks) + tensor_rows(
        (len(part.output), *output[1:]), banks
    )


def strips(node: Node, shape: Shape, spec: SocSpec) -> list[Strip]:
    """The fewest strips whose inputs and output fit the device; empty if no single row fits.

    shape: the shape of the node's inputs. All strips but the last have equally many output rows.
    """
    rows = node.output_shape([shape] * len(node.inputs))[0]
    for count in range(1, rows + 1):
        step = ceil_div(rows, count)
        parts = [
            strip(node, shape, range(first, min(first + step, rows)))
            for first in range(0, rows, step)
        ]
        if all(_rows(node, shape, part, spec.banks) <= spec.activation_rows for part in parts):
            return parts
    return []
