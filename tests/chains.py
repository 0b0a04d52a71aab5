"""Networks placed in a device's memories node by node and run with one start, for engine tests."""

import dataclasses

import numpy as np

from dscim.gateware import descriptor, registers
from dscim.gateware.layout import (
    ceil_div,
    pack_parameters,
    pack_weights,
    tensor_words,
)
from dscim.gateware.specs import ProductSpec, SocSpec
from dscim.host.compile.descriptors import Bases, vector_fields
from dscim.host.compile.products import (
    depthwise_fields,
    depthwise_matrix,
    depthwise_outputs,
    depthwise_tiles,
    layer_fields,
)
from dscim.host.device import Device
from dscim.host.golden.reference import weight_matrix
from dscim.host.golden.reference.operands import column_corrections
from dscim.host.network import INPUT, Conv, Depthwise, Network, Node


class Chain:
    """Places every node of a network at its own addresses; nothing is overwritten.

    descriptors: the fields of each, in order. bases: the first word of each tensor by its name.
    """

    def __init__(self, spec: SocSpec, network: Network, arithmetic: ProductSpec):
        self.spec, self.network, self.arithmetic = spec, network, arithmetic
        self.shapes = network.shapes()
        self.bases: dict[str, int] = {}
        self.weights: list[np.ndarray] = []
        self.parameters: list[np.ndarray] = []
        self.descriptors: list[dict[str, int]] = []
        self._words = self._rows = self._channels = 0
        self._allot(INPUT)
        for node in network.nodes:
            self._allot(node.name)
            self._add(node)

    def run(self, device: Device, x: np.ndarray) -> dict[str, np.ndarray]:
        """Every node's output for x (H, W, C), with one start."""
        words = [descriptor.pack(fields) for fields in self.descriptors]
        device.write_tensor(self.bases[INPUT], x)
        device.load(
            np.concatenate([*self.weights, np.zeros(0, np.uint32)]),
            np.concatenate([*self.parameters, np.zeros(0, np.uint32)]),
            np.array(words, np.uint32).ravel(),
        )
        device.start(0, len(words))
        return {
            node.name: device.read_tensor(self.bases[node.name], self.shapes[node.name])
            for node in self.network.nodes
        }

    def _allot(self, name: str) -> None:
        self.bases[name] = self._words
        self._words += tensor_words(self.shapes[name])
        assert self._words <= self.spec.activation_words, "the network is too large for a test"

    def _add(self, node: Node) -> None:
        shape = self.shapes[node.inputs[0]]
        bases = Bases(
            *(self.bases[name] for name in (node.inputs[0], node.name, node.inputs[-1])),
            self._rows,
            self._channels,
        )
        if not isinstance(node, Conv | Depthwise):
            self.descriptors.append(vector_fields(node, shape, bases))
            return
        layer = node.layer(shape, self.arithmetic)
        bias = node.bias.astype(np.int64)
        if isinstance(node, Conv):
            matrix = weight_matrix(node.weights)
            self.descriptors.append(layer_fields(self.spec, layer, bases))
            self._load(matrix)
            if not layer.product.exact:
                bias += column_corrections(matrix, layer.product, layer.input_zero)
        else:
            each = layer.outputs // layer.input[2]
            for channels in depthwise_tiles(self.spec, layer):
                first = depthwise_outputs(layer, channels).start
                placed = dataclasses.replace(
                    bases, weights=self._rows, parameters=bases.parameters + first
                )
                self.descriptors.append(depthwise_fields(self.spec, layer, channels, placed))
                self._load(depthwise_matrix(node.weights, channels, each))
        self._channels += ceil_div(layer.outputs, 8) * 8
        pad = (0, -layer.outputs % 8)
        self.parameters.append(
            pack_parameters(
                np.pad(bias, pad), np.pad(node.multiplier, pad), np.pad(node.shift, pad)
            )
        )

    def _load(self, matrix: np.ndarray) -> None:
        columns = self.spec.macro.columns
        self.weights.append(pack_weights(matrix, columns))
        self._rows += len(matrix) * ceil_div(matrix.shape[1], columns)


def start(device: Device, first: int, count: int) -> int:
    """Runs descriptors to their end and returns the error that the device reports."""
    control = registers.BY_NAME["control"].pack(start=1, first=first, count=count)
    device._write(registers.address("control"), np.array([control], np.uint32))
    status = {"busy": 1}
    while status["busy"]:
        word = int(device._read(registers.address("status"), 1)[0])
        status = registers.BY_NAME["status"].unpack(word)
    return status["error"]


def send(device: Device, fields: dict[str, int]) -> int:
    """Runs a descriptor, valid or not, and returns the error that the device reports."""
    device._write_memory("descriptors", np.array(descriptor.pack(fields), np.uint32))
    return start(device, first=0, count=1)
