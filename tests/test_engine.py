"""The layer engine in the simulator equals the numpy reference, and rejects as its twin does."""

import math

import numpy as np
import pytest

from dscim.gateware import descriptor, registers
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.compile.parameters import LayerParameters
from dscim.host.compile.products import layer_fields
from dscim.host.device import Device
from dscim.host.device.target import open_target
from dscim.host.golden.reference import PreparedLayer
from dscim.host.golden.twin.rejection import rejection
from tests.chains import send, start
from tests.integers import beside_ties, scale_once, scale_twice
from tests.layers import random_inputs, random_layer, random_parameters, random_product
from tests.small_devices import MEDIUM

TINY = SocSpec(
    MacroSpec(rows=16, columns=4, lanes=4),
    activation_words=1 << 13,
    weight_rows=16384,
    channels=128,
    strip=4,
    banks=1,
    requant_lanes=1,
    descriptors=2,
    read_ports=1,
)
LFSR = SocSpec(
    MacroSpec(rows=64, columns=8, or_width=64, lanes=1, sequence=SequenceSpec("lfsr")),
    activation_words=1 << 15,
    weight_rows=8192,
    channels=128,
    strip=16,
    exact=False,
    banks=4,
    requant_lanes=4,
)
ARRAY = SocSpec(
    MacroSpec(rows=32, columns=4, form="array", lanes=4),
    activation_words=1 << 14,
    weight_rows=16384,
    channels=128,
    strip=8,
    banks=16,
    requant_lanes=2,
)
EXACT = SocSpec(
    MacroSpec(rows=144, columns=32, form="exact", lanes=16),
    activation_words=1 << 14,
    weight_rows=8192,
    channels=128,
    strip=64,
    exact=False,
)
SIDES = ("height", "width")
DEVICES = {"default": SocSpec(), "tiny": TINY, "lfsr": LFSR, "array": ARRAY, "exact": EXACT}


@pytest.fixture(scope="module")
def device():
    with open_target("sim", MEDIUM) as opened:
        yield opened


def check_layers(device: Device, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        layer = random_layer(rng, device.spec)
        parameters = random_parameters(rng, layer)
        x = random_inputs(rng, layer, 2)
        expected = PreparedLayer(
            layer, parameters.weights, parameters.bias, parameters.multiplier, parameters.shift
        ).run(x)
        run = device.run_layer(layer, parameters, x)
        np.testing.assert_array_equal(run.outputs, expected, err_msg=repr(layer))


def test_random_layers(device):
    check_layers(device, seed=1, count=25)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEVICES)
def test_random_layers_on_other_devices(name):
    with open_target("sim", DEVICES[name]) as opened:
        check_layers(opened, seed=2, count=60)


@pytest.mark.parametrize("once", [False, True], ids=["twice", "once"])
def test_ties_are_rounded_as_the_descriptor_says(device, once):
    """The biases are sums beside ties of every right shift; nothing else counts."""
    sums, multiplier, shift = beside_ties(np.random.default_rng(6), 128)
    layer = LayerSpec((1, 1, 1), len(sums), single_rounding=once)
    parameters = LayerParameters(
        np.zeros((len(sums), 1, 1, 1), np.int8),
        *(each.astype(np.int32) for each in (sums, multiplier, shift)),
    )
    found = device.run_layer(layer, parameters, np.zeros((1, 1, 1, 1), np.int8)).outputs
    scales = [
        [
            min(max(scale(*numbers), -128), 127)
            for numbers in zip(sums.tolist(), multiplier.tolist(), shift.tolist(), strict=True)
        ]
        for scale in (scale_twice, scale_once)
    ]
    assert found.ravel().tolist() == scales[once] != scales[not once]


