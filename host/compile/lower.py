"""Turns nodes into commands: descriptors with their weights and parameters; see LOWERINGS."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from dscim.arrays import Int8, Int32, Int64, Words
from dscim.errors import UserError
from dscim.gateware.layout import pack_parameters, pack_product
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.compile.descriptors import FIELDS, Bases, residual_fields, vector_fields
from dscim.host.compile.packing import best_packing, packed_layer, packed_matrix
from dscim.host.compile.parameters import LayerParameters
from dscim.host.compile.products import (
    column_groups,
    depthwise_fields,
    depthwise_groups,
    depthwise_weights,
    layer_fields,
    viewed,
)
from dscim.host.compile.program import Arrays, Command
from dscim.host.golden.reference.operands import column_corrections
from dscim.host.network import (
    ON_HOST,
    Add,
    Conv,
    Depthwise,
    Node,
    Pad,
    Reshape,
    Softmax,
)
from dscim.host.network.node import ByKind, Shape


class Lowering:
    """Makes commands for one device and arithmetic. Arrays are packed once for all strips."""

    def __init__(self, arithmetic: ProductSpec, spec: SocSpec) -> None:
        self.arithmetic, self.spec = arithmetic, spec
        self._packed: dict[tuple[str, int, range], Arrays] = {}
        self._matrices: dict[tuple[str, int], _Columns] = {}

    def commands(
        self,
        node: Node,
        shape: Shape,
        bases: Bases,
        add: Add | None = None,
        by_rows: LayerSpec | None = None,
    ) -> list[Command]:
        """The commands of `node` on inputs of `shape`, all tensors in the activation memory.

        bases: the places of the tensors. add: for a Conv or Depthwise, the Add of the tensor at
        `bases.second` to its output. by_rows: for a Conv, the layer that it runs as, if its input
        lies by rows. Raises UserError or SpecError if the device cannot do it.
        """
        lower = LOWERINGS[type(node)]
        if lower is None:
            raise UserError(f"node {node.name!r} of kind {type(node).__name__} has no descriptor.")
        if by_rows is None:
            commands = lower(self, node, shape, bases)
        else:
            assert isinstance(node, Conv)
            commands = self._convolution(node, by_rows, bases)
        if add is None:
            return commands
        residual = residual_fields(add, node.name, bases.second)
        return [Command(command.fields | residual, command.arrays) for command in commands]

    def vector(self, node: Node, shape: Shape, bases: Bases) -> list[Command]:
        """The command of a node without weights."""
        return [Command(vector_fields(node, shape, bases))]

    def convolution(self, node: Conv, shape: Shape, bases: Bases) -> list[Command]:
        """A command per group of output channels; the input lies in the shape of `viewed`."""
        return self._convolution(node, viewed(node.layer(shape, self.arithmetic)), bases)

    def _convolution(self, node: Conv, layer: LayerSpec, bases: Bases) -> list[Command]:
        LayerParameters(node.weights, node.bias, node.multiplier, node.shift)  # checks them
        pixels = best_packing(self.spec, layer)
        columns = self._columns(node, layer, pixels)
        layer = packed_layer(layer, pixels)
        commands = []
        for outputs in column_groups(self.spec, layer):
            fields = layer_fields(self.spec, layer, bases.tensors, outputs=outputs)
            key = node.name, pixels, outputs
            if key not in self._packed:
                part = columns.part(outputs)
                words = pack_product(self.spec, part.matrix, layer.input[2])
                self._packed[key] = part.arrays(words, layer)
            commands.append(Command(fields, self._packed[key]))
        return commands

    def _columns(self, node: Conv, layer: LayerSpec, pixels: int) -> "_Columns":
        """The node's columns for all pixels of a window."""
        key = node.name, pixels
        if key not in self._matrices:
            weights = node.weights.reshape(len(node.weights), *layer.kernel, layer.input[2])
            self._matrices[key] = _Columns(
                packed_matrix(weights, layer, pixels),
                *(np.tile(values, pixels) for values in (node.bias, node.multiplier, node.shift)),
            )
        return self._matrices[key]

    def depthwise(self, node: Depthwise, shape: Shape, bases: Bases) -> list[Command]:
        """A command per group of channels."""
        layer = node.layer(shape, self.arithmetic)
        LayerParameters(  # checks them
            node.weights.transpose(2, 0, 1)[..., None], node.bias, node.multiplier, node.shift
        )
        commands = []
        for group in depthwise_groups(self.spec, layer):
            fields = depthwise_fields(self.spec, layer, group, bases.tensors)
            key = node.name, 1, group.outputs
            if key not in self._packed:
                chosen = slice(group.outputs.start, group.outputs.stop)
                self._packed[key] = Arrays(
                    depthwise_weights(self.spec, layer, group, node.weights),
                    pack_parameters(node.bias[chosen], node.multiplier[chosen], node.shift[chosen]),
                )
            commands.append(Command(fields, self._packed[key]))
        return commands


LOWERINGS: ByKind[Callable[[Lowering, Any, Shape, Bases], list[Command]] | None] = {
    **{kind: Lowering.vector for kind, fields in FIELDS.items() if fields is not None},
    Conv: Lowering.convolution,
    Depthwise: Lowering.depthwise,
    Pad: None,
    Reshape: None,
    Softmax: None,
    **dict.fromkeys(ON_HOST),
}
"""The commands of each kind of node; None: the engine has no operation for it, the host runs it."""


def where(kind: type[Node]) -> str:
    """Where nodes of a kind run: "device" or "host"."""
    return "host" if LOWERINGS[kind] is None else "device"


@dataclasses.dataclass(frozen=True, eq=False)
class _Columns:
    """matrix: (rows, outputs) int8; bias, multiplier, shift: (outputs,) int32."""

    matrix: Int8
    bias: Int32
    multiplier: Int32
    shift: Int32

    def arrays(self, weights: Words, layer: LayerSpec) -> Arrays:
        """The parameters with the packed `weights`; constants of the columns are in the bias."""
        bias: Int64 = self.bias.astype(np.int64)
        if not layer.product.exact:
            bias = bias + column_corrections(self.matrix, layer.product, layer.input_zero)
        return Arrays(weights, pack_parameters(bias, self.multiplier, self.shift))

    def part(self, outputs: range) -> "_Columns":
        """The columns of some outputs."""
        chosen = slice(outputs.start, outputs.stop)
        return _Columns(
            self.matrix[:, chosen], self.bias[chosen], self.multiplier[chosen], self.shift[chosen]
        )
