"""Adds, pools, depthwise layers and chains of them, on `ref` and in the simulator.

Every tensor equals the numpy evaluation of the network's nodes, so twin and engine are equal.
"""

from itertools import pairwise

import numpy as np
import pytest

from dscim.gateware.descriptor import FIELDS, pack
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.errors import UserError
from dscim.host.fields import Bases, layer_fields, vector_fields
from dscim.host.layout import pack_parameters, pack_weights
from dscim.host.link.refusal import refusal
from dscim.host.network import INPUT, Evaluator, MaxPool, Network, Requantise, host_node
from dscim.host.reference import PreparedLayer, weight_matrix
from dscim.host.target import open_target
from tests import nodes
from tests.chains import Chain, send
from tests.layers import random_inputs, random_parameters

NARROW = SocSpec(MacroSpec(rows=32, columns=4, lanes=4), activation_words=4096, weight_rows=4096,
                 channels=256, strip=4)
WIDE = SocSpec(MacroSpec(rows=48, columns=16, lanes=1, sequence=SequenceSpec("lfsr")),
               activation_words=4096, weight_rows=4096, channels=256, strip=16, requant_lanes=1)
TARGETS = {"ref": ("ref", NARROW), "narrow": ("sim", NARROW), "wide": ("sim", WIDE)}
KINDS = ("add", "requantise", "pool", "mean", "depthwise")


@pytest.fixture(scope="module", params=TARGETS)
def device(request):
    with open_target(*TARGETS[request.param]) as opened:
        yield opened


def arithmetics(spec: SocSpec) -> tuple[ProductSpec, ProductSpec]:
    """A stochastic one and the exact one."""
    return ProductSpec(16, 64, spec.macro.sequence), ProductSpec(16, 16, exact=True)


def check(device, network: Network, arithmetic: ProductSpec, x: np.ndarray) -> None:
    """Every tensor of the network, run by one start, is that of the numpy evaluation."""
    outputs = Chain(device.spec, network, arithmetic).run(device, x)
    expected = Evaluator(network, arithmetic, device.spec.macro.rows).nodes(x[None])
    for node in network.nodes:
        np.testing.assert_array_equal(outputs[node.name], expected[node.name][0],
                                      err_msg=repr(node))


