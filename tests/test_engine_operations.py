"""Adds, pools, depthwise layers and chains of them in the simulator: the reference's bits."""

import numpy as np
import pytest

from dscim.gateware.specs import MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.network import INPUT, Evaluator, Network
from dscim.host.target import open_target
from tests import nodes
from tests.chains import Chain

NARROW = SocSpec(MacroSpec(rows=32, columns=4, lanes=4), activation_words=4096, weight_rows=4096,
                 channels=256, strip=4)
WIDE = SocSpec(MacroSpec(rows=48, columns=16, lanes=1, sequence=SequenceSpec("lfsr")),
               activation_words=4096, weight_rows=4096, channels=256, strip=16, requant_lanes=1)
KINDS = ("add", "requantise", "pool", "mean", "depthwise")


@pytest.fixture(scope="module", params=(NARROW, WIDE), ids=("narrow", "wide"))
def device(request):
    with open_target("sim", request.param) as opened:
        yield opened


def arithmetics(spec: SocSpec) -> tuple[ProductSpec, ProductSpec]:
    """A stochastic one and the exact one."""
    return (ProductSpec(16, 64, spec.macro.sequence), ProductSpec(16, 16, exact=True))


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


def chain_of_all(rng: np.random.Generator) -> Network:
    """conv -> depthwise -> add -> pool -> requantise -> conv -> mean, random."""
    shape, zero = (7, 6, int(rng.integers(1, 12))), nodes.random_zero(rng)
    pad = ((1, 1), (1, 1))
    made: list[nodes.Node] = []

    def append(node: nodes.Node) -> nodes.Node:
        made.append(node)
        return node

    same = {"stride": (1, 1), "padding": pad}
    first = append(nodes.conv(rng, "conv", INPUT, shape, zero, int(rng.integers(1, 20)),
                              window={"kernel": (3, 3), **same}))
    shape = (7, 6, first.outputs)
    deep = append(nodes.depthwise(rng, "depthwise", "conv", shape, first.output_zero,
                                  window={"kernel": (3, 3), **same}))
    total = append(nodes.add(rng, "add", ("depthwise", "conv"),
                             (deep.output_zero, first.output_zero)))
    pooled = append(nodes.pool(rng, "pool", "add", shape, total.output_zero))
    scaled = append(nodes.requantise(rng, "requantise", "pool", pooled.output_zero))
    shape = pooled.output_shape([shape])
    last = append(nodes.conv(rng, "last", "requantise", shape, scaled.output_zero, 5))
    append(nodes.mean(rng, "mean", "last", last.output_shape([shape]), last.output_zero))
    return Network("chain", (7, 6, made[0].weights.shape[3]), 1.0, zero, tuple(made))


def test_a_chain_runs_by_one_start(device):
    rng = np.random.default_rng(20)
    for case in range(6):
        network = chain_of_all(rng)
        check(device, network, arithmetics(device.spec)[case % 2],
              nodes.random_image(rng, network.shape))
