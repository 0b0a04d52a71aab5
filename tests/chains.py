"""Networks placed in a device's memories node by node and run with one start, for engine tests."""

import dataclasses

import numpy as np

from dscim.gateware import descriptor, registers
from dscim.gateware.layout import (
    pack_parameters,
    pack_product,
    tensor_rows,
)
from dscim.gateware.specs import ProductSpec, SocSpec
from dscim.host.compile.descriptors import Bases, vector_fields
from dscim.host.compile.products import (
    depthwise_fields,
    depthwise_groups,
    depthwise_weights,
    layer_fields,
)
from dscim.host.device import Device
from dscim.host.golden.reference import weight_matrix
from dscim.host.golden.reference.operands import column_corrections
from dscim.host.network import INPUT, Conv, Depthwise, Network, Node


class Chain:
    """Places every node of a network at its own addresses; nothing is overwritten.

    descriptors: the fields of each, in order. bases: the first row of each tensor by its name.
    """

    def __init__(self, spec: SocSpec, network: Network, arithmetic: ProductSpec):
        self.spec, self.network, self.arithmetic = spec, network, arithmetic
        self.shapes = network.shapes()
        self.bases: dict[str, int] = {}
        self.weights: list[np.ndarray] = []
        self.parameters: list[np.ndarray] = []
        self.descriptors: list[dict[str, int]] = []
        self._used = self._rows = self._channels = 0
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
        self.bases[name] = self._used
        self._used += tensor_rows(self.shapes[name], self.spec.banks)
        assert self._used <= self.spec.activation_rows, "the network is too large for a test"

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
            self._load(pack_product(self.spec, matrix, layer.input[2]))
            if not layer.product.exact:
                bias += column_corrections(matrix, layer.product, layer.input_zero)
        else:
            for group in depthwise_groups(self.spec, layer):
                placed = dataclasses.replace(
                    bases,
                    weights=self._rows,
                    parameters=bases.parameters + group.outputs.start,
                )
                self.descriptors.append(depthwise_fields(self.spec, layer, group, placed))
                self._load(depthwise_weights(self.spec, layer, group, node.weights))
        self._channels += layer.outputs
        self.parameters.append(pack_parameters(bias, node.multiplier, node.shift))

    def _load(self, words: np.ndarray) -> None:
        self.weights.append(words)
        self._rows += 4 * len(words) // self.spec.macro.columns


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