def test_fewer_units_give_the_sums_of_the_first_rows(device):
    rng = np.random.default_rng(5)
    layer = LayerSpec((5, 5, 20), 33, (3, 3), (1, 1), ((1, 1), (1, 1)), -128)
    parameters, x = random_parameters(rng, layer), random_inputs(rng, layer, 1)
    with open_target("ref", device.spec) as reference:
        for units in (1, 7, 8, 9, 26, 27):
            raw = [
                target.run_layer(layer, parameters, x, units=units, raw=True).outputs
                for target in (device, reference)
            ]
            np.testing.assert_array_equal(*raw)


def test_a_product_in_every_cycle_of_the_macro(device):
    """A window of a unit takes a beat; products take L / P cycles, without pause."""
    rng = np.random.default_rng(7)
    for kernel, channels, length in (((1, 1), 64, 128), ((3, 3), 8, 128), ((1, 1), 8, 32)):
        product = ProductSpec(length=length)
        layer = LayerSpec((20, 20, channels), 16, kernel, product=product)
        run = device.run_layer(layer, random_parameters(rng, layer), random_inputs(rng, layer, 1))
        pixels, tiles = layer.output[0] * layer.output[1], -(-layer.depth // 64)
        assert run.counters.products == pixels * tiles
        cycles = device.spec.macro.cycles(product)
        assert run.counters.cycles_computing == pixels * tiles * cycles
        share = run.counters.cycles_computing / run.counters.cycles_busy
        print(f"{kernel} {channels:3} L={length:3}: {share:.2f} of the cycles compute")
        assert share > 0.7


def test_wrong_descriptors_are_refused_as_by_the_twin(device):
    rng = np.random.default_rng(11)
    layer = LayerSpec((6, 6, 10), 32, (3, 3), (1, 1), ((1, 1), (1, 1)), -128)
    good = layer_fields(device.spec, layer)
    assert send(device, good) == registers.ErrorCode.NONE
    seen = set()
    for _ in range(400):
        fields = dict(good)
        for place in rng.integers(len(descriptor.FIELDS), size=rng.integers(1, 4)):
            field = descriptor.FIELDS[place]
            edges = (
                0,
                1,
                field.limits[0],
                field.limits[-1],
                field.limits[-1] & ~7,
                rng.integers(field.limits[-1] + 1),
            )
            fields[field.name] = int(rng.choice(edges))
        expected = rejection(device.spec, fields)
        sizes = [fields[f"{what}_{side}"] for what in ("output", "kernel") for side in SIDES]
        if expected is registers.ErrorCode.NONE and math.prod(sizes) > 4000:
            continue
        assert send(device, fields) == expected, fields
        seen.add(expected)
    rare = {
        registers.ErrorCode.DESCRIPTOR,
        registers.ErrorCode.SIGNED_MODE,
        registers.ErrorCode.SCALING,
    }
    assert seen >= set(registers.ErrorCode) - rare, "the seed must reach the codes"
    assert (
        send(device, good | {"offset": 1, "activation_shift": 1}) == registers.ErrorCode.SIGNED_MODE
    )
    assert start(device, first=device.spec.descriptors, count=1) == registers.ErrorCode.DESCRIPTOR


def test_a_rejection_leaves_the_device_usable(device):
    check_layers(device, seed=3, count=2)


def test_products_of_every_shape(device):
    rng = np.random.default_rng(9)
    for depth in (1, 27, 64, 65, 576):
        for columns in (1, 15, 16, 17, 32):
            x = rng.integers(-128, 128, (3, depth)).astype(np.int8)
            w = rng.integers(-128, 128, (depth, columns)).astype(np.int8)
            spec = random_product(rng, device.spec)
            with open_target("ref", device.spec) as reference:
                expected = reference.multiply(x, w, spec, 5).values
            np.testing.assert_array_equal(device.multiply(x, w, spec, 5).values, expected)
            if not spec.exact:
                exact = device.multiply(x, w, ProductSpec(exact=True), 5).values
                np.testing.assert_array_equal(exact, (x.astype(int) - 5) @ w.astype(int))
