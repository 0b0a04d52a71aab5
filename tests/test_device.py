"""The device over the model link: packing, addressing, identity and errors, with numpy."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import LinkError, UserError
from dscim.gateware import descriptor, registers
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SocSpec
from dscim.host.compile.parameters import LayerParameters
from dscim.host.device import Device
from dscim.host.device.run.difference import REQUANTISATION, Difference, first_difference
from dscim.host.device.target import open_target
from dscim.host.golden.reference import PreparedLayer, product
from dscim.host.golden.twin.ref import ModelLink
from dscim.sim.server import Simulator
from dscim.sim.soc import soc_design

SMALL = SocSpec(
    MacroSpec(rows=32, columns=8),
    activation_words=512,
    weight_rows=128,
    channels=16,
    strip=4,
    requant_lanes=8,
)
ORDERED = dataclasses.replace(
    SMALL, macro=MacroSpec(rows=48, columns=8, form="array", lanes=16), banks=2, requant_lanes=4
)
"""A row's place decides its region."""


def random_parameters(layer: LayerSpec, rng: np.random.Generator) -> LayerParameters:
    kernel = (layer.outputs, *layer.kernel, layer.input[2])
    return LayerParameters(
        rng.integers(-128, 128, kernel).astype(np.int8),
        rng.integers(-9999, 9999, layer.outputs).astype(np.int32),
        rng.integers(2**30, 2**31, layer.outputs).astype(np.int32),
        rng.integers(-12, -6, layer.outputs).astype(np.int32),
    )


@pytest.mark.parametrize(
    "layer",
    [
        LayerSpec((5, 4, 3), 9, (3, 3), (1, 1), ((1, 1), (1, 1)), -128, 3),
        LayerSpec((7, 6, 9), 5, (3, 2), (2, 3), ((0, 1), (2, 0)), 17, -5, (-100, 90)),
        LayerSpec((1, 1, 130), 12, input_zero=-1, product=ProductSpec(signed="offset")),
        LayerSpec((4, 4, 8), 8, product=ProductSpec(exact=True)),
    ],
)
def test_layer_equals_the_reference(layer):
    rng = np.random.default_rng(3)
    parameters = random_parameters(layer, rng)
    x = rng.integers(-128, 128, (2, *layer.input)).astype(np.int8)
    expected = PreparedLayer(layer, *dataclasses.astuple(parameters)).run(x)
    for spec in (SocSpec(), SocSpec(ORDERED.macro, requant_lanes=8)):
        with open_target("ref", spec) as device:
            run = device.run_layer(layer, parameters, x)
        np.testing.assert_array_equal(run.outputs, expected)


@pytest.mark.parametrize("spec", [SMALL, ORDERED], ids=["selected", "array"])
@pytest.mark.parametrize("channels", [8, 11])
def test_a_difference_is_located(spec, channels, monkeypatch):
    """The sums are wrong from the second row tile on, whether the host unrolls or not."""
    layer = LayerSpec((5, 4, channels), 3, (3, 3))
    rng = np.random.default_rng(3)
    parameters = random_parameters(layer, rng)
    x = rng.integers(-128, 128, (1, *layer.input)).astype(np.int8)
    seen = Difference(0, (1, 1), 2, "", 0, 0)
    with open_target("ref", spec) as device:
        assert first_difference(device, layer, parameters, x, seen).place == REQUANTISATION
        multiply, run_layer = device.multiply, device.run_layer

        def wrong_product(x, w, *others):
            run = multiply(x, w, *others)
            return dataclasses.replace(run, values=run.values + (len(w) > spec.macro.rows))

        def wrong_layer(*others, units=None, raw=False):
            run = run_layer(*others, units=units, raw=raw)
            return dataclasses.replace(run, outputs=run.outputs + ((units or 0) > spec.macro.units))

        monkeypatch.setattr(device, "multiply", wrong_product)
        monkeypatch.setattr(device, "run_layer", wrong_layer)
        tiles = (
            2 if channels == 8 and spec is ORDERED else 3 if spec is ORDERED or channels == 8 else 5
        )
        found = first_difference(device, layer, parameters, x, seen)
    assert found.place == f"row tile 1 of 0..{tiles - 1}"


@pytest.mark.parametrize("inputs", [5000, 5003])
def test_a_layer_of_more_inputs_than_a_descriptor_has(inputs):
    layer = LayerSpec((1, 1, inputs), 5)
    rng = np.random.default_rng(3)
    parameters = random_parameters(layer, rng)
    x = rng.integers(-128, 128, (2, *layer.input)).astype(np.int8)
    expected = PreparedLayer(layer, *dataclasses.astuple(parameters)).run(x)
    with open_target("ref", SocSpec(weight_rows=8192)) as device:
        np.testing.assert_array_equal(device.run_layer(layer, parameters, x).outputs, expected)


