"""The set-up of a layer: the same rejections as its twin, and correct strides."""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware import descriptor
from dscim.gateware.descriptor import VECTOR, Operation
from dscim.gateware.engine.setup import PLAN_LAYOUT, SIZE_BITS, Setup
from dscim.gateware.layout import pixel_words
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import MAX_DEPTH, LayerSpec, MacroSpec, SequenceSpec, SocSpec
from dscim.host.compile.descriptors import Bases, residual_fields, vector_fields
from dscim.host.compile.products import depthwise_fields, depthwise_tiles, layer_fields
from dscim.host.golden.twin.rejection import rejection
from dscim.host.network import Add, AveragePool, MaxPool, Mean
from tests.streams import pulse, serve, wait_for

DEVICES = (
    SocSpec(),
    SocSpec(
        MacroSpec(rows=16, columns=4, form="array", lanes=64, signed=("split",)),
        activation_words=64,
        weight_rows=128,
        channels=16,
        exact=False,
        descriptors=1,
    ),
    SocSpec(
        MacroSpec(
            rows=64,
            columns=8,
            or_width=64,
            lanes=1,
            sequence=SequenceSpec("lfsr"),
            signed=("offset",),
        ),
        activation_words=1 << 16,
        weight_rows=1 << 16,
        channels=4096,
        descriptors=2,
    ),
)
LARGE = (
    "input_height",
    "input_width",
    "input_channels",
    "inputs",
    "outputs",
    "output_channels",
    "output_height",
    "output_width",
    "kernel_height",
    "kernel_width",
)


class SetupOfADevice(LiteXModule):
    """A set-up with the read port of a descriptor memory."""

    def __init__(self, spec: SocSpec):
        bits = (spec.descriptors * descriptor.WORDS - 1).bit_length()
        self.read = Record([("adr", bits), ("re", 1), ("dat_r", 32)])
        self.setup = Setup(spec, self.read)


def ask(module, contents: list[int], fields: dict[str, int], place: int = 0):
    """Sets a descriptor up and returns (error, fields, plan)."""
    setup = module.setup
    start = descriptor.WORDS * place % len(contents)
    contents[start : start + descriptor.WORDS] = descriptor.pack(fields)
    yield setup.place.eq(place)
    yield from pulse(setup.start)
    yield from wait_for(setup.done, 100)
    taken, plan = {}, {}
    for field in descriptor.FIELDS:
        taken[field.name] = yield getattr(setup.fields, field.name)
    for name, _ in PLAN_LAYOUT:
        plan[name] = yield getattr(setup.plan, name)
    return (yield setup.error), taken, plan


