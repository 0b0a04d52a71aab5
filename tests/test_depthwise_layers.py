"""Depthwise layers on devices with the unit for them: bits, cycles, groups, the keyword network."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.gateware.descriptor import Operation
from dscim.gateware.kernels import kernel_rows, pack_kernels, unpack_kernels
from dscim.gateware.layout import odd_rows, pixel_words
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SocSpec, table_sequence
from dscim.host.compile.cycles import product_cycles
from dscim.host.compile.products import depthwise_groups
from dscim.host.device import Device
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.golden.reference.depthwise import tap_rows
from dscim.host.network import INPUT, Depthwise, Network
from dscim.host.network.untrained import keyword_inputs, keyword_network
from tests import nodes

COUNTER = SocSpec(
    MacroSpec(rows=32, columns=8, lanes=16),
    activation_words=1 << 14,
    channels=256,
    banks=4,
    requant_lanes=8,
    depthwise=4,
)
"""Four planes per beat, and an exact macro."""
WIDE = SocSpec(
    MacroSpec(rows=64, columns=16, or_width=64, lanes=32),
    exact=False,
    banks=8,
    requant_lanes=2,
    read_ports=1,
    depthwise=8,
)
TABLE = SocSpec(
    MacroSpec(rows=16, columns=8, lanes=16, sequence=table_sequence("wide")),
    exact=False,
    activation_words=1 << 14,
    banks=1,
    requant_lanes=1,
    depthwise=2,
)


def random_node(rng: np.random.Generator) -> tuple[tuple[int, int, int], Depthwise]:
    """An input's shape and a layer of 1 to 100 channels, most of them for the unit."""
    kernel = tuple(int(size) for size in rng.choice((1, 2, 3, 3, 5, 8, 9), 2))
    pads = tuple(tuple(int(pad) for pad in rng.integers(0, size, 2)) for size in kernel)
    height, width = (
        max(1, size - sum(pad)) + int(rng.integers(8))
        for size, pad in zip(kernel, pads, strict=True)
    )
    some = int(rng.integers(1, 101))
    channels = some if rng.random() < 0.7 else 8 * int(rng.choice((1, 2, 4, 8)))
    stride = tuple(int(step) for step in rng.integers(1, 4, 2))
    shape, zero = (height, width, channels), nodes.random_zero(rng)
    window = {"kernel": kernel, "stride": stride, "padding": pads}
    return shape, nodes.depthwise(rng, "last", INPUT, shape, zero, window=window)


def random_arithmetic(spec: SocSpec, rng: np.random.Generator) -> ProductSpec:
    """Any number of samples; exact now and then, if the device can."""
    macro = spec.macro
    if spec.exact and rng.random() < 0.1:
        return ProductSpec(macro.or_width, macro.or_width, exact=True)
    n = 1 << int(rng.integers(min(7, macro.max_samples.bit_length())))
    shift = int(rng.integers(4))
    return ProductSpec(macro.or_width, n * macro.or_width, macro.sequence, "split", shift)


def check_layers(device: Device, rng: np.random.Generator, count: int) -> None:
    """Random layers have the bits of the reference; those of the unit, in the simulator, also have
    the cycles of the model."""
    wrong = []
    for _ in range(count):
        shape, node = random_node(rng)
        arithmetic = random_arithmetic(device.spec, rng)
        network = Network("single", shape, 1.0, node.input_zero, (node,))
        image = nodes.random_image(rng, shape)
        run = NetworkRun([device], network, arithmetic, image[None], compare=True)
        list(run.execute(lambda *_: None))
        layer = node.layer(shape, arithmetic)
        unit = depthwise_groups(device.spec, layer)[0].operation is Operation.CHANNELWISE
        busy = run.layers[0].counters.cycles_busy if unit else 0
        if not run.holds or busy not in (0, product_cycles(device.spec, layer)):
            wrong.append((layer, run.holds, busy, product_cycles(device.spec, layer)))
    assert not wrong, wrong[0]


@pytest.mark.parametrize("spec", [COUNTER, WIDE, TABLE], ids=["counter", "OR64", "table"])
def test_random_layers_on_ref(spec: SocSpec) -> None:
    with open_target("ref", spec) as device:
        check_layers(device, np.random.default_rng(1), 40)


def test_random_layers() -> None:
    with open_target("sim", COUNTER) as device:
        check_layers(device, np.random.default_rng(2), 60)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [COUNTER, WIDE, TABLE], ids=["counter", "OR64", "table"])
def test_many_random_layers(spec: SocSpec) -> None:
    with open_target("sim", spec) as device:
        check_layers(device, np.random.default_rng(3), 250)


