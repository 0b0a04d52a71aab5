"""The network's input laid out by the rows of its first layer's windows."""

import dataclasses

import numpy as np
import pytest

from dscim.gateware.specs import MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.compile import Write, plan
from dscim.host.compile.rows import rows_of, with_rows
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.golden.reference import windows
from dscim.host.network import INPUT, Network
from tests import nodes

SPEC = SocSpec(
    MacroSpec(rows=64, columns=8, lanes=16),
    activation_words=1 << 14,
    banks=4,
    requant_lanes=8,
)
WINDOW = {"kernel": (7, 4), "stride": (2, 2), "padding": ((3, 3), (1, 2))}
"""Of one channel: 28 units, so four row tiles of eight; by rows seven units, one row tile."""


def network_of(rng: np.random.Generator, channels: int = 1, others: int = 0) -> Network:
    """A layer on the input, and others on its output and on the input."""
    shape = (13, 9, channels)
    first = nodes.conv(rng, "first", INPUT, shape, -3, 16, window=WINDOW)
    made = [first, nodes.conv(rng, "next", "first", (7, 5, 16), first.output_zero, 8, window={})]
    if others:
        made.append(nodes.conv(rng, "other", INPUT, shape, -3, 8, window={}))
    return Network("rows", shape, 1.0, -3, tuple(made))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_windows_stay(channels: int) -> None:
    """Unrolled, both layers have the same matrix."""
    rng = np.random.default_rng(channels)
    network = network_of(rng, channels)
    layer = next(layer for _, layer in network.layers(ProductSpec()))
    rows = with_rows(SPEC, layer)
    assert rows is not None
    assert (rows.output, rows.depth, rows.kernel) == (layer.output, layer.depth, (7, 1))
    x = nodes.random_image(rng, layer.input)
    by_rows = rows_of(x, layer)
    assert by_rows.shape == rows.input
    assert np.array_equal(windows(by_rows[None], rows), windows(x[None], layer))


def test_which_layers_have_it() -> None:
    rng = np.random.default_rng(0)
    layer = next(layer for _, layer in network_of(rng).layers(ProductSpec()))
    assert with_rows(SPEC, layer) is not None
    few = dataclasses.replace(layer, kernel=(2, 2))
    assert with_rows(SPEC, few) is None  # one row tile as it is
    assert with_rows(SPEC, dataclasses.replace(layer, kernel=(7, 1))) is None
    large = dataclasses.replace(layer, stride=(2, 1), input=(13, 9, 5))
    assert with_rows(SPEC, large) is None  # three planes for each of nine pixels
    ordered = dataclasses.replace(SPEC, macro=MacroSpec(64, 8, form="array", lanes=1))
    assert with_rows(ordered, layer) is None


def writes(network: Network) -> list[bool]:
    """For each write of the input, whether it is laid out by rows."""
    program = plan(network, ProductSpec(), SPEC)
    return [
        action.rows_for is not None
        for action in program.actions
        if isinstance(action, Write) and action.tensor == INPUT
    ]


def test_only_the_input_of_a_single_layer() -> None:
    rng = np.random.default_rng(1)
    assert writes(network_of(rng)) == [True]
    assert not any(writes(network_of(rng, others=1)))


@pytest.mark.parametrize("target", ["ref", pytest.param("sim", marks=pytest.mark.slow)])
@pytest.mark.parametrize("length", [64, 256])
def test_bits_and_cycles(target: str, length: int) -> None:
    for kind in ("split", "offset", "exact"):
        rng = np.random.default_rng(length)
        network = network_of(rng)
        signed = "offset" if kind == "offset" else "split"
        arithmetic = ProductSpec(length=length, signed=signed, exact=kind == "exact")
        image = nodes.random_image(rng, network.shape)
        with open_target(target, SPEC) as device:
            run = NetworkRun([device], network, arithmetic, image[None], compare=True)
            list(run.execute(lambda *_: None))
        assert run.holds, kind
        if target == "sim":
            counted = [layer.counters.cycles_busy for layer in run.layers]
            speed = network_speed(network, arithmetic, SPEC)
            assert counted == [layer.cycles for layer in speed.layers]


def test_strips_and_ordered_macros_read_the_input_as_it_is() -> None:
    rng = np.random.default_rng(2)
    network, image = network_of(rng), nodes.random_image(rng, (13, 9, 1))
    tight = dataclasses.replace(SPEC, activation_words=64, banks=1, requant_lanes=2)
    lfsr = MacroSpec(64, 8, lanes=1, sequence=SequenceSpec("lfsr"))
    for spec in (tight, dataclasses.replace(SPEC, macro=lfsr)):
        arithmetic = ProductSpec(sequence=spec.macro.sequence)
        with open_target("ref", spec) as device:
            run = NetworkRun([device], network, arithmetic, image[None])
            list(run.execute(lambda *_: None))
        assert run.holds
        assert not plan(network, arithmetic, spec).by_rows
