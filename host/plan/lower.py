"""From a node to commands: descriptors with the weights and parameters that they need."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.cycles import pixels_together
from dscim.host.fields import (
    Bases,
    column_groups,
    depthwise_fields,
    depthwise_matrix,
    depthwise_outputs,
    depthwise_tiles,
    layer_fields,
    vector_fields,
)
from dscim.host.layout import pack_parameters, pack_weights
from dscim.host.network import Conv, Depthwise, Node
from dscim.host.network.node import Shape
from dscim.host.network.weighted import Weighted
from dscim.host.parameters import LayerParameters
from dscim.host.pixels import widened, widened_weights
from dscim.host.plan.program import Arrays, Command
from dscim.host.reference import weight_matrix
from dscim.host.reference.operands import IntArray, column_corrections


class Lowering:
    """Makes commands for one device and arithmetic; arrays are packed once for all strips."""

    def __init__(self, arithmetic: ProductSpec, spec: SocSpec) -> None:
        self.arithmetic, self.spec = arithmetic, spec
        self._packed: dict[tuple[int, int, int], Arrays] = {}
        self._wide: dict[tuple[int, int, int], Conv] = {}

    def commands(self, node: Node, shape: Shape, bases: Bases) -> list[Command]:
        """What computes `node` from an input of `shape`, all tensors in the activation memory.

        bases: of the tensors. Raises UserError or SpecError for what the device cannot do.
        """
        if isinstance(node, Conv):
            return self._product(node, node.layer(shape, self.arithmetic), bases)
        if isinstance(node, Depthwise):
            return self._depthwise(node, node.layer(shape, self.arithmetic), bases)
        return [Command(vector_fields(node, shape, bases))]

    def _product(self, node: Conv, layer: LayerSpec, bases: Bases) -> list[Command]:
        LayerParameters(node.weights, node.bias, node.multiplier, node.shift)
        pixels = pixels_together(self.spec, layer)
        if pixels > 1:
            node, layer = self._widened(node, layer, pixels), widened(layer, pixels)
        matrix = weight_matrix(node.weights)
        made = []
        for outputs in column_groups(layer.depth, layer.outputs, self.spec):
            place = Bases(bases.input, bases.output, parameters=outputs.start % 8)
            fields = layer_fields(self.spec, layer, place, outputs=outputs)
            columns = matrix[:, outputs.start:outputs.stop]
            made.append(Command(fields, self._arrays(node, columns, outputs, layer)))
        return made

    def _widened(self, node: Conv, layer: LayerSpec, pixels: int) -> Conv:
        """The node with the weights and the integers of `pixels` pixels."""
        key = id(node.weights), id(node.bias), pixels
        if key not in self._wide:
            self._wide[key] = dataclasses.replace(
                node, weights=widened_weights(node.weights, layer, pixels),
                bias=np.tile(node.bias, pixels), multiplier=np.tile(node.multiplier, pixels),
                shift=np.tile(node.shift, pixels),
                stride=(node.stride[0], pixels * node.stride[1]))
        return self._wide[key]

    def _depthwise(self, node: Depthwise, layer: LayerSpec, bases: Bases) -> list[Command]:
        LayerParameters(node.weights.transpose(2, 0, 1)[..., None], node.bias, node.multiplier,
                        node.shift)
        each = layer.outputs // layer.input[2]
        made = []
        for channels in depthwise_tiles(self.spec, layer):
            outputs = depthwise_outputs(layer, channels)
            place = Bases(bases.input, bases.output, parameters=outputs.start % 8)
            fields = depthwise_fields(self.spec, layer, channels, place)
            matrix = depthwise_matrix(node.weights, channels, each)
            made.append(Command(fields, self._arrays(node, matrix, outputs, layer)))
        return made

    def _arrays(self, node: Weighted, matrix: npt.NDArray[np.int8], outputs: range,
                layer: LayerSpec) -> Arrays:
        """The columns `matrix` (rows, len(outputs)) and these channels' integers, packed."""
        key = id(node.weights), id(node.bias), outputs.start
        if key not in self._packed:
            chosen = slice(outputs.start, outputs.stop)
            bias: IntArray = node.bias[chosen].astype(np.int64)
            if not layer.product.exact:
                bias = bias + column_corrections(matrix, layer.product, layer.input_zero)
            self._packed[key] = Arrays(
                pack_weights(matrix, self.spec.macro.columns),
                pack_parameters(bias, node.multiplier[chosen], node.shift[chosen]))
        return self._packed[key]
