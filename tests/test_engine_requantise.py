"""The requantiser compared with the reference: which bytes are written, and which stay."""

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, passive, run_simulation

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.accumulator import SUM_BITS
from dscim.gateware.engine.addition import FILLING
from dscim.gateware.engine.requantise import Requantiser
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout, vector_channels
from dscim.gateware.engine.tiles import slots
from dscim.gateware.layout import pixel_words
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.golden.reference.requantise import multiply_by_quantized_multiplier, requantise
from tests.integers import (
    product_units,
    random_addition,
    random_channels,
    random_fields,
    wrap,
)
from tests.streams import feed, pulse, serve, set_fields

ADR_BITS = 10
"""Bits of an address in a bank."""


def device(lanes: int, columns: int, banks: int) -> SocSpec:
    return SocSpec(
        MacroSpec(rows=16, columns=columns),
        activation_words=banks << ADR_BITS,
        weight_rows=64,
        channels=64,
        requant_lanes=lanes,
        banks=banks,
        depthwise=4 if columns >= 8 else 0,
    )


class Drain(LiteXModule):
    """A requantiser with a layer's fields and the ports of its memories."""

    def __init__(self, spec: SocSpec):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.read = Record([("adr", 6), ("re", 1), ("dat_r", 128)])
        banks = spec.banks
        self.write = Record([("adr", ADR_BITS * banks), ("we", 8 * banks), ("dat_w", 64 * banks)])
        self.requantiser = Requantiser(spec, self.fields, self.plan, self.read, self.write)


