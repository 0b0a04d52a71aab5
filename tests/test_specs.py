"""Specs: validation in one sentence, JSON round trip, hashes that differ when a field does."""

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dscim.gateware.specs import (
    MAXIMAL_TAPS,
    TABLES,
    LayerSpec,
    MacroSpec,
    ProductSpec,
    SequenceSpec,
    SocSpec,
    SpecError,
    default_macro,
    table_sequence,
)
from dscim.gateware.specs.sequence import lfsr_step
from tests.tables import random_table

lfsrs = st.builds(
    SequenceSpec,
    st.just("lfsr"),
    st.tuples(st.sampled_from(MAXIMAL_TAPS), st.sampled_from(MAXIMAL_TAPS)),
    st.tuples(st.integers(1, 255), st.integers(1, 255)),
)
tables = st.builds(random_table, st.just(7), st.integers(0, 99))
products = st.builds(
    ProductSpec,
    st.sampled_from((16, 64)),
    st.sampled_from((64, 128, 256, 512, 1024)),
    st.one_of(st.just(SequenceSpec()), lfsrs, tables),
    st.just("split"),
    st.integers(0, 3),
    st.booleans(),
)
macros = st.builds(
    MacroSpec,
    st.sampled_from((64, 128)),
    st.sampled_from((4, 32)),
    st.sampled_from((16, 64)),
    st.just("array"),
    st.sampled_from((1, 4, 64)),
    lfsrs,
)
layers = st.builds(
    LayerSpec,
    st.tuples(*[st.integers(7, 40)] * 3),
    st.integers(1, 70),
    st.sampled_from(((1, 1), (3, 3), (1, 7))),
    product=products,
)
devices = st.builds(
    SocSpec,
    macros,
    st.booleans(),
    weight_rows=st.sampled_from((4096, 4112)),
    requant_lanes=st.sampled_from((1, 4)),
    banks=st.sampled_from((2, 8)),
)
specs = st.one_of(lfsrs, products, macros, layers, devices)


@given(specs)
def test_json_round_trip(spec):
    text = json.dumps(spec.to_json())
    again = type(spec).from_json(json.loads(text))
    assert again == spec
    assert again.hash == spec.hash


@given(specs, specs)
def test_different_specs_have_different_hashes(one, other):
    assert (one.hash == other.hash) == (one == other)
    assert 0 <= one.hash < 1 << 32


@pytest.mark.parametrize("taps", MAXIMAL_TAPS)
def test_taps_are_maximal(taps):
    state, period = lfsr_step(1, taps), 1
    while state != 1:
        state, period = lfsr_step(state, taps), period + 1
    assert period == 255


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: SequenceSpec("sobol"),
            "Sequence 'sobol' is unknown; choose one of counter, lfsr, table.",
        ),
        (
            lambda: SequenceSpec("lfsr", (0x80, 0x95)),
            "Taps 0x80 do not give an 8-bit LFSR of period "
            "255; choose one of " + " ".join(f"{taps:#x}" for taps in MAXIMAL_TAPS) + ".",
        ),
        (
            lambda: SequenceSpec("lfsr", seeds=(0, 1)),
            "Seed 0 is outside 1..255; an LFSR stays at zero.",
        ),
        (
            lambda: ProductSpec(length=100),
            "Stream length 100 is not allowed with OR width 16; choose "
            "16 times a power of two, from 16 to 1024.",
        ),
        (
            lambda: ProductSpec(64, 4096),
            "Stream length 4096 is not allowed with OR width 64; choose "
            "64 times a power of two, from 64 to 2048.",
        ),
        (
            lambda: ProductSpec(or_width=32),
            "OR width 32 is not built; choose 16 (ds-cim1) or 64 (ds-cim2).",
        ),
        (
            lambda: ProductSpec(signed="two"),
            "Signed mode 'two' is unknown; choose offset or split.",
        ),
        (lambda: ProductSpec(activation_shift=4), "Activation shift 4 is outside 0..3."),
        (
            lambda: ProductSpec(signed="offset", activation_shift=1),
            "Activation shift 1 needs the signed mode split; offset has none.",
        ),
        (
            lambda: MacroSpec(rows=100),
            "A macro of 100 rows cannot be cut into OR groups of 16; choose "
            "a multiple of 16 up to 512.",
        ),
        (lambda: MacroSpec(columns=3), "3 columns are not a power of two up to 256."),
        (
            lambda: MacroSpec(sequence=SequenceSpec("lfsr"), lanes=4),
            "4 lanes do not fit the form "
            "selected with the sequence lfsr; choose a power of two from 1 to 1.",
        ),
        (
            lambda: SocSpec(depthwise=3),
            "The device's depthwise of 3 is not 0 or a power of two from 2 to 16.",
        ),
        (
            lambda: SocSpec(MacroSpec(samples=2), depthwise=4),
            "The device's depthwise of 4 is more than the 2 samples per row of the macro.",
        ),
        (
            lambda: SocSpec(MacroSpec(signed=("offset",)), depthwise=4),
            "The depthwise unit takes the samples of a macro of the form selected, with the "
            "sequence counter or table and the signed mode split; choose depthwise 0.",
        ),
        (
            lambda: SocSpec(MacroSpec(columns=4), requant_lanes=4, depthwise=4),
            "The depthwise unit needs 8 columns, not 4; choose depthwise 0.",
        ),
        (lambda: SocSpec(strip=3), "The device's strip of 3 is not a power of two from 2 to 4096."),
        (
            lambda: LayerSpec((8, 8, 4), 6, (3, 3), depthwise=True),
            "A depthwise layer of 4 channels cannot have 6 outputs; it needs a multiple of 4.",
        ),
        (
            lambda: LayerSpec((8, 8, 4), 4, product=ProductSpec(signed="offset"), depthwise=True),
            "A depthwise layer runs only in the signed mode split: in offset mode, cells off the "
            "diagonal would fire.",
        ),
        (
            lambda: LayerSpec((8, 8, 4095), 1, (3, 3)),
            "A window of 36855 inputs is more than 32767, "
            "beyond which 32 bits could wrap; split the layer's input channels.",
        ),
        (
            lambda: LayerSpec((2, 2, 1), 1, (3, 3)),
            "A kernel of (3, 3) is larger than the padded "
            "input of (2, 2, 1) with padding ((0, 0), (0, 0)).",
        ),
        (
            lambda: SocSpec().macro_for(ProductSpec(64, 64)),
            "The device cannot compute this product: The macro's OR width is 16, not 64.",
        ),
        (
            lambda: MacroSpec.from_json({"row": 1}),
            "MacroSpec has no field row; its fields are rows, "
            "columns, or_width, form, lanes, sequence, signed, samples.",
        ),
        (
            lambda: MacroSpec.from_json({"signed": ["split", 3]}),
            "MacroSpec has the field signed of ('split', 3), which is not tuple[str, ...].",
        ),
        (lambda: MacroSpec.from_json([1]), "MacroSpec needs a JSON object, not [1]."),
    ],
)
def test_what_cannot_be_is_one_sentence(make, sentence):
    with pytest.raises(SpecError) as caught:
        make()
    assert str(caught.value) == sentence