@given(
    st.integers(1, 9),
    st.integers(1, 600),
    st.integers(1, 40),
    st.sampled_from(("split", "offset", "exact")),
    st.integers(-128, 127),
)
@settings(max_examples=25, deadline=None)
def test_products_larger_than_the_memories_are_split_without_a_change(m, k, n, mode, zero_point):
    spec = ProductSpec(exact=True) if mode == "exact" else ProductSpec(signed=mode)
    rng = np.random.default_rng(m * k * n)
    x = rng.integers(-128, 128, (m, k)).astype(np.int8)
    w = rng.integers(-128, 128, (k, n)).astype(np.int8)
    with open_target("ref", SMALL) as device:
        values = device.multiply(x, w, spec, zero_point).values
    np.testing.assert_array_equal(values, product(x, w, spec, zero_point))


def test_another_spec_is_refused():
    with pytest.raises(UserError, match="was built from spec"):
        Device(ModelLink(SMALL), SocSpec())


def test_unknown_target_is_refused():
    with pytest.raises(UserError, match=r"'fpga' is unknown; choose one of ref, sim, sim\+eth"):
        open_target("fpga", SMALL)
    with pytest.raises(UserError, match="Target 'uart:@9600' has no valid port"):
        open_target("uart:@9600", SMALL)


def test_a_running_simulator_is_a_uart_and_another_spec_is_refused():
    with Simulator(soc_design(SMALL)) as simulator:
        target = f"uart:socket://127.0.0.1:{simulator.port}"
        with open_target(target, SMALL) as device:
            x, w = np.full((1, 40), 3, np.int8), np.full((40, 9), -5, np.int8)
            exact = ProductSpec(exact=True)
            assert (device.multiply(x, w, exact).values == -600).all()
        with pytest.raises(UserError, match="was built from spec"):
            open_target(target, SocSpec())


def test_a_layer_that_does_not_fit_is_refused_with_its_size():
    layer = LayerSpec((64, 64, 8), 8)
    parameters = random_parameters(layer, np.random.default_rng(0))
    with open_target("ref", SMALL) as device, pytest.raises(UserError, match="512 rows of act"):
        device.run_layer(layer, parameters, np.zeros((1, 64, 64, 8), np.int8))


@given(
    st.fixed_dictionaries(
        {f.name: st.integers(f.limits[0], f.limits[-1]) for f in descriptor.FIELDS}
    )
)
@settings(max_examples=50, deadline=None)
def test_descriptor_round_trip(values):
    assert descriptor.unpack(descriptor.pack(values)) == values


def test_descriptor_fields_do_not_overlap():
    taken = [(f.word, bit) for f in descriptor.FIELDS for bit in range(f.offset, f.offset + f.size)]
    assert len(set(taken)) == len(taken)
    assert all(word < descriptor.WORDS and bit < 32 for word, bit in taken)


def test_register_round_trip():
    status = registers.BY_NAME["status"]
    fields = {"busy": 1, "error": 9, "place": 200}
    assert status.unpack(status.pack(**fields)) == fields
    with pytest.raises(ValueError, match=r"status\.error holds 4 bits, not 16"):
        status.pack(error=16)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weights": np.zeros((2, 3), np.int8)}, "must be int8 with four axes"),
        ({"bias": np.zeros(3, np.int32)}, r"bias must be int32 of shape \(2,\)"),
        ({"multiplier": np.array([1, -1], np.int32)}, "multiplier of -1 is negative"),
        ({"shift": np.array([0, 31], np.int32)}, r"shift of 31 is outside -31\.\.30"),
        ({"shift": np.array([12, 0], np.int32)}, "left shift of 12 could carry sums of 9 products"),
    ],
)
def test_wrong_parameters_are_refused(change, sentence):
    nothing = np.zeros(2, np.int32)
    good = {
        "weights": np.zeros((2, 3, 3, 1), np.int8),
        "bias": nothing,
        "multiplier": nothing,
        "shift": nothing,
    }
    LayerParameters(**good)
    with pytest.raises(UserError, match=sentence):
        LayerParameters(**good | change)


def test_ref_reads_no_registers_that_it_does_not_have():
    link = ModelLink(SocSpec())
    last = registers.BANK_BASE + 4 * (len(registers.REGISTERS) - 1)
    assert len(link.read(last, 1)) == 1
    with pytest.raises(LinkError, match="2 words"):
        link.read(last, 2)
