"""Descriptors: fields are disjoint and unpack to the same values; errors are one sentence."""

import dataclasses

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware import descriptor
from dscim.gateware.descriptor import Operation
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec, MacroSpec, SocSpec
from dscim.host.compile.descriptors import Bases, vector_fields
from dscim.host.compile.products import depthwise_fields, depthwise_groups, layer_fields
from dscim.host.device.target import open_target
from dscim.host.golden.twin.rejection import rejection
from dscim.host.network import Softmax
from tests import nodes
from tests.chains import send

SOC = SocSpec(
    MacroSpec(rows=32, columns=4, lanes=4),
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=4,
    banks=2,
    requant_lanes=4,
)


def test_fields_are_disjoint_and_come_back():
    taken = set()
    for field in descriptor.FIELDS:
        bits = {(field.word, bit) for bit in range(field.offset, field.offset + field.size)}
        assert field.word < descriptor.WORDS and field.offset + field.size <= 32
        assert not bits & taken, field.name
        taken |= bits
    rng = np.random.default_rng(12)
    values = {
        field.name: int(rng.choice((field.limits[0], field.limits[-1])))
        for field in descriptor.FIELDS
    }
    assert descriptor.unpack(descriptor.pack(values)) == values
    assert max(Operation) in descriptor.BY_NAME["operation"].limits


def test_an_add_beyond_32_bits_is_refused():
    rng = np.random.default_rng(11)
    node = dataclasses.replace(
        nodes.add(rng, "a", ("b", "c"), (0, 0)), left_shift=20, shifts=(2, 0, 0)
    )
    fields = vector_fields(node, (2, 2, 8), Bases(0, 4, 2))
    with open_target("ref", SOC) as device:
        assert send(device, fields) == ErrorCode.NONE
        assert send(device, fields | {"first_shift": 3}) == ErrorCode.SCALING
    with pytest.raises(UserError, match="widens an input by 23 bits"):
        vector_fields(dataclasses.replace(node, shifts=(0, 3, 0)), (2, 2, 8), Bases())


def test_what_a_device_has_no_operation_for():
    table = np.array([1.0] + [0.0] * 255, np.float32)
    with pytest.raises(UserError, match="'a' of kind Softmax has no descriptor"):
        vector_fields(Softmax("a", ("b",), -128, 1 / 256, table=table), (1, 1, 8), Bases())


@pytest.mark.parametrize(
    ("bases", "text"),
    (
        (Bases(2040, 0), "input and output need 2049 rows"),
        (Bases(0, 2043), "input and output need 2049 rows"),
        (Bases(weights=4090), "weights need 4110 rows"),
        (Bases(parameters=256), "channels need 264 channels"),
    ),
)
def test_what_does_not_fit_is_reported(bases, text):
    with pytest.raises(UserError, match=text):
        layer_fields(SOC, LayerSpec((3, 3, 9), 8, (1, 1)), bases)
    assert layer_fields(SOC, LayerSpec((3, 3, 9), 8, (1, 1)))["output_base"] == 9


@pytest.mark.parametrize("columns", [4, 8, 16])
def test_groups_of_a_depthwise_layer(columns):
    """They divide the outputs, read whole planes, and fit the memories."""
    spec = SocSpec(
        MacroSpec(rows=32, columns=columns), weight_rows=128, channels=16, banks=2, requant_lanes=4
    )
    for kernel, channels, each in (((3, 3), 34, 2), ((1, 1), 40, 1), ((7, 7), 20, 1)):
        layer = LayerSpec((8, 8, channels), channels * each, kernel, depthwise=True)
        groups = depthwise_groups(spec, layer)
        if columns == 4 and kernel == (7, 7):
            assert not groups  # 8 x 49 rows of a plane's matrix do not fit
            continue
        assert [o for group in groups for o in group.outputs] == list(range(layer.outputs))
        for group in groups:
            compact = group.operation is Operation.DEPTHWISE
            assert compact == (columns >= 8 and each == 1)
            assert group.inputs.start % 8 == 0 and (compact or len(group.inputs) <= 8)
            assert {o // each for o in group.outputs} <= set(group.inputs)
            assert len(group.outputs) <= 16
            fields = depthwise_fields(spec, layer, group, Bases(0, 400))
            assert fields["input_plane"] == group.inputs.start // 8
            assert rejection(spec, fields) == ErrorCode.NONE
