"""Residual additions in a product's drain: the same bits and no cycles of their own."""

import dataclasses

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec
from dscim.host.compile import plan
from dscim.host.compile.cycles import FILLED
from dscim.host.compile.planner import residuals
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.network import INPUT, Network
from tests import nodes
from tests.small_devices import MEDIUM, arithmetics, device

__all__ = ["device"]  # a fixture

SAME = {"kernel": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1))}
POINT = {"kernel": (1, 1), "stride": (1, 1), "padding": ((0, 0), (0, 0))}


def block(rng: np.random.Generator, channels: int, kind: str, turned: bool) -> Network:
    """conv -> `kind` of product -> add of both -> product; turned: the add's inputs swapped."""
    zero = nodes.random_zero(rng)
    shape = (5, 4, int(rng.integers(1, 9)))
    inner = (5, 4, channels)
    first = nodes.conv(rng, "first", INPUT, shape, zero, channels, POINT)
    second = (
        nodes.conv(rng, "second", "first", inner, first.output_zero, channels, SAME)
        if kind == "conv"
        else nodes.depthwise(rng, "second", "first", inner, first.output_zero, window=SAME)
    )
    names, zeros = ("first", "second"), (first.output_zero, second.output_zero)
    total = nodes.add(
        rng, "sum", names[::-1] if turned else names, zeros[::-1] if turned else zeros
    )
    last = nodes.conv(rng, "last", "sum", inner, total.output_zero, 5, POINT)
    return Network("block", shape, 1.0, zero, (first, second, total, last))


def run_on(device, network: Network, arithmetic: ProductSpec, compare: bool, rng) -> NetworkRun:
    images = np.stack([nodes.random_image(rng, network.shape) for _ in range(2)])
    run = NetworkRun([device], network, arithmetic, images, compare=compare)
    list(run.execute(lambda *_: None))
    assert run.holds, [layer.first for layer in run.layers]
    return run


@pytest.mark.parametrize("kind", ("conv", "depthwise"))
def test_blocks(device, kind):
    """Ragged channels, column tiles, both orders, watched or not; cycles as in the model."""
    rng = np.random.default_rng([1, len(kind)])
    for case, channels in enumerate((1, 3, 8, 13, 16, 21)):
        network = block(rng, channels, kind, bool(case % 2))
        for arithmetic in arithmetics(device.spec):
            runs = [run_on(device, network, arithmetic, compare, rng) for compare in (False, True)]
            assert runs[0].program.added == {"second": "sum"} == runs[1].program.added
            if any(layer.counters.cycles_busy for layer in runs[0].layers):
                for run in runs:
                    check_cycles(run, [network_speed(network, arithmetic, device.spec)] * 2)
            assert all(layer.compared for layer in runs[1].layers)


def check_cycles(run: NetworkRun, speeds: list) -> None:
    """Every layer takes the model's cycles; within 1 % or 16 if windows wait for the residual."""
    for place, layer in enumerate(run.layers):
        predicted = sum(speed.layers[place].cycles for speed in speeds)
        error = abs(layer.counters.cycles_busy - predicted)
        waits = layer.name in run.program.added and layer.counters.cycles_activations
        assert error <= (max(16, 0.01 * predicted) if waits else 0), layer.name


def test_residuals_beside_windows_that_fill_the_port():
    """64 inputs take a beat in the cycle of a product, and the residual another one."""
    rng = np.random.default_rng(7)
    first = nodes.conv(rng, "first", INPUT, (8, 8, 64), 0, 16, POINT)
    second = nodes.conv(rng, "second", INPUT, (8, 8, 64), 0, 16, POINT)
    total = nodes.add(rng, "sum", ("first", "second"), (first.output_zero, second.output_zero))
    network = Network("full", (8, 8, 64), 1.0, 0, (first, second, total))
    short = ProductSpec(length=32)
    with open_target("sim", MEDIUM) as device:
        run = run_on(device, network, short, False, rng)
        check_cycles(run, [network_speed(network, short, MEDIUM)] * 2)
    busy = [layer.counters.cycles_busy for layer in run.layers]
    most = 64 + FILLED - 80  # a beat for each residual; the first windows come before 80
    assert 55 < busy[1] / 2 - busy[0] / 2 < most and not busy[2]


def network_of(*inputs: str) -> Network:
    """first -> second -> pool, and the sum of two of them; every zero point is 0."""
    rng = np.random.default_rng(2)
    shape = (5, 4, 8)
    first = nodes.conv(rng, "first", INPUT, shape, 0, 8, POINT)
    second = nodes.conv(rng, "second", "first", shape, 0, 8, SAME)
    pool = dataclasses.replace(nodes.pool(rng, "pool", "second", shape, 0), **POINT)
    made = [
        first,
        second,
        *([pool] if "pool" in inputs else []),
        nodes.add(rng, "sum", inputs, (0, 0)),
    ]
    return Network(
        "rules", shape, 1.0, 0, tuple(dataclasses.replace(node, output_zero=0) for node in made)
    )


@pytest.mark.parametrize(
    ("inputs", "found"),
    (
        (("first", "second"), "second"),
        (("second", "first"), "second"),
        ((INPUT, "second"), "second"),
        (("second", "second"), None),
        (("pool", "second"), None),
        (("first", "pool"), None),
    ),
)
def test_the_later_product_does_the_sum_if_it_has_no_other_reader(inputs, found):
    assert {name: add.name for name, add in residuals(network_of(*inputs)).items()} == (
        {found: "sum"} if found else {}
    )


def test_without_room_for_three_tensors_the_sum_runs_on_its_own(device):
    network = network_of(INPUT, "second")  # tensors of 20 words
    tight = dataclasses.replace(device.spec, activation_words=64, banks=1, requant_lanes=1)
    assert plan(network, ProductSpec(exact=True), tight).added == {"second": "sum"}
    watched = plan(network, ProductSpec(exact=True), tight, watched=True)
    assert not watched.added and not watched.strips


def test_a_faulty_sum_is_located(device, monkeypatch):
    """A device that adds wrongly: the sum is named, and its product agrees."""
    rng = np.random.default_rng(5)
    network = block(rng, 8, "conv", False)
    image = nodes.random_image(rng, network.shape)[None]
    run = NetworkRun([device], network, ProductSpec(exact=True), image, compare=True)
    read = device.read_tensor

    def spoilt(base, shape, raw=False):
        tensor = read(base, shape, raw)
        if spoilt.count == 1:  # second comes before the sum
            tensor[1, 2, 3] ^= 1
        spoilt.count += 1
        return tensor

    spoilt.count = -1
    monkeypatch.setattr(device, "read_tensor", spoilt)
    list(run.execute(lambda *_: None))
    assert not run.holds
    wrong = next(layer for layer in run.layers if layer.differing)
    assert wrong.name == "sum" and wrong.first.pixel == (1, 2)
