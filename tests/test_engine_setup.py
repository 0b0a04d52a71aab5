"""The set-up of a layer: the same rejections as its twin, and correct strides."""

from dataclasses import replace

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware import descriptor
from dscim.gateware.descriptor import VECTOR, Operation
from dscim.gateware.engine.setup import PLAN_LAYOUT, SIZE_BITS, Setup
from dscim.gateware.layout import column_tiles, pixel_words, tensor_rows
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.compile.descriptors import Bases, residual_fields, vector_fields
from dscim.host.compile.products import depthwise_fields, depthwise_groups, layer_fields
from dscim.host.golden.twin.rejection import rejection
from dscim.host.network import Add, AveragePool, MaxPool, Mean
from tests.streams import pulse, serve, wait_for

DEVICES = {
    "default": SocSpec(),
    "depthwise unit": SocSpec(
        MacroSpec(rows=32, columns=8), activation_words=1024, banks=4, requant_lanes=4, depthwise=2
    ),
    "array": SocSpec(
        MacroSpec(rows=16, columns=4, form="array", lanes=64, signed=("split",)),
        activation_words=128,
        weight_rows=128,
        channels=16,
        exact=False,
        descriptors=1,
        banks=2,
        requant_lanes=4,
    ),
    "large": SocSpec(
        MacroSpec(
            rows=64,
            columns=8,
            or_width=64,
            lanes=1,
            sequence=SequenceSpec("lfsr"),
            signed=("offset",),
        ),
        activation_words=1 << 16,
        weight_rows=(1 << 16) - 16,
        channels=4096,
        descriptors=2,
        banks=16,
        requant_lanes=8,
    ),
    "exact": SocSpec(
        MacroSpec(rows=48, columns=16, form="exact", lanes=16),
        activation_words=1 << 16,
        weight_rows=1 << 10,
        channels=256,
        exact=False,
        descriptors=2,
        banks=1,
        requant_lanes=2,
    ),
}
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
RARE = (
    "left_shift",
    "first_shift",
    "second_shift",
    "second_base",
    "raw",
    "units",
    "weight_rows",
    "input_plane",
    "output_channel",
    "kernel_height",
    "kernel_width",
    "origin_x",
    "input_height",
    "inputs",
    "offset",
    "residual",
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
    """The plan of a layer that fits: sizes saturate, strides and origins wrap."""
    limit, banks, raw = (1 << SIZE_BITS) - 1, spec.banks, bool(f["raw"])
    operation = Operation(f["operation"])
    planes = pixel_words(f["input_channels"])
    read = 1 if operation is Operation.DEPTHWISE else pixel_words(f["inputs"])
    written = pixel_words(f["output_channels"], raw)
    inputs, outputs = (
        (f[f"{side}_height"], f[f"{side}_width"], f[f"{side}_channels"])
        for side in ("input", "output")
    )
    taps = f["kernel_height"] * f["kernel_width"]
    if operation in VECTOR:
        step = 8 * max(1, min(spec.requant_lanes // 8, banks))
        columns = -(-f["outputs"] // step)
    else:
        columns = column_tiles(spec, operation, f["outputs"])
    sizes = {
        "taps": taps,
        "pixels": outputs[0] * outputs[1],
        "window": min(taps, limit) * read,
        "input_lines": inputs[0] * planes,
        "output_lines": outputs[0] * written,
        "weight_rows": f["weight_rows"] * columns,
        "input_rows": tensor_rows(inputs, banks),
        "output_rows": tensor_rows(outputs, banks, raw),
    }
    origin, step = f["origin_y"] * planes, f["stride_y"] * planes
    first = f["output_channel"] // (2 if raw else 8)
    signed = (origin + limit // 2 + 1) % (limit + 1) - limit // 2 - 1
    wrapped = {
        "step_lines": step,
        "origin_lines": origin,
        "tap_rows": planes // banks * inputs[1],
        "step_rows": (step & limit) // banks * inputs[1],
        "origin_rows": (signed + f["input_plane"]) // banks * inputs[1],
        "next_rows": written // banks * outputs[1],
        "first_rows": first // banks * outputs[1],
    }
    return (
        {name: min(value, limit) for name, value in sizes.items()}
        | {name: value & limit for name, value in wrapped.items()}
        | {
            "planes": planes,
            "read_planes": read,
            "write_planes": written,
            "column_tiles": columns,
            "first_line": first,
            "vector": int(operation in VECTOR),
            "add": int(operation is Operation.ADD),
            "apart": int(operation is Operation.CHANNELWISE),
        }
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
    """One of each operation that the device can run, and a product with a residual."""
    layer = LayerSpec((3, 3, 20), 6, (3, 2), (2, 1), ((1, 1), (1, 0)), product=_product(spec))
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
        layer_fields(spec, layer, units=2) | {"weight_rows": 40},
        *(vector_fields(node, shape, bases) for node in (add, *pools)),
    ]
    residual = replace(add, inputs=("a", "b"))
    good.append(good[0] | residual_fields(residual, "b", 4))
    split = "split" in spec.macro.signed or spec.macro.form == "exact"
    if split and spec.macro.columns >= 8:
        product = layer.product if layer.product.exact else replace(layer.product, signed="split")
        deep = replace(layer, outputs=20, kernel=(2, 2), depthwise=True, product=product)
        group = depthwise_groups(spec, deep)[0]
        good.append(depthwise_fields(spec, deep, group, Bases(0, 40)))
    return good


def near(rng, value: int, name: str) -> int:
    """Another value of a field: a limit, a small one, one beside its own, or any."""
    limits = descriptor.BY_NAME[name].limits
    choices = (0, 1, 2, 3, 8, limits[0], limits[-1], value - 1, value + 1, value + 8)
    some = int(rng.choice((*choices, *rng.integers(limits[0], limits[-1] + 1, 3))))
    return min(max(some, limits[0]), limits[-1])


def descriptors(spec: SocSpec, rng, count: int):
    """What the device can run; `count` of them with up to three fields changed; some rare ones."""
    choices = good_descriptors(spec)
    yield from choices
    for _ in range(count):
        fields = dict(choices[rng.integers(len(choices))])
        for place in rng.integers(len(descriptor.FIELDS), size=rng.integers(1, 4)):
            name = descriptor.FIELDS[place].name
            fields[name] = near(rng, fields[name], name)
        yield fields
    yield from rare_descriptors(spec, rng, choices, count)


def rare_descriptors(spec: SocSpec, rng, choices: list[dict[str, int]], count: int):
    """Products of sizes that wrap, and `count` changes that random ones seldom reach."""
    good = choices[0]
    for _ in range(count // 4):
        yield good | dict.fromkeys(rng.choice(LARGE, 2), 4095)
    for units in (4096, 4097, 65535):
        yield good | dict.fromkeys(LARGE, 4095) | {"units": units}
        yield good | {"kernel_height": 100, "kernel_width": 99, "units": units}
    yield from (
        good | change
        for change in (
            {"samples_log2": 7},
            {"weight_base": 65535},
            {"weight_base": spec.weight_rows - 40},
            {"weight_base": spec.weight_rows - 39},
            {"macro": 3},
            {"offset": 1, "activation_shift": 1},
            {"residual": 1, "left_shift": 20, "first_shift": 3},
            {"output_channel": 1},
            {"units": 0},
            {"operation": 7},
            {"parameter_base": spec.channels - 6},
            {"parameter_base": spec.channels - 5},
            {"parameter_base": 65535},
            {"origin_y": -4096, "input_channels": 4095},
            {"stride_y": 4095, "output_height": 1},
        )
    )
    for side in ("input", "output"):
        shape = tuple(good[f"{side}_{name}"] for name in ("height", "width", "channels"))
        room = spec.activation_rows - tensor_rows(shape, spec.banks)
        yield good | {f"{side}_base": room}
        yield good | {f"{side}_base": room + 1}
    for _ in range(count):
        fields, name = choices[rng.integers(len(choices))], str(rng.choice(RARE))
        limits = descriptor.BY_NAME[name].limits
        value = int(rng.choice((fields[name] + 1, fields[name] - 1, limits[-1], 4, 8)))
        yield fields | {name: min(max(value, limits[0]), limits[-1])}


def _product(spec: SocSpec) -> ProductSpec:
    if spec.macro.form == "exact":
        return ProductSpec(exact=True)
    length = max(spec.macro.lanes, spec.macro.or_width)
    signed = spec.macro.signed[0]
    return ProductSpec(spec.macro.or_width, length, spec.macro.sequence, signed)


@pytest.mark.parametrize("name", DEVICES)
def test_rejections_are_the_twins(name):
    check_rejections(DEVICES[name], 40, 50)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEVICES)
def test_many_rejections_are_the_twins(name):
    check_rejections(DEVICES[name], 41, 700)


def check_rejections(spec: SocSpec, seed: int, count: int) -> None:
    cases = list(descriptors(spec, np.random.default_rng(seed), count))
    results = run(spec, [(fields, k % spec.descriptors) for k, fields in enumerate(cases)])
    seen = set()
    for fields, (error, taken, plan) in zip(cases, results, strict=True):
        expected = rejection(spec, fields)
        seen.add(expected)
        assert error == expected, fields
        assert taken == fields
        if expected == ErrorCode.NONE:
            assert plan == expected_plan(spec, fields), fields
    rare = {ErrorCode.DESCRIPTOR}
    if spec.macro.form == "exact":  # takes any arithmetic
        rare |= {ErrorCode.LENGTH, ErrorCode.SIGNED_MODE}
    assert seen >= set(ErrorCode) - rare, "the seed must reach the codes"


def test_a_place_outside_the_memory():
    spec = DEVICES["large"]
    good = good_descriptors(spec)[0]
    places = (0, 1, 2, 3, 255)
    errors = [error for error, _, _ in run(spec, [(good, place) for place in places])]
    assert errors == [ErrorCode.NONE] * 2 + [ErrorCode.DESCRIPTOR] * 3
