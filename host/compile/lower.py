"""Turns nodes into commands: descriptors with their weights and parameters; see LOWERINGS."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from dscim.arrays import Int8, Int32, Int64
from dscim.errors import UserError
from dscim.gateware.layout import pack_parameters, pack_weights
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.compile.cycles import best_packing
from dscim.host.compile.descriptors import FIELDS, Bases, residual_fields, vector_fields
from dscim.host.compile.packing import Packing, packed_layer, packed_matrix
from dscim.host.compile.parameters import LayerParameters
from dscim.host.compile.products import (
    column_groups,
    depthwise_fields,
    depthwise_matrix,
    depthwise_outputs,
    depthwise_tiles,
    layer_fields,
)
from dscim.host.compile.program import Arrays, Command
from dscim.host.golden.reference.operands import column_corrections
from dscim.host.network import Add, Conv, Depthwise, Node, Pad, Reshape, Softmax
from dscim.host.network.node import ByKind, Shape
from dscim.host.network.weighted import Weighted


class Lowering:
    """Makes commands for one device and arithmetic. Arrays are packed once for all strips."""

    def __init__(self, arithmetic: ProductSpec, spec: SocSpec) -> None:
        self.arithmetic, self.spec = arithmetic, spec
        self._packed: dict[tuple[str, range, tuple[int, ...]], Arrays] = {}
        self._matrices: dict[tuple[str, Packing], _Columns] = {}

    def commands(
        self, node: Node, shape: Shape, bases: Bases, add: Add | None = None
    ) -> list[Command]:
        """The commands of `node` on inputs of `shape`, all tensors in the activation memory.

        bases: the places of the tensors. add: for a Conv or Depthwise, the Add of the tensor at
        `bases.second` to its output. Raises UserError or SpecError if the device cannot do it.
        """
        lower = LOWERINGS[type(node)]
        if lower is None:
            raise UserError(f"node {node.name!r} of kind {type(node).__name__} has no descriptor.")
        commands = lower(self, node, shape, bases)
        if add is None:
            return commands
        residual = residual_fields(add, node.name, bases.second)
        return [Command(command.fields | residual, command.arrays) for command in commands]

    def vector(self, node: Node, shape: Shape, bases: Bases) -> list[Command]:
        """The command of a node without weights."""
        return [Command(vector_fields(node, shape, bases))]

    def convolution(self, node: Conv, shape: Shape, bases: Bases) -> list[Command]:
        """A command per group of output channels."""
        layer = node.layer(shape, self.arithmetic)
        LayerParameters(node.weights, node.bias, node.multiplier, node.shift)  # checks them
        packing = best_packing(self.spec, layer)
        columns, layer = self._columns(node, layer, packing), packed_layer(layer, packing)
        commands = []
        for outputs in column_groups(len(columns.matrix), layer.outputs, self.spec):
            place = Bases(bases.input, bases.output, parameters=outputs.start % 8)
            fields = layer_fields(self.spec, layer, place, outputs=outputs, windows=packing.windows)
            arrays = self._arrays(node, outputs, columns.part(outputs), layer)
            commands.append(Command(fields, arrays))
        return commands

    def _columns(self, node: Conv, layer: LayerSpec, packing: Packing) -> "_Columns":
        """The node's columns for all pixels of a window."""
        key = node.name, packing
        if key not in self._matrices:
            matrix = packed_matrix(node.weights, layer, packing, self.spec.macro.or_width)
            self._matrices[key] = _Columns(
                matrix,
                *(
                    np.tile(values, packing.pixels)
                    for values in (node.bias, node.multiplier, node.shift)
                ),
            )
        return self._matrices[key]

    def depthwise(self, node: Depthwise, shape: Shape, bases: Bases) -> list[Command]:
        """A command per row tile."""
        layer = node.layer(shape, self.arithmetic)
        LayerParameters(  # checks them
            node.weights.transpose(2, 0, 1)[..., None], node.bias, node.multiplier, node.shift
        )
        each = layer.outputs // layer.input[2]
        commands = []
        for channels in depthwise_tiles(self.spec, layer):
            outputs = depthwise_outputs(layer, channels)
            place = Bases(bases.input, bases.output, parameters=outputs.start % 8)
            fields = depthwise_fields(self.spec, layer, channels, place)
            chosen = slice(outputs.start, outputs.stop)
            columns = _Columns(
                depthwise_matrix(node.weights, channels, each),
                node.bias[chosen],
                node.multiplier[chosen],
                node.shift[chosen],
            )
            commands.append(Command(fields, self._arrays(node, outputs, columns, layer)))
        return commands

    def _arrays(
        self, node: Weighted, outputs: range, columns: "_Columns", layer: LayerSpec
    ) -> Arrays:
        """The packed columns of the node's `outputs`; `columns` holds only these."""
        key = node.name, outputs, columns.matrix.shape
        if key not in self._packed:
            bias: Int64 = columns.bias.astype(np.int64)
            if not layer.product.exact:
                bias = bias + column_corrections(columns.matrix, layer.product, layer.input_zero)
            self._packed[key] = Arrays(
                pack_weights(columns.matrix, self.spec.macro.columns),
                pack_parameters(bias, columns.multiplier, columns.shift),
            )
        return self._packed[key]


LOWERINGS: ByKind[Callable[[Lowering, Any, Shape, Bases], list[Command]] | None] = {
    **{kind: Lowering.vector for kind, fields in FIELDS.items() if fields is not None},
    Conv: Lowering.convolution,
    Depthwise: Lowering.depthwise,
    Pad: None,
    Reshape: None,
    Softmax: None,
}
"""The commands of each kind of node; None: the engine has no operation for it, the host runs it."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Columns:
    """matrix: (rows, outputs) int8; bias, multiplier, shift: (outputs,) int32."""

    matrix: Int8
    bias: Int32
    multiplier: Int32
    shift: Int32

    def part(self, outputs: range) -> "_Columns":
        """The columns of some outputs."""
        chosen = slice(outputs.start, outputs.stop)
        return _Columns(
            self.matrix[:, chosen], self.bias[chosen], self.multiplier[chosen], self.shift[chosen]
        )