@pytest.mark.parametrize("ports", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_residual_is_added_to_the_outputs(ports: int) -> None:
    """A depthwise layer, and the sum of its input and its output, in one descriptor."""
    spec = dataclasses.replace(COUNTER, read_ports=ports)
    with open_target("sim", spec) as device:
        for seed, channels in enumerate((8, 20, 32, 70)):
            rng, shape = np.random.default_rng(seed), (7, 5, channels)
            window = {"kernel": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1))}
            first = nodes.depthwise(rng, "product", INPUT, shape, -3, window=window)
            add = nodes.add(rng, "sum", (INPUT, "product"), (-3, first.output_zero))
            network = Network("residual", shape, 1.0, -3, (first, add))
            image = nodes.random_image(rng, shape)
            run = NetworkRun([device], network, ProductSpec(length=64), image[None])
            list(run.execute(lambda *_: None))
            assert run.holds, channels


def layer_of(channels: int, **changes: object) -> LayerSpec:
    """A 3x3 layer with padding."""
    layer = LayerSpec((9, 9, channels), channels, (3, 3), padding=((1, 1), (1, 1)), depthwise=True)
    return dataclasses.replace(layer, **changes)


def test_what_the_unit_computes() -> None:
    def operation(layer: LayerSpec, spec: SocSpec = COUNTER) -> Operation:
        return depthwise_groups(spec, layer)[0].operation

    plain = dataclasses.replace(COUNTER, depthwise=0)
    assert COUNTER.depthwise_samples == 32
    assert operation(layer_of(40)) is Operation.CHANNELWISE
    assert operation(layer_of(40), plain) is Operation.DEPTHWISE
    exact = layer_of(40, product=ProductSpec(exact=True))
    for other in (exact, layer_of(40, product=ProductSpec(length=1024))):
        assert operation(other) is Operation.DEPTHWISE
    large = {"kernel": (9, 1), "padding": ((4, 4), (0, 0))}
    assert operation(layer_of(40, **large)) is Operation.DEPTHWISE
    assert operation(layer_of(40, stride=(9, 1))) is Operation.DEPTHWISE
    assert operation(layer_of(40, outputs=80)) is Operation.PRODUCT


def test_groups_fit_the_weight_memory() -> None:
    tight = dataclasses.replace(COUNTER, weight_rows=96)
    layer = layer_of(150)
    rows = kernel_rows(tight, 32, 9)
    assert rows == 41  # 9 taps of four rows, five headers
    groups = depthwise_groups(tight, layer)
    assert [group.outputs for group in groups] == [range(64), range(64, 128), range(128, 150)]


@given(
    st.sampled_from((1, 2, 4, 8, 16)),
    st.sampled_from((8, 16, 32)),
    st.integers(1, 64),
    st.integers(1, 300),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_weights_lie_where_they_are_read(
    banks: int, columns: int, taps: int, channels: int, seed: int
) -> None:
    macro = MacroSpec(rows=64, columns=columns, or_width=64)
    spec = SocSpec(macro, banks=banks, requant_lanes=1, depthwise=4, weight_rows=1 << 16)
    rng, rows = np.random.default_rng(seed), tap_rows(taps, channels)
    weights = rng.integers(-128, 128, (taps, channels)).astype(np.int8)
    planes = pixel_words(channels) + int(rng.integers(3))
    memory = pack_kernels(spec, weights, rows, planes).view(np.int8).reshape(-1, columns)
    size, wide = kernel_rows(spec, channels, taps), 8 * banks
    tiles = -(-channels // wide)
    assert len(memory) == tiles * size
    for tile in range(tiles):
        held = slice(tile * wide, min((tile + 1) * wide, channels))
        part = memory[tile * size :]
        found, odd = unpack_kernels(spec, part, channels, held.stop - held.start, taps)
        assert np.array_equal(found, weights[:, held])
        assert np.array_equal(odd, odd_rows(rows[:, held], 64))


DEFAULT = SocSpec(depthwise=4)
"""The device of `dscim run`."""


@pytest.mark.parametrize("variant", [16, 64])
def test_the_keyword_network_on_ref(variant: int) -> None:
    spec = dataclasses.replace(DEFAULT, macro=MacroSpec(or_width=variant))
    with open_target("ref", spec) as device:
        arithmetic = ProductSpec(variant, 256)
        run = NetworkRun([device], keyword_network(1), arithmetic, keyword_inputs(1, 7))
        list(run.execute(lambda *_: None))
    assert run.holds


@pytest.mark.slow
@pytest.mark.parametrize(("length", "most"), [(64, 6000), (256, 14000)])
def test_the_keyword_network(length: int, most: int) -> None:
    """Every layer has the bits of the reference and the cycles of the model; depthwise layers take
    at most half of them."""
    network, arithmetic = keyword_network(1), ProductSpec(length=length)
    with open_target("sim", DEFAULT) as device:
        run = NetworkRun([device], network, arithmetic, keyword_inputs(1, 7), compare=True)
        list(run.execute(lambda *_: None))
    assert run.holds
    counted = {layer.name: layer.counters.cycles_busy for layer in run.layers}
    speed = network_speed(network, arithmetic, DEFAULT)
    assert counted == {layer.name: layer.cycles for layer in speed.layers}
    assert sum(counted.values()) <= most
    assert 2 * speed.by_kind["Depthwise"] <= sum(counted.values())
