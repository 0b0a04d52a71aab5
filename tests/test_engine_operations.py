"""Adds, pools, depthwise layers and chains of them, on `ref` and in the simulator.

Every tensor equals the numpy evaluation of the network's nodes, so twin and engine are equal.
"""

import numpy as np
import pytest

from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import ProductSpec
from dscim.host.compile.descriptors import Bases, vector_fields
from dscim.host.network import INPUT, Evaluator, Network, host_node
from tests import nodes
from tests.chains import Chain, send
from tests.small_devices import arithmetics, device

__all__ = ["device"]  # a fixture

KINDS = ("add", "requantise", "pool", "mean", "depthwise")


def check(device, network: Network, arithmetic: ProductSpec, x: np.ndarray) -> None:
    """Every tensor of the network, run by one start, equals the numpy evaluation."""
    outputs = Chain(device.spec, network, arithmetic).run(device, x)
    expected = Evaluator(network, arithmetic).nodes(x[None])
    for node in network.nodes:
        np.testing.assert_array_equal(
            outputs[node.name], expected[node.name][0], err_msg=repr(node)
        )


@pytest.mark.parametrize("kind", KINDS)
def test_operations(device, kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for case in range(12):
        shape, zero = nodes.random_shape(rng), nodes.random_zero(rng)
        network = Network("single", shape, 1.0, zero, tuple(nodes.single(rng, kind, shape, zero)))
        check(device, network, arithmetics(device.spec)[case % 2], nodes.random_image(rng, shape))


@pytest.mark.parametrize(
    ("kernel", "channels", "each"),
    (
        ((3, 3), 21, 1),
        ((7, 7), 3, 1),
        ((1, 7), 9, 3),
        ((2, 2), 19, 1),
        ((4, 4), 5, 1),
        ((1, 1), 70, 1),
        ((5, 5), 9, 2),
        ((3, 1), 30, 1),
        ((2, 4), 9, 1),
    ),
)
def test_depthwise(device, kernel, channels, each):
    """Ragged row tiles that start anywhere in a word; odd and even taps; more taps than rows."""
    rng = np.random.default_rng(30)
    shape, zero = (8, 7, channels), nodes.random_zero(rng)
    window = {
        "kernel": kernel,
        "stride": (2, 1),
        "padding": tuple(((side - 1) // 2, side // 2) for side in kernel),
    }
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
        check(
            device,
            network,
            arithmetics(device.spec)[case % 2],
            nodes.random_image(rng, network.shape),
        )


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


def test_sums_as_they_are(device):
    """Raw: a sum over an image or a maximum before it is scaled, 32 bits per channel."""
    rng = np.random.default_rng(15)
    shape = (6, 5, 13)
    x = nodes.random_image(rng, shape)
    device.write_tensor(0, x)
    wide = x.astype(int) - 7
    for node, expected in (
        (nodes.mean(rng, "a", "b", shape, 7), wide.sum(axis=(0, 1))[None, None]),
        (nodes.requantise(rng, "a", "b", 7), wide),
    ):
        fields = vector_fields(node, shape, Bases(0, 300)) | {"raw": 1}
        assert send(device, fields) == ErrorCode.NONE
        np.testing.assert_array_equal(device.read_tensor(300, expected.shape, raw=True), expected)