class Memory:
    """The activation memory: (rows, banks, 8) bytes; each may be written once per layer."""

    def __init__(self, spec: SocSpec, rng):
        self.octets = rng.integers(0, 256, (1 << ADR_BITS, spec.banks, 8), np.uint8)
        self.written = np.zeros(self.octets.shape, bool)

    def place(self, shape: tuple[int, int, int], base: int) -> tuple[np.ndarray, ...]:
        """The indices of the bytes of an (H, W, bytes of a pixel) tensor at row `base`."""
        y, x, octet = np.indices(shape)
        line = y * -(-shape[2] // 8) + octet // 8
        banks = self.octets.shape[1]
        return base + line // banks * shape[1] + x, line % banks, octet % 8

    @passive
    def run(self, read, write):
        """The ports: reads see the memory before the writes of their cycle."""
        banks = self.octets.shape[1]
        while True:
            rows = (yield write.adr), (yield read.adr)
            places = [[a >> ADR_BITS * b & (1 << ADR_BITS) - 1 for b in range(banks)] for a in rows]
            if (yield read.re):
                octets = self.octets[places[1], range(banks)].tobytes()
                yield read.dat_r.eq(int.from_bytes(octets, "little"))
            enables = yield write.we
            if enables:
                data = (yield write.dat_w).to_bytes(8 * banks, "little")
                for place in (k for k in range(8 * banks) if enables >> k & 1):
                    at = places[0][place // 8], place // 8, place % 8
                    assert not self.written[at], f"byte {at} is written twice"
                    self.octets[at], self.written[at] = data[place], True
            yield


KINDS = (
    "int8",
    "raw",
    "depthwise",
    "raw depthwise",
    "channelwise",
    "raw channelwise",
    "residual",
    "in place",
    "pool",
    "raw pool",
    "add",
)


def usual_addition(rng) -> dict[str, int]:
    """An addition whose outputs depend on both inputs."""
    multipliers = rng.integers(2**30, 2**31, 3).tolist()
    shifts = [int(rng.integers(-1, 1)), int(rng.integers(-1, 1)), int(rng.integers(-19, -17))]
    scales = zip(("first", "second", "output"), multipliers, shifts, strict=True)
    fields = {"left_shift": 20, "sum_low": -128, "sum_high": 127}
    for name, multiplier, shift in scales:
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    return fields


class Layer:
    """Sums of the pixels of a layer, its parameters, and the memory that it should leave."""

    def __init__(self, spec: SocSpec, kind: str, rng):
        self.spec, self.kind, self.rng = spec, kind, rng
        self.raw, self.vector = "raw" in kind, "pool" in kind or kind == "add"
        self.adds = kind in ("residual", "in place", "add")
        self.wide = vector_channels(spec) if self.vector else spec.macro.columns
        self.wide = 8 if "depthwise" in kind else self.wide
        self.apart = "channelwise" in kind
        self.wide = 8 * spec.banks if self.apart else self.wide
        self.part = min(self.wide, slots(spec))
        step = 8 if self.vector else min(8, spec.macro.columns)
        self.first = step * int(rng.choice((0, 0, 1, 2, 3)))
        many = {"residual": self.wide + 3, "in place": self.wide, "int8": 2 * self.wide + 1}
        many |= {kind: 2 * self.wide + 3} if self.apart else {}
        many |= {"raw pool": self.wide + 3, "depthwise": 19, "raw depthwise": 11}
        some = int(rng.choice((1, 5, 8, self.wide, self.wide + 3)))
        self.outputs = min(many.get(kind, some), 63)
        self.total = self.first + self.outputs + int(rng.choice((0, 0, 9)))
        most = 3 if spec.requant_lanes < 8 else 2
        self.height, self.width = (int(size) for size in rng.integers(1, most + 1, 2))
        self.fields = self._fields()
        count, _, self.bias, self.multiplier, self.shift = random_channels(
            rng, self.outputs, self.fields
        )
        self.shift = self.shift if self.raw else np.minimum(self.shift, 0)  # sums of its own
        pixels = self.height * self.width
        self.count = np.stack([np.roll(count, k) for k in range(pixels)])
        self.activation_sum = rng.integers(0, 2**16, (pixels, 1))
        if self.vector:
            self.bias = 0 * self.bias
            self.multiplier = 0 * self.bias + self.fields["output_multiplier"]
            self.shift = 0 * self.bias + self.fields["output_shift"]
            self.count = wrap(rng.integers(-(2**16), 2**16, self.count.shape))

    def _fields(self) -> dict[str, int]:
        rng, operation = self.rng, Operation.PRODUCT
        if "depthwise" in self.kind:
            operation = Operation.DEPTHWISE
        if self.apart:
            operation = Operation.CHANNELWISE
        if self.vector:
            operation = Operation.ADD if self.adds else Operation.SUM_POOL
        fields = random_fields(rng) | random_addition(rng)
        if rng.random() < 0.8:
            fields |= usual_addition(rng)
        if self.vector:
            fields |= {"decode_shift": 0, "offset": 0}
        base, other = (int(v) for v in rng.integers(0, 300, 2))
        return fields | {
            "operation": int(operation),
            "outputs": self.outputs,
            "raw": int(self.raw),
            "residual": int(self.adds and not self.vector),
            "output_channel": self.first,
            "output_width": self.width,
            "output_base": base,
            "second_base": base if self.kind == "in place" else 600 + other,
            "parameter_base": int(rng.integers(64 - self.outputs + 1)),
        }

    def plan(self) -> dict[str, int]:
        planes, banks = pixel_words(self.total, self.raw), self.spec.banks
        first = self.first // (2 if self.raw else 8)
        return {
            "vector": int(self.vector),
            "add": int(self.kind == "add"),
            "apart": int(self.apart),
            "write_planes": planes,
            "next_rows": planes // banks * self.width,
            "first_line": first,
            "first_rows": first // banks * self.width,
        }

    def parameters(self) -> list[int]:
        """The parameter memory, with noise beside those of the layer."""
        values = np.stack([self.bias, self.multiplier, self.shift, 0 * self.bias], axis=1)
        contents = [int.from_bytes(self.rng.bytes(16), "little") for _ in range(64)]
        base = self.fields["parameter_base"]
        contents[base : base + self.outputs] = [
            int.from_bytes(wrap(row).astype("<i4").tobytes(), "little") for row in values
        ]
        return contents

    def beats(self):
        """Column tile by column tile, pixel by pixel; unused columns hold noise.

        From the depthwise unit, pixels of two rows in turn, and each in parts."""
        pixels = [(y, x) for y in range(self.height) for x in range(self.width)]
        if self.apart:
            pixels.sort(key=lambda place: (place[0] // 2, place[1], place[0]))
        for first in range(0, self.outputs, self.wide):
            last = min(first + self.wide, self.outputs)
            for count, (y, x) in enumerate(pixels):
                pixel = y * self.width + x
                for start in range(first, last, self.part):
                    tile = self.rng.integers(0, 2**32, slots(self.spec))
                    part = self.count[pixel][start : min(start + self.part, last)]
                    tile[: len(part)] = part % 2**32
                    yield {
                        "sums": sum(int(v) << SUM_BITS * k for k, v in enumerate(tile)),
                        "activation_sum": int(self.activation_sum[pixel, 0]),
                        "opens": int(count == 0 and start == first),
                        "width": len(part),
                        "follows": int(start != first),
                        "second": y % 2 * int(self.apart),
                        "stays": int(self.apart and y % 2 == 0 and y + 1 < self.height),
                    }

    def expected(self, memory: Memory) -> np.ndarray:
        """The memory after the layer."""
        f, octets = self.fields, memory.octets.copy()
        size = 4 if self.raw else 1
        shape = self.height, self.width, 8 * pixel_words(self.total, self.raw)
        channels = slice(self.first * size, (self.first + self.outputs) * size)
        if self.kind == "add":
            values = self._sum(*((self.count >> k & 0xFF).astype(np.int8) for k in (0, 8)))
        else:
            values = self._values()
        if f["residual"]:
            held = octets[memory.place(shape, f["second_base"])].view(np.int8)
            values = self._sum(values, held[:, :, channels].reshape(values.shape))
        tensor = np.ascontiguousarray(values).view(np.uint8).reshape(self.height, self.width, -1)
        place = tuple(index[:, :, channels] for index in memory.place(shape, f["output_base"]))
        octets[place] = tensor
        return octets

    def _values(self) -> np.ndarray:
        f = self.fields
        total = product_units(self.count, self.activation_sum, self.bias, f)
        if self.raw:
            return total.astype("<i4")
        clamp = f["clamp_low"], f["clamp_high"]
        scale = self.multiplier, self.shift, f["output_zero"], clamp, bool(f["single_rounding"])
        return requantise(total, *scale)

    def _sum(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The addition of int8 tensors by the reference."""
        f = self.fields
        total = sum(
            multiply_by_quantized_multiplier(
                (x.astype(np.int64) - f[f"{name}_zero"]) << f["left_shift"],
                np.array(f[f"{name}_multiplier"]),
                np.array(f[f"{name}_shift"]),
            )
            for name, x in (("first", first), ("second", second))
        )
        scale = f["output_multiplier"], f["output_shift"], f["sum_zero"]
        return requantise(total, *scale, (f["sum_low"], f["sum_high"]))


def check_layers(spec: SocSpec, layers, memory: Memory, rng, stalls: list[float]) -> list[int]:
    """Runs the layers one after the other; returns the cycles of each."""
    module, contents, spent = Drain(spec), [0] * 64, []
    requantiser = module.requantiser

    def run():
        for layer, stall in zip(layers, stalls, strict=True):
            contents[:] = layer.parameters()
            expected = layer.expected(memory)
            memory.written[:] = False
            yield from set_fields(module.fields, layer.fields)
            yield from set_fields(module.plan, layer.plan())
            yield
            yield
            assert (yield requantiser.idle)
            yield from pulse(requantiser.start)
            cycles[:] = []
            yield from feed(requantiser.sink, list(layer.beats()), rng, stall)
            yield
            assert not (yield requantiser.idle)
            while not (yield requantiser.idle):
                yield
            spent.append(len(cycles))
            np.testing.assert_array_equal(memory.octets, expected, f"{layer.kind} {layer.fields}")

    cycles: list[int] = []

    @passive
    def count():
        while True:
            cycles.append(1)
            yield

    run_simulation(
        module,
        [
            run(),
            serve(module.read, contents),
            memory.run(requantiser.residual_read, module.write),
            count(),
        ],
    )
    return spent


DEVICES = ((1, 4, 1), (1, 8, 16), (2, 4, 2), (2, 32, 1), (4, 4, 4), (4, 16, 2), (8, 8, 4))
"""Lanes, columns and banks."""

WIDE = ((16, 16, 8), (32, 32, 16), (16, 32, 8), (8, 32, 8), (1, 32, 2))
"""Devices that take longer to simulate."""


def kinds(columns: int) -> list[str]:
    """The kinds of layers of a device."""
    narrow = columns < 8
    return [kind for kind in KINDS if not narrow or not kind.endswith(("depthwise", "channelwise"))]


@pytest.mark.parametrize("shape", DEVICES, ids=str)
def test_requantiser(shape):
    """A layer of every kind, one after the other, in any order; stalls."""
    spec = device(*shape)
    check_kinds(spec, 0, kinds(spec.macro.columns))


def test_requantiser_of_many_lanes():
    check_kinds(device(16, 16, 8), 0, ["raw depthwise", "residual", "add"])


@pytest.mark.slow
@pytest.mark.parametrize("shape", DEVICES + WIDE, ids=str)
def test_requantiser_of_many_layers(shape):
    spec = device(*shape)
    check_kinds(spec, 1, 3 * kinds(spec.macro.columns))


def check_kinds(spec: SocSpec, seed: int, some: list[str]) -> None:
    rng, stalling = np.random.default_rng([21, seed, spec.requant_lanes, spec.banks]).spawn(2)
    layers = [Layer(spec, str(kind), rng) for kind in rng.permutation(some)]
    stalls = rng.choice((0, 0, 0.5), len(layers)).tolist()
    check_layers(spec, layers, Memory(spec, rng), stalling, stalls)


@pytest.mark.parametrize("kind", ("int8", "residual"))
def test_a_pixel_takes_as_many_cycles_as_it_has_steps(kind):
    """Several column tiles back to back: their parameters are read ahead."""
    rng, stalling = np.random.default_rng(30).spawn(2)
    spec = device(2, 8, 2)
    layer = Layer(spec, kind, rng)
    while len(layer.count) < 9 or layer.outputs < 11:
        layer = Layer(spec, kind, rng)
    (cycles,) = check_layers(spec, [layer], Memory(spec, rng), stalling, [0])
    steps = -(-layer.outputs // 2)
    filling = FILLING if kind == "residual" else 0
    assert cycles < steps * len(layer.count) + 40 + filling
