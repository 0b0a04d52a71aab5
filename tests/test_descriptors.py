"""Descriptors on `ref`: the twin of the engine gives what the nodes of a network give."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from dscim.gateware import descriptor
from dscim.gateware.descriptor import Operation
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SocSpec
from dscim.host.errors import UserError
from dscim.host.fields import Bases, layer_fields, vector_fields
from dscim.host.layout import pack_parameters, pack_weights
from dscim.host.network import Evaluator, Network
from dscim.host.reference import PreparedLayer, weight_matrix
from dscim.host.target import open_target
from tests import nodes
from tests.chains import Chain, send
from tests.layers import random_inputs, random_parameters

SOC = SocSpec(MacroSpec(rows=32, columns=4, lanes=4), activation_words=4096, weight_rows=4096,
              channels=256, strip=4)
ARITHMETICS = (ProductSpec(16, 64), ProductSpec(16, 16, exact=True))
KINDS = ("add", "requantise", "pool", "mean", "depthwise")


@pytest.fixture(scope="module")
def device():
    with open_target("ref", SOC) as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_a_descriptor_is_a_node(device, kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for case in range(40):
        shape, zero = nodes.random_shape(rng), nodes.random_zero(rng)
        network = Network("single", shape, 1.0, zero, tuple(nodes.single(rng, kind, shape, zero)))
        x = nodes.random_image(rng, shape)
        arithmetic = ARITHMETICS[case % 2]
        outputs = Chain(SOC, network, arithmetic).run(device, x)
        expected = Evaluator(network, arithmetic, SOC.macro.rows).nodes(x[None])
        for name, output in outputs.items():
            np.testing.assert_array_equal(output, expected[name][0], err_msg=repr(network.nodes))


def test_a_group_of_channels_leaves_the_others(device):
    """A layer cut into groups of output channels, each a descriptor; all other bytes stay."""
    rng = np.random.default_rng(9)
    for bounds in ((0, 8, 21), (0, 3, 4, 13, 21), (5, 6), (1, 20)):
        layer = LayerSpec((4, 5, 11), 21, (3, 3), (1, 1), ((1, 1), (1, 1)), -7,
                          product=ARITHMETICS[0])
        parameters, x = random_parameters(rng, layer), random_inputs(rng, layer, 1)
        integers = (parameters.bias, parameters.multiplier, parameters.shift)
        expected = np.full(layer.output, 55, np.int8)
        device.write_tensor(1, x[0])
        device.write_tensor(500, expected)
        device._write_memory("parameters", pack_parameters(*integers), 24 * 16)
        whole = PreparedLayer(layer, parameters.weights, *integers).run(x)[0]
        for first, end in pairwise(bounds):
            matrix = weight_matrix(parameters.weights)[:, first:end]
            device._write_memory("weights", pack_weights(matrix, SOC.macro.columns))
            fields = layer_fields(SOC, layer, Bases(1, 500, parameters=24 + first),
                                  outputs=range(first, end))
            assert send(device, fields) == ErrorCode.NONE
            expected[:, :, first:end] = whole[:, :, first:end]
        np.testing.assert_array_equal(device.read_tensor(500, layer.output), expected)


def test_a_vector_operation_works_on_a_group_of_words(device):
    rng = np.random.default_rng(10)
    x, before = rng.integers(-128, 128, (2, 3, 4, 40)).astype(np.int8)
    node = nodes.MaxPool("a", ("b",), 3, 1.0, kernel=(1, 1))
    fields = vector_fields(node, x.shape, Bases(0, 100)) | {
        "inputs": 13, "outputs": 13, "input_channel": 16, "output_channel": 8}
    device.write_tensor(0, x)
    device.write_tensor(100, before)
    assert send(device, fields) == ErrorCode.NONE
    before[:, :, 8:21] = x[:, :, 16:29]
    np.testing.assert_array_equal(device.read_tensor(100, x.shape), before)


def test_an_add_beyond_32_bits_is_refused(device):
    rng = np.random.default_rng(11)
    node = dataclasses.replace(nodes.add(rng, "a", ("b", "c"), (0, 0)), left_shift=20,
                               shifts=(2, 0, 0))
    fields = vector_fields(node, (2, 2, 8), Bases(0, 8, 4))
    assert send(device, fields) == ErrorCode.NONE
    assert send(device, fields | {"first_shift": 3}) == ErrorCode.SCALING
    with pytest.raises(UserError, match="widens an input by 23 bits"):
        vector_fields(dataclasses.replace(node, shifts=(0, 3, 0)), (2, 2, 8), Bases())


def test_fields_are_disjoint_and_come_back():
    taken = set()
    for field in descriptor.FIELDS:
        bits = {(field.word, bit) for bit in range(field.offset, field.offset + field.size)}
        assert field.word < descriptor.WORDS and field.offset + field.size <= 32
        assert not bits & taken, field.name
        taken |= bits
    rng = np.random.default_rng(12)
    values = {field.name: int(rng.choice((field.limits[0], field.limits[-1])))
              for field in descriptor.FIELDS}
    assert descriptor.unpack(descriptor.pack(values)) == values
    assert max(Operation) in descriptor.BY_NAME["operation"].limits
