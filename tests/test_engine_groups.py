"""Descriptors of some of a tensor's channels leave all other bytes; on `ref` and simulated."""

from itertools import pairwise

import numpy as np
import pytest

from dscim.gateware.layout import pack_parameters, pack_product
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec
from dscim.host.compile.descriptors import Bases, vector_fields
from dscim.host.compile.products import layer_fields
from dscim.host.golden.reference import PreparedLayer, weight_matrix
from dscim.host.network import MaxPool
from tests.chains import send
from tests.layers import random_inputs, random_parameters
from tests.small_devices import arithmetics, device

__all__ = ["device"]  # a fixture

OUTPUT = 400
"""The output's row, behind every input."""


@pytest.mark.parametrize("bounds", ((0, 8, 21), (0, 8, 16, 21), (8, 13), (8, 24), (16, 40)))
def test_a_group_of_channels_leaves_the_others(device, bounds):
    """A layer split into groups of output channels, one descriptor each; other bytes stay."""
    rng = np.random.default_rng(9)
    layer = LayerSpec(
        (4, 5, 11), 40, (3, 3), (1, 1), ((1, 1), (1, 1)), -7, product=arithmetics(device.spec)[0]
    )
    parameters, x = random_parameters(rng, layer), random_inputs(rng, layer, 1)
    integers = (parameters.bias, parameters.multiplier, parameters.shift)
    prepared = PreparedLayer(layer, parameters.weights, *integers)
    device._write_memory("parameters", pack_parameters(*integers), 24 * 16)
    device.write_tensor(1, x[0])
    for raw, whole in ((False, prepared.run(x)[0]), (True, prepared.accumulate(x)[0])):
        device.write_tensor(OUTPUT, np.full((*layer.output[:2], 160), 55, np.int8))
        expected = device.read_tensor(OUTPUT, layer.output, raw)
        for first, end in pairwise(bounds):
            matrix = weight_matrix(parameters.weights)[:, first:end]
            device._write_memory("weights", pack_product(device.spec, matrix, 11))
            fields = layer_fields(
                device.spec,
                layer,
                Bases(1, OUTPUT, parameters=24 + first),
                outputs=range(first, end),
                raw=raw,
            )
            assert send(device, fields) == ErrorCode.NONE
            expected[:, :, first:end] = whole[:, :, first:end]
        np.testing.assert_array_equal(device.read_tensor(OUTPUT, layer.output, raw), expected)


@pytest.mark.parametrize(("plane", "channels"), ((0, 9), (1, 9), (2, 14)))
def test_a_product_reads_a_group_of_planes(device, plane, channels):
    rng = np.random.default_rng(10)
    layer = LayerSpec((4, 4, channels), 6, (2, 3), product=arithmetics(device.spec)[0])
    parameters, x = random_parameters(rng, layer), random_inputs(rng, layer, 1)
    integers = (parameters.bias, parameters.multiplier, parameters.shift)
    whole = rng.integers(-128, 128, (4, 4, 30)).astype(np.int8)
    whole[:, :, 8 * plane : 8 * plane + channels] = x[0]
    device.write_tensor(0, whole)
    device.load(
        pack_product(device.spec, weight_matrix(parameters.weights), channels),
        pack_parameters(*integers),
        np.zeros(0, np.uint32),
    )
    fields = layer_fields(device.spec, layer, Bases(0, OUTPUT)) | {
        "input_channels": 30,
        "input_plane": plane,
    }
    assert send(device, fields) == ErrorCode.NONE
    np.testing.assert_array_equal(
        device.read_tensor(OUTPUT, layer.output),
        PreparedLayer(layer, parameters.weights, *integers).run(x)[0],
    )


def test_a_vector_operation_works_on_a_group_of_planes(device):
    rng = np.random.default_rng(10)
    x, before = rng.integers(-128, 128, (2, 3, 4, 40)).astype(np.int8)
    node = MaxPool("a", ("b",), 3, 1.0, kernel=(1, 1))
    fields = vector_fields(node, x.shape, Bases(0, 100)) | {
        "inputs": 13,
        "outputs": 13,
        "input_plane": 2,
        "output_channel": 8,
    }
    device.write_tensor(0, x)
    device.write_tensor(100, before)
    assert send(device, fields) == ErrorCode.NONE
    before[:, :, 8:21] = x[:, :, 16:29]
    np.testing.assert_array_equal(device.read_tensor(100, x.shape), before)
