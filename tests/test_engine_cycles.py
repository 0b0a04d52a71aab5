"""Cycles of adds, pools and depthwise layers on a medium device; `-s` prints the table."""

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec
from dscim.host.device.target import open_target
from dscim.host.network import INPUT, AveragePool, MaxPool, Network, Node
from tests import nodes
from tests.chains import Chain
from tests.small_devices import MEDIUM

SHAPE = (16, 16, 64)
PAD = ((1, 1), (1, 1))


@pytest.fixture(scope="module")
def device():
    with open_target("sim", MEDIUM) as opened:
        yield opened


def depthwise(rng: np.random.Generator, kernel: tuple[int, int]) -> Node:
    window = {
        "kernel": kernel,
        "stride": (1, 1),
        "padding": tuple(((side - 1) // 2, side // 2) for side in kernel),
    }
    return nodes.depthwise(rng, "last", INPUT, SHAPE, 0, window=window)


CASES = {
    "add": (lambda rng: nodes.add(rng, "last", (INPUT, INPUT), (0, 0)), 0.15),
    "requantise": (lambda rng: nodes.requantise(rng, "last", INPUT, 0), 0.15),
    "max pool 2x2": (
        lambda rng: MaxPool("last", (INPUT,), 0, 1.0, kernel=(2, 2), stride=(2, 2)),
        0.34,
    ),
    "max pool 3x3": (
        lambda rng: MaxPool("last", (INPUT,), 0, 1.0, kernel=(3, 3), padding=PAD),
        0.66,
    ),
    "average pool 2x2": (
        lambda rng: AveragePool("last", (INPUT,), 0, 1.0, kernel=(2, 2), stride=(2, 2)),
        0.93,
    ),
    "mean 16x16": (lambda rng: nodes.mean(rng, "last", INPUT, SHAPE, 0), 17.6),
    "depthwise 3x3": (lambda rng: depthwise(rng, (3, 3)), 2.1),
    "depthwise 5x5": (lambda rng: depthwise(rng, (5, 5)), 4.3),
    "depthwise 2x2": (lambda rng: depthwise(rng, (2, 2)), 1.1),
}


@pytest.mark.parametrize("name", CASES)
def test_cycles_per_element(device, name):
    """Busy cycles per output element, including the set-up of all descriptors."""
    make, most = CASES[name]
    rng = np.random.default_rng(1)
    network = Network("single", SHAPE, 1.0, 0, (make(rng),))
    chain = Chain(device.spec, network, ProductSpec())
    device.counted()
    outputs = chain.run(device, nodes.random_image(rng, SHAPE))["last"]
    counters = device.counted()
    cycles = counters.cycles_busy / outputs.size
    print(
        f"{name:18}{outputs.size:7} elements {counters.cycles_busy:7} cycles "
        f"{cycles:7.3f} per element"
    )
    assert cycles <= most
    vector = not name.startswith("depthwise")
    assert vector == (counters.cycles_vector > 0.5 * counters.cycles_busy)
    assert vector == (counters.products == counters.cycles_computing == 0)