@pytest.mark.parametrize("kind", KINDS)
def test_operations(device, kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for case in range(12):
        shape, zero = nodes.random_shape(rng), nodes.random_zero(rng)
        network = Network("single", shape, 1.0, zero, tuple(nodes.single(rng, kind, shape, zero)))
        check(device, network, arithmetics(device.spec)[case % 2], nodes.random_image(rng, shape))


@pytest.mark.parametrize(("kernel", "channels", "each"), (
    ((3, 3), 21, 1), ((7, 7), 3, 1), ((1, 7), 9, 3), ((2, 2), 19, 1), ((4, 4), 5, 1),
    ((1, 1), 70, 1), ((5, 5), 9, 2), ((3, 1), 30, 1), ((2, 4), 9, 1)))
def test_depthwise(device, kernel, channels, each):
    """Ragged row tiles that begin anywhere in a word; odd and even taps; more taps than rows."""
    rng = np.random.default_rng(30)
    shape, zero = (8, 7, channels), nodes.random_zero(rng)
    window = {"kernel": kernel, "stride": (2, 1),
              "padding": tuple(((side - 1) // 2, side // 2) for side in kernel)}
    node = nodes.depthwise(rng, "last", INPUT, shape, zero, each, window)
    network = Network("depthwise", shape, 1.0, zero, (node,))
    for arithmetic in arithmetics(device.spec):
        check(device, network, arithmetic, nodes.random_image(rng, shape))


def chain_of_all(rng: np.random.Generator) -> Network:
    """conv -> depthwise -> add -> pool -> requantise -> conv -> mean, random."""
    shape, zero = (7, 6, int(rng.integers(1, 12))), nodes.random_zero(rng)
    same = {"kernel": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1))}
    first = nodes.conv(rng, "conv", INPUT, shape, zero, int(rng.integers(1, 20)), same)
    inner = (7, 6, first.outputs)
    deep = nodes.depthwise(rng, "depthwise", "conv", inner, first.output_zero, window=same)
    total = nodes.add(rng, "add", ("depthwise", "conv"), (deep.output_zero, first.output_zero))
    pooled = nodes.pool(rng, "pool", "add", inner, total.output_zero)
    scaled = nodes.requantise(rng, "requantise", "pool", pooled.output_zero)
    small = pooled.output_shape([inner])
    last = nodes.conv(rng, "last", "requantise", small, scaled.output_zero, 5)
    mean = nodes.mean(rng, "mean", "last", last.output_shape([small]), last.output_zero)
    return Network("chain", shape, 1.0, zero, (first, deep, total, pooled, scaled, last, mean))


def test_a_chain_runs_by_one_start(device):
    rng = np.random.default_rng(20)
    for case in range(6):
        network = chain_of_all(rng)
        check(device, network, arithmetics(device.spec)[case % 2],
              nodes.random_image(rng, network.shape))


@pytest.mark.parametrize("bounds", ((0, 8, 21), (0, 3, 4, 13, 21), (5, 6), (1, 20)))
def test_a_group_of_channels_leaves_the_others(device, bounds):
    """A layer cut into groups of output channels, each a descriptor; all other bytes stay."""
    rng = np.random.default_rng(9)
    layer = LayerSpec((4, 5, 11), 21, (3, 3), (1, 1), ((1, 1), (1, 1)), -7,
                      product=arithmetics(device.spec)[0])
    parameters, x = random_parameters(rng, layer), random_inputs(rng, layer, 1)
    integers = (parameters.bias, parameters.multiplier, parameters.shift)
    prepared = PreparedLayer(layer, parameters.weights, *integers)
    for raw, whole in ((False, prepared.run(x)[0]), (True, prepared.accumulate(x)[0])):
        device.write_tensor(1, x[0])
        device.write_tensor(500, np.full((*layer.output[:2], 88), 55, np.int8))
        device._write_memory("parameters", pack_parameters(*integers), 24 * 16)
        expected = device.read_tensor(500, layer.output, raw)
        for first, end in pairwise(bounds):
            matrix = weight_matrix(parameters.weights)[:, first:end]
            device._write_memory("weights", pack_weights(matrix, device.spec.macro.columns))
            fields = layer_fields(device.spec, layer, Bases(1, 500, parameters=24 + first),
                                  outputs=range(first, end), raw=raw)
            assert send(device, fields) == ErrorCode.NONE
            expected[:, :, first:end] = whole[:, :, first:end]
        np.testing.assert_array_equal(device.read_tensor(500, layer.output, raw), expected)


def test_a_product_reads_a_group_of_channels(device):
    rng = np.random.default_rng(10)
    layer = LayerSpec((4, 4, 9), 6, (2, 3), input_zero=5, product=arithmetics(device.spec)[0])
    parameters, x = random_parameters(rng, layer), random_inputs(rng, layer, 1)
    integers = (parameters.bias, parameters.multiplier, parameters.shift)
    whole = rng.integers(-128, 128, (4, 4, 30)).astype(np.int8)
    whole[:, :, 13:22] = x[0]
    device.write_tensor(0, whole)
    device.load(pack_weights(weight_matrix(parameters.weights), device.spec.macro.columns),
                pack_parameters(*integers), np.zeros(0, np.uint32))
    fields = layer_fields(device.spec, layer, Bases(0, 500)) | {
        "input_channels": 30, "input_channel": 13}
    assert send(device, fields) == ErrorCode.NONE
    np.testing.assert_array_equal(
        device.read_tensor(500, layer.output),
        PreparedLayer(layer, parameters.weights, *integers).run(x)[0])


def test_a_vector_operation_works_on_a_group_of_words(device):
    rng = np.random.default_rng(10)
    x, before = rng.integers(-128, 128, (2, 3, 4, 40)).astype(np.int8)
    node = MaxPool("a", ("b",), 3, 1.0, kernel=(1, 1))
    fields = vector_fields(node, x.shape, Bases(0, 100)) | {
        "inputs": 13, "outputs": 13, "input_channel": 16, "output_channel": 8}
    device.write_tensor(0, x)
    device.write_tensor(100, before)
    assert send(device, fields) == ErrorCode.NONE
    before[:, :, 8:21] = x[:, :, 16:29]
    np.testing.assert_array_equal(device.read_tensor(100, x.shape), before)


@pytest.mark.parametrize("over", ("first", "second"))
def test_an_add_may_write_over_an_input(device, over):
    rng = np.random.default_rng(13)
    shape = (5, 4, 21)
    node = nodes.add(rng, "sum", ("a", "b"), (3, -9))
    inputs = [nodes.random_image(rng, shape) for _ in range(2)]
    device.write_tensor(0, inputs[0])
    device.write_tensor(200, inputs[1])
    place = {"first": 0, "second": 200}[over]
    assert send(device, vector_fields(node, shape, Bases(0, place, 200))) == ErrorCode.NONE
    expected = host_node(node, [x[None] for x in inputs])[0]
    np.testing.assert_array_equal(device.read_tensor(place, shape), expected)


def shifted(first: int, then: int, by: int) -> dict[str, int]:
    """A pixel of 8 channels at word `first`, plus `by`, to word `then`."""
    node = Requantise("a", ("b",), by, 1.0, input_zero=0, multiplier=1 << 30, shift=1)
    return vector_fields(node, (1, 1, 8), Bases(first, then))


def test_as_many_descriptors_as_there_is_room_for(device):
    """255 of them add one to a pixel, in its place; the last takes three."""
    x = np.arange(-128, -120, dtype=np.int8).reshape(1, 1, 8)
    device.write_tensor(7, x)
    fields = [shifted(7, 7, 1)] * (device.spec.descriptors - 1) + [shifted(7, 7, -3)]
    words = np.array([pack(f) for f in fields], np.uint32).ravel()
    device._write_memory("descriptors", words)
    device.start(0, len(fields))
    np.testing.assert_array_equal(device.read_tensor(7, x.shape), np.full(x.shape, 124))


def test_a_refused_descriptor_stops_the_chain(device):
    x = np.arange(8, dtype=np.int8).reshape(1, 1, 8)
    for base, tensor in enumerate((x, 0 * x, 0 * x)):
        device.write_tensor(base, tensor)
    good = [shifted(0, 1, 5), shifted(0, 2, 9)]
    words = [pack(fields) for fields in (good[0], good[0] | {"depth": 2}, good[1])]
    device._write_memory("descriptors", np.array(words, np.uint32).ravel())
    with pytest.raises(UserError, match=r"refused descriptor 1: .*does not fit the operation"):
        device.start(0, 3)
    np.testing.assert_array_equal(device.read_tensor(1, x.shape), x + 5)
    np.testing.assert_array_equal(device.read_tensor(2, x.shape), 0 * x)
    device.start(2, 1)
    np.testing.assert_array_equal(device.read_tensor(2, x.shape), x + 9)


def some_descriptors(rng: np.random.Generator, spec: SocSpec) -> list[dict[str, int]]:
    """An add, two pools and a depthwise tile that the device can run."""
    shape, zero = (4, 4, 10), 5
    chains = [Chain(spec, Network("single", shape, 1.0, zero, tuple(
        nodes.single(rng, kind, shape, zero))), arithmetics(spec)[0])
        for kind in ("add", "pool", "mean", "depthwise")]
    return [chain.descriptors[-1] for chain in chains]


@pytest.mark.parametrize("target", ("narrow", "wide"))
def test_wrong_operations_are_refused_as_by_the_twin(target):
    """One or two fields elsewhere, often at their limits."""
    rng = np.random.default_rng(14)
    large = ("output_height", "output_width", "kernel_height", "kernel_width")
    seen = set()
    with open_target(*TARGETS[target]) as device:
        good = some_descriptors(rng, device.spec)
        for _ in range(400):
            fields = dict(good[rng.integers(len(good))])
            for place in rng.integers(len(FIELDS), size=rng.integers(1, 3)):
                limits = FIELDS[place].limits
                edges = (0, 1, min(2, limits[-1]), min(8, limits[-1]), limits[-1], limits[0])
                fields[FIELDS[place].name] = int(rng.choice(edges))
            expected = refusal(device.spec, fields)
            if expected is ErrorCode.NONE and max(fields[name] for name in large) > 64:
                continue
            assert send(device, fields) == expected, fields
            seen.add(expected)
    assert seen >= {ErrorCode.NONE, ErrorCode.OPERATION, ErrorCode.GEOMETRY, ErrorCode.SCALING,
                    ErrorCode.INPUT_MEMORY, ErrorCode.OUTPUT_MEMORY}
