"""The twin's rejections: what the device must refuse, and that what it accepts can run."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.gateware.descriptor import BY_NAME, FIELDS, Operation, pack, unpack
from dscim.gateware.layout import memory_sizes, tensor_rows
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SocSpec
from dscim.host.compile.descriptors import Bases, vector_fields
from dscim.host.compile.products import depthwise_fields, depthwise_groups, layer_fields
from dscim.host.golden.twin.compute import compute
from dscim.host.golden.twin.rejection import rejection
from dscim.host.network import MaxPool

SPEC = SocSpec(
    MacroSpec(rows=32, columns=16, lanes=16, samples=16),
    activation_words=1024,
    weight_rows=256,
    channels=64,
    banks=4,
    requant_lanes=8,
)
NARROW = dataclasses.replace(
    SPEC,
    macro=MacroSpec(rows=16, columns=4),
    exact=False,
    requant_lanes=4,
    banks=2,
    weight_rows=1024,
)
ARRAY = dataclasses.replace(
    SPEC, macro=MacroSpec(rows=16, form="array", columns=8, lanes=64, signed=("split",)), banks=16
)
UNIT = dataclasses.replace(SPEC, macro=MacroSpec(rows=32, columns=16, lanes=16), depthwise=2)
"""With a depthwise unit for up to 16 samples per row."""
SPLIT = ProductSpec(length=64)
PRODUCT = LayerSpec((6, 5, 20), 24, (3, 2), padding=((1, 1), (0, 1)), product=SPLIT)
DEPTHWISE = dataclasses.replace(PRODUCT, outputs=20, depthwise=True)


def product_fields(spec: SocSpec = SPEC) -> dict[str, int]:
    """A product at row 100, its output after it."""
    return layer_fields(spec, PRODUCT, Bases(10, 10 + tensor_rows(PRODUCT.input, spec.banks)))


def depthwise() -> dict[str, int]:
    group = depthwise_groups(SPEC, DEPTHWISE)[0]
    return depthwise_fields(SPEC, DEPTHWISE, group, Bases(0, 100))


def channelwise() -> dict[str, int]:
    group = depthwise_groups(UNIT, DEPTHWISE)[0]
    return depthwise_fields(UNIT, DEPTHWISE, group, Bases(0, 100))


def pool() -> dict[str, int]:
    node = MaxPool("a", ("b",), 3, 1.0, kernel=(2, 2))
    return vector_fields(node, (6, 5, 20), Bases(0, 100))


GOOD = {"product": product_fields(), "depthwise": depthwise(), "pool": pool()}
CASES = (
    ("product", {"operation": 6}, ErrorCode.OPERATION),
    ("product", {"residual": 1, "raw": 1}, ErrorCode.OPERATION),
    ("pool", {"residual": 1}, ErrorCode.OPERATION),
    ("product", {"macro": 2}, ErrorCode.MACRO),
    ("product", {"samples_log2": 5}, ErrorCode.LENGTH),  # built for 16
    ("product", {"offset": 1, "activation_shift": 1}, ErrorCode.SIGNED_MODE),
    ("depthwise", {"offset": 1}, ErrorCode.SIGNED_MODE),
    ("product", {"units": 18}, ErrorCode.NONE),
    ("product", {"units": 19}, ErrorCode.GEOMETRY),
    ("product", {"units": 0}, ErrorCode.GEOMETRY),
    ("product", {"weight_rows": 0}, ErrorCode.GEOMETRY),
    ("pool", {"weight_rows": 0}, ErrorCode.NONE),
    ("pool", {"units": 2}, ErrorCode.GEOMETRY),
    ("depthwise", {"units": 6}, ErrorCode.NONE),
    ("depthwise", {"units": 7}, ErrorCode.GEOMETRY),
    ("depthwise", {"inputs": 19}, ErrorCode.GEOMETRY),
    ("product", {"inputs": 12, "input_plane": 1, "units": 12}, ErrorCode.NONE),
    ("product", {"inputs": 13, "input_plane": 1, "units": 12}, ErrorCode.GEOMETRY),
    ("product", {"input_plane": 511}, ErrorCode.GEOMETRY),
    ("product", {"output_channel": 8, "outputs": 16}, ErrorCode.NONE),
    ("product", {"output_channel": 8, "outputs": 17}, ErrorCode.GEOMETRY),
    ("product", {"output_channel": 4, "outputs": 4}, ErrorCode.GEOMETRY),
    ("pool", {"output_channel": 4, "outputs": 4, "inputs": 4}, ErrorCode.GEOMETRY),
    ("product", {"residual": 1, "left_shift": 20, "first_shift": 3}, ErrorCode.SCALING),
    ("product", {"input_base": 232}, ErrorCode.INPUT_MEMORY),
    ("product", {"input_base": 231}, ErrorCode.NONE),
    ("product", {"output_base": 232}, ErrorCode.OUTPUT_MEMORY),
    ("product", {"output_base": 231}, ErrorCode.NONE),
    ("product", {"output_base": 167, "raw": 1}, ErrorCode.OUTPUT_MEMORY),
    ("product", {"output_base": 166, "raw": 1}, ErrorCode.NONE),
    ("product", {"residual": 1, "second_base": 232}, ErrorCode.INPUT_MEMORY),
    ("product", {"weight_base": 0, "weight_rows": 128}, ErrorCode.NONE),
    ("product", {"weight_base": 1, "weight_rows": 128}, ErrorCode.WEIGHT_MEMORY),
    ("product", {"parameter_base": 39}, ErrorCode.NONE),
    ("product", {"parameter_base": 41}, ErrorCode.PARAMETER_MEMORY),
)


@pytest.mark.parametrize(("kind", "change", "code"), CASES)
def test_each_rule(kind, change, code):
    assert rejection(SPEC, GOOD[kind]) is ErrorCode.NONE
    assert rejection(SPEC, GOOD[kind] | change) is code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"macro": 1}, ErrorCode.MACRO),
        ({"samples_log2": 4}, ErrorCode.NONE),
        ({"samples_log2": 5}, ErrorCode.LENGTH),
        ({"offset": 1}, ErrorCode.SIGNED_MODE),
        ({"units": 5}, ErrorCode.GEOMETRY),
        ({"kernel_height": 8, "units": 16}, ErrorCode.NONE),
        ({"kernel_height": 9, "units": 18}, ErrorCode.GEOMETRY),
        ({"kernel_width": 9, "units": 27}, ErrorCode.GEOMETRY),
        ({"stride_y": 8}, ErrorCode.NONE),
        ({"stride_y": 9}, ErrorCode.GEOMETRY),
        ({"inputs": 19}, ErrorCode.GEOMETRY),
        ({"raw": 1}, ErrorCode.NONE),
        ({"weight_base": 256 - 14}, ErrorCode.NONE),
        ({"weight_base": 256 - 13}, ErrorCode.WEIGHT_MEMORY),
    ],
)
def test_the_depthwise_unit(change, code):
    good = channelwise()
    assert good["operation"] == Operation.CHANNELWISE and good["weight_rows"] == 14
    assert rejection(UNIT, good) is ErrorCode.NONE
    assert rejection(UNIT, good | change) is code
    assert rejection(SPEC, good) is ErrorCode.OPERATION


def test_a_macro_of_few_columns_writes_whole_column_tiles_and_has_no_depthwise():
    fields = product_fields(NARROW) | {"outputs": 4, "units": 1, "weight_rows": 9}
    for channel in range(20):
        expected = ErrorCode.GEOMETRY if channel % 4 else ErrorCode.NONE
        assert rejection(NARROW, fields | {"output_channel": channel}) is expected
    depth = {"operation": int(Operation.DEPTHWISE), "inputs": 4}
    assert rejection(NARROW, fields | depth) is ErrorCode.GEOMETRY


def test_a_window_has_at_most_4096_units():
    large = dataclasses.replace(SPEC, activation_words=1 << 16, weight_rows=1 << 16)
    wide = product_fields() | {
        "input_base": 0,
        "input_width": 100,
        "input_height": 100,
        "kernel_height": 100,
        "kernel_width": 99,
    }
    wide |= {"input_channels": 1, "inputs": 1, "output_base": 3000}
    assert rejection(large, wide | {"units": 4096}) is ErrorCode.NONE
    assert rejection(large, wide | {"units": 4097}) is ErrorCode.GEOMETRY


def small_values() -> st.SearchStrategy[dict[str, int]]:
    """Up to three fields, small or at their limits."""

    def value(name: str) -> st.SearchStrategy[int]:
        limits = BY_NAME[name].limits
        near = st.integers(max(limits[0], -3), min(limits[-1], 30))
        return near | st.sampled_from((limits[0], limits[-1]))

    names = st.lists(st.sampled_from([field.name for field in FIELDS]), max_size=3, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({n: value(n) for n in chosen}))


@given(
    st.sampled_from(sorted(GOOD)), small_values(), st.sampled_from((SPEC, ARRAY)), st.integers(0, 9)
)
@settings(max_examples=300, deadline=None)
def test_what_is_accepted_can_run(kind, change, spec, seed):
    """It reads and writes within the memories, and changes only its output."""
    fields = GOOD[kind] | change
    assert unpack(pack(fields)) == fields
    if rejection(spec, fields):
        return
    if fields["output_height"] * fields["output_width"] * fields["units"] > 1 << 16:
        return
    rng = np.random.default_rng(seed)
    memories = {
        name: rng.integers(0, 1 << 32, size // 4, dtype=np.uint32)
        for name, size in memory_sizes(spec).items()
    }
    memories["parameters"] &= 0x0F0F0F0F
    before = {name: words.copy() for name, words in memories.items()}
    compute(spec, memories, fields)
    shape = tuple(fields[f"output_{side}"] for side in ("height", "width", "channels"))
    first = fields["output_base"] * spec.banks * 2
    size = tensor_rows(shape, spec.banks, bool(fields["raw"])) * spec.banks * 2
    for name, words in memories.items():
        if name == "activations":
            words[first : first + size] = before[name][first : first + size]
        assert np.array_equal(words, before[name])