def test_specs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SocSpec().exact = False


def test_a_device_without_the_depthwise_unit_keeps_its_hash():
    assert "depthwise" not in SocSpec().to_json()
    assert SocSpec(depthwise=4).hash != SocSpec().hash
    assert SocSpec.from_json(SocSpec(depthwise=4).to_json()) == SocSpec(depthwise=4)


def test_cycles_of_a_product():
    for width in (16, 64):
        assert default_macro(width).cycles(ProductSpec(width, 256)) == 4
        assert default_macro(width).cycles(ProductSpec(width, 64)) == 1
        assert default_macro(width).cycles(ProductSpec(width, 1024)) == 16
    assert MacroSpec(lanes=16).cycles(ProductSpec(16, 16)) == 1
    assert MacroSpec(lanes=1).cycles(ProductSpec(16, 256)) == 256
    assert MacroSpec(form="exact", lanes=4).cycles(ProductSpec(exact=True)) == 4
    assert MacroSpec(form="array", lanes=64).cycles(ProductSpec(16, 256)) == 4


def test_samples_bound_the_streams():
    macro = MacroSpec(samples=16)
    assert macro.rejection(ProductSpec(16, 256)) is None
    assert "built for up to 16" in str(macro.rejection(ProductSpec(16, 512)))
    assert MacroSpec().max_samples == 64 and MacroSpec(or_width=64).max_samples == 32
    with pytest.raises(SpecError, match="128 samples"):
        MacroSpec(samples=128)


def test_a_specs_hash_does_not_depend_on_fields_that_came_later():
    assert "samples" not in MacroSpec().to_json() and "samples" in MacroSpec(samples=4).to_json()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ((), "needs a table"),
        (((0, ((1, 2), (3, 4))),), "1 points"),
        (((4, ((1, 2),)),), "shift of 4"),
        (((0, ((256, 2),)),), "0..255"),
        (((0, ((1, 2),)), (0, ((9, 2), (3, 4)))), "rising"),
    ],
)
def test_tables_that_cannot_be(table, words):
    with pytest.raises(SpecError, match=re.escape(words)):
        SequenceSpec("table", table=table)


def test_a_table_ends_streams():
    short = SequenceSpec("table", table=TABLES["uniform"][:3])
    assert ProductSpec(16, 64, short).longest == 64
    with pytest.raises(SpecError, match="up to 4 samples"):
        ProductSpec(16, 128, short)
    with pytest.raises(SpecError, match="no table"):
        table_sequence("sobol")