def expected_plan(spec: SocSpec, f: dict[str, int]) -> dict[str, int]:
    """The plan of a layer that fits; steps and origins modulo the size of an address."""
    words, add = pixel_words(f["input_channels"]), f["operation"] == Operation.ADD
    row = f["input_width"] * words
    taps, pixels = f["kernel_height"] * f["kernel_width"], f["output_height"] * f["output_width"]
    output_words = pixel_words(f["output_channels"], bool(f["raw"]))
    columns = -(-f["outputs"] // spec.macro.columns)
    sizes = {
        "pixel_words": words,
        "output_pixel_words": output_words,
        "column_tiles": columns,
        "taps": taps,
        "window": taps * f["inputs"],
        "row_stride": row,
        "input_words": f["input_height"] * row,
        "pixels": pixels,
        "output_words": pixels * output_words,
        "weight_rows": f["depth"] * columns,
    }
    steps = {
        "tap_step": f["second_base"] - f["input_base"] if add else words,
        "pixel_step": f["stride_x"] * words,
        "line_step": f["stride_y"] * row,
        "origin_line": f["origin_y"] * row,
        "origin_pixel": f["origin_x"] * words,
    }
    limit = (1 << SIZE_BITS) - 1
    return (
        {name: min(value, limit) for name, value in sizes.items()}
        | {name: value & limit for name, value in steps.items()}
        | {"vector": int(f["operation"] in VECTOR), "add": int(add)}
    )


def run(spec: SocSpec, cases):
    """(error, fields, plan) of each (fields, place)."""
    module, results = SetupOfADevice(spec), []
    contents = [0] * (spec.descriptors * descriptor.WORDS)

    def control():
        for fields, place in cases:
            results.append((yield from ask(module, contents, fields, place)))

    run_simulation(module, [control(), serve(module.read, contents)])
    return results


def good_descriptors(spec: SocSpec) -> list[dict[str, int]]:
    """One of each operation that the device can run."""
    layer = LayerSpec((3, 3, 5), 6, (3, 2), (2, 1), ((1, 1), (1, 0)), product=_product(spec))
    shape, bases = (3, 3, 12), Bases(0, 40, 20)
    add = Add(
        "a",
        ("b", "c"),
        3,
        1.0,
        input_zeros=(-4, 5),
        multipliers=(1 << 30,) * 3,
        shifts=(0, -1, -17),
    )
    pools = (
        MaxPool("a", ("b",), 3, 1.0, kernel=(3, 3), padding=((1, 1), (1, 1))),
        AveragePool("a", ("b",), 3, 1.0, kernel=(2, 2), stride=(1, 2)),
        Mean("a", ("b",), 3, 1.0, input_zero=-4, multiplier=1 << 30, shift=0),
    )
    good = [
        layer_fields(spec, layer),
        *(vector_fields(node, shape, bases) for node in (add, *pools)),
    ]
    if spec.macro.or_width == 16:
        add = dataclasses.replace(add, inputs=("a", "b"))
        good.append(good[0] | residual_fields(add, "b", 4))
    if "split" in spec.macro.signed:
        small = LayerSpec((3, 6, 5), 6, stride=(1, 2), product=_product(spec))
        if spec.macro.rows > 2 * spec.macro.or_width:
            good.append(layer_fields(spec, small, windows=2))
        depthwise = dataclasses.replace(
            layer,
            outputs=10,
            kernel=(2, 2),
            depthwise=True,
            product=dataclasses.replace(layer.product, signed="split"),
        )
        channels = depthwise_tiles(spec, depthwise)[0]
        good.append(depthwise_fields(spec, depthwise, channels, Bases(0, 20)))
    return good


def descriptors(spec: SocSpec, rng, count: int):
    """What the device can run, with up to three fields changed, often to large values."""
    choices = good_descriptors(spec)
    yield from choices
    for _ in range(count):
        fields = dict(choices[rng.integers(len(choices))])
        for _ in range(int(rng.integers(1, 4))):
            field = descriptor.FIELDS[rng.integers(len(descriptor.FIELDS))]
            low, high = field.limits[0], field.limits[-1]
            near = int(rng.integers(low, high + 1))
            fields[field.name] = min(high, int(rng.choice((0, 1, 2, 3, high, low, near))))
        yield fields
    good = choices[0]
    for pair in combinations(LARGE, 2):
        yield good | dict.fromkeys(pair, 4095)
    yield from (
        good | change
        for change in ({"samples_log2": 7}, {"weight_base": 65535}, {"macro": 3}, {"operation": 7})
    )
    for base in (1, 2, 4, 8):
        yield good | {"parameter_base": base}
        yield good | {"parameter_base": base, "output_channel": 1, "output_channels": 8}
    for depth in (MAX_DEPTH, MAX_DEPTH + 1, 65535):
        yield good | dict.fromkeys(LARGE, 4095) | {"depth": depth}
    for fields in choices[1:]:
        for name in (
            "left_shift",
            "first_shift",
            "second_shift",
            "second_base",
            "raw",
            "depth",
            "input_channel",
            "output_channel",
            "kernel_height",
            "kernel_width",
            "origin_x",
            "input_height",
            "inputs",
            "offset",
            "residual",
            "windows_log2",
        ):
            limits = descriptor.BY_NAME[name].limits
            yield fields | {name: min(fields[name] + 1, limits[-1])}
            yield fields | {name: limits[-1]}
            yield fields | {name: min(8, limits[-1])}


def _product(spec: SocSpec):
    layer = LayerSpec((1, 1, 1), 1).product
    length = max(spec.macro.lanes, spec.macro.or_width)
    return dataclasses.replace(
        layer,
        or_width=spec.macro.or_width,
        length=length,
        sequence=spec.macro.sequence,
        signed=spec.macro.signed[0],
    )


@pytest.mark.parametrize("spec", DEVICES, ids=("default", "array", "large"))
def test_rejections_are_the_twins(spec):
    rng = np.random.default_rng(40)
    cases = list(descriptors(spec, rng, 150))
    results = run(spec, [(fields, k % spec.descriptors) for k, fields in enumerate(cases)])
    seen = set()
    for fields, (error, taken, plan) in zip(cases, results, strict=True):
        expected = rejection(spec, fields)
        seen.add(expected)
        assert error == expected, fields
        assert taken == fields
        if expected == ErrorCode.NONE:
            assert plan == expected_plan(spec, fields), fields
    rare = {ErrorCode.MACRO} if len(spec.macros) == 4 else set()
    assert seen >= set(ErrorCode) - {ErrorCode.DESCRIPTOR} - rare, "the seed must reach the codes"


def test_a_place_outside_the_memory():
    spec = DEVICES[2]
    good = next(descriptors(spec, np.random.default_rng(0), 0))
    places = (0, 1, 2, 3, 255)
    errors = [error for error, _, _ in run(spec, [(good, place) for place in places])]
    assert errors == [ErrorCode.NONE] * 2 + [ErrorCode.DESCRIPTOR] * 3
