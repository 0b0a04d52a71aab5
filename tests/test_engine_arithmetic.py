"""Scaling and the drain of sums against the reference, on random and extreme numbers."""

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import MOST_WIDENING
from dscim.gateware.engine.accumulator import SUM_BITS
from dscim.gateware.engine.addend import ADDEND_LATENCY, Addend
from dscim.gateware.engine.requantise import Requantiser
from dscim.gateware.engine.scale import SCALE_LATENCY, Scale
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.reference.requantise import multiply_by_quantized_multiplier, requantise
from tests.streams import feed, record_writes, serve, set_fields

INT32 = np.array((-2**31, -2**31 + 1, -1, 0, 1, 2**30, 2**31 - 1))
MULTIPLIERS = np.array((0, 1, 2**30, 2**30 + 1, 2**31 - 1))


def wrap(values):
    """To int32, as 32 bits wrap."""
    return (np.asarray(values, np.int64) + 2**31) % 2**32 - 2**31


def product_units(count, activation_sum, bias, fields):
    """The sum that is requantised, for sums of counts and parameters of the same shape."""
    correction = 128 * activation_sum if fields["offset"] else 0
    return wrap((count << fields["decode_shift"]) - correction + bias)


def random_fields(rng) -> dict[str, int]:
    low, high = sorted(int(v) for v in rng.choice((-128, -127, -5, 0, 6, 126, 127), 2))
    return {"decode_shift": int(rng.integers(0, 17)), "offset": int(rng.integers(2)),
            "output_zero": int(rng.choice((-128, 127, 0, *rng.integers(-128, 128, 3)))),
            "clamp_low": low, "clamp_high": high}


def random_multipliers(rng, size):
    values = rng.integers(0, 2**31, size)
    return np.where(rng.random(size) < 0.3, rng.choice(MULTIPLIERS, size), values)


def random_channels(rng, size: int, fields: dict[str, int]):
    """count, activation_sum, bias, multiplier, shift, one of each a channel.

    Sums in product units are spread over all sizes, with ties and extremes; shifts to the left
    stay within int32, as the reference asks.
    """
    wanted = rng.integers(-2**31, 2**31, size) >> rng.integers(0, 32, size)
    wanted = np.where(rng.random(size) < 0.3, rng.choice(INT32, size), wanted)
    activation_sum = rng.integers(0, 2**16, size)
    count = rng.integers(-2**15, 2**15, size)
    bias = wrap(wanted - product_units(count, activation_sum, 0, fields))
    right = np.minimum(rng.integers(0, 40, size), 31)
    left = np.array([31 - int(abs(v)).bit_length() for v in wanted]).clip(0, 31)
    shift = np.where(rng.random(size) < 0.3, (left * rng.random(size)).astype(int), -right)
    return count, activation_sum, bias, random_multipliers(rng, size), shift


class ScaleOfALayer(LiteXModule):
    """A scale with a layer's fields."""

    def __init__(self):
        self.fields = Record(descriptor_layout())
        self.scale = Scale(self.fields)


def scaled(module, fields, channels, seen):
    """Sends a channel a cycle, and appends the (total, output) of each."""
    scale, latency = module.scale, SCALE_LATENCY
    yield from set_fields(module.fields, fields)
    count, activation_sum, bias, multiplier, shift = (values.tolist() for values in channels)
    for k in range(len(count) + latency + 1):
        if k < len(count):
            yield scale.count.eq(count[k])
            yield scale.activation_sum.eq(activation_sum[k])
            yield from set_fields(scale.parameters, {
                "bias": bias[k], "multiplier": multiplier[k], "shift": shift[k]})
        if k > latency:
            seen.append(((yield scale.total), (yield scale.output)))
        yield


def test_scale_is_the_reference():
    rng = np.random.default_rng(20)
    cases = []
    for _ in range(12):
        fields = random_fields(rng)
        cases.append((fields, random_channels(rng, 120, fields), []))

    def control(module):
        for fields, channels, seen in cases:
            yield from scaled(module, fields, channels, seen)

    module = ScaleOfALayer()
    run_simulation(module, control(module))
    for fields, (count, activation_sum, bias, multiplier, shift), seen in cases:
        total = product_units(count, activation_sum, bias, fields)
        output = requantise(total, multiplier, shift, fields["output_zero"],
                            (fields["clamp_low"], fields["clamp_high"]))
        np.testing.assert_array_equal(np.array(seen), np.stack([total, output], axis=1))


class AddendOfALayer(LiteXModule):
    """An addend with a layer's fields."""

    def __init__(self):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.addend = Addend(self.fields, self.plan)


def random_addition(rng) -> dict[str, int]:
    """Any integers that an add may have."""
    left = int(rng.choice((0, 20, 22, *rng.integers(0, 23, 2))))
    fields = {"input_zero": int(rng.choice((-128, 127, 0, 9))), "left_shift": left,
              "second_zero": int(rng.choice((-128, 127, 0, -9)))}
    for name, multiplier in zip(("first", "second"), random_multipliers(rng, 2), strict=True):
        fields[f"{name}_multiplier"] = int(multiplier)
        fields[f"{name}_shift"] = int(rng.choice((0, -1, -31, MOST_WIDENING - left,
                                                  rng.integers(-31, 1))))
    return fields


def test_addend_is_the_reference():
    """All pairs of one input, with the other at random, for many scales; and slots as they are."""
    rng = np.random.default_rng(22)
    octets = np.arange(-128, 128)
    cases = [(random_addition(rng), rng.permutation(octets), int(rng.random() < 0.9))
             for _ in range(30)]
    seen = []

    def control(module):
        addend = module.addend
        for fields, others, add in cases:
            yield from set_fields(module.fields, fields)
            yield module.plan.add.eq(add)
            slots = ((octets & 0xFF) | (others & 0xFF) << 8).tolist()
            for k, slot in enumerate([*slots, *[0] * (ADDEND_LATENCY + 1)]):
                yield addend.slot.eq(slot)
                if k > ADDEND_LATENCY:
                    seen.append((yield addend.term))
                yield

    module = AddendOfALayer()
    run_simulation(module, control(module))
    expected = []
    for fields, others, add in cases:
        terms = [multiply_by_quantized_multiplier(
            (x - fields[f"{tensor}_zero"]) << fields["left_shift"],
            np.array(fields[f"{name}_multiplier"]), np.array(fields[f"{name}_shift"]))
            for x, tensor, name in ((octets, "input", "first"), (others, "second", "second"))]
        expected.append(sum(terms) if add else (octets & 0xFF) | (others & 0xFF) << 8)
    np.testing.assert_array_equal(seen, np.concatenate(expected))


class Drain(LiteXModule):
    """A requantiser with a layer's fields and the ports of its memories."""

    def __init__(self, spec: SocSpec):
        lanes = spec.requant_lanes
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.read = Record([("adr", 6), ("re", 1), ("dat_r", 128 * lanes)])
        self.write = Record([("adr", 10), ("we", WORD_BYTES), ("dat_w", 8 * WORD_BYTES)])
        self.requantiser = Requantiser(spec, self.fields, self.plan, self.read, self.write)


class Layer:
    """Sums of some pixels of a layer, its parameters, and the bytes it should leave.

    first: the output channel that it begins with.
    """

    def __init__(self, rng, columns: int, outputs: int, pixels: int, raw: bool, first: int = 0):
        self.first = first
        self.fields = random_fields(rng) | {
            "outputs": outputs, "raw": int(raw), "output_channel": first,
            "parameter_base": 8 * int(rng.integers(3)) + first % 8}
        self.columns, self.outputs, self.raw = columns, outputs, raw
        count, _, self.bias, self.multiplier, self.shift = random_channels(
            rng, outputs, self.fields)
        self.count = np.stack([np.roll(count, k) for k in range(pixels)])
        self.activation_sum = rng.integers(0, 2**16, (pixels, 1))
        self.noise = rng.integers(0, 2**32, (pixels, columns))
        self.octets = 4 if raw else 1
        self.words = -(-self.octets * (first + outputs) // WORD_BYTES)
        self.base = int(rng.integers(16))

    def contents(self, lanes: int) -> list[int]:
        """The parameter memory: 128 bits a channel, `lanes` channels a word."""
        values = np.stack([self.bias, self.multiplier, self.shift, 0 * self.bias], axis=1)
        channels = b"".join(wrap(row).astype("<i4").tobytes() for row in values)
        channels = b"\xA5" * (16 * self.fields["parameter_base"]) + channels
        channels += b"\x5A" * (64 * 16 * lanes - len(channels))
        size = 16 * lanes
        return [int.from_bytes(channels[k:k + size], "little")
                for k in range(0, len(channels), size)]

    def beats(self):
        """Column tile by column tile, pixel by pixel; unused columns hold noise."""
        for first in range(0, self.outputs, self.columns):
            for pixel, sums in enumerate(self.count):
                tile = self.noise[pixel].copy()
                part = sums[first:first + self.columns]
                tile[:len(part)] = part % 2**32
                slots = [*tile.tolist(), int(self.activation_sum[pixel, 0])]
                yield {"sums": sum(v << SUM_BITS * k for k, v in enumerate(slots)),
                       "begin": self.first + first, "end": self.first + first + len(part),
                       "adr": self.base + pixel * self.words}

    def expected(self) -> dict[int, int]:
        """Every byte that is written, and no other."""
        total = product_units(self.count, self.activation_sum, self.bias, self.fields)
        clamp = self.fields["clamp_low"], self.fields["clamp_high"]
        values = total.astype("<i4") if self.raw else requantise(
            total, self.multiplier, self.shift, self.fields["output_zero"], clamp)
        octets = {}
        for pixel, row in enumerate(values):
            start = (self.base + pixel * self.words) * WORD_BYTES + self.first * self.octets
            octets |= {start + k: byte for k, byte in enumerate(row.tobytes())}
        return octets


def run_layer(module, layer: Layer, written: dict, rng, stall: float):
    """Feeds a layer and waits until the requantiser says it is idle."""
    requantiser = module.requantiser
    yield from set_fields(module.fields, layer.fields)
    yield
    assert (yield requantiser.idle)
    yield from feed(requantiser.sink, list(layer.beats()), rng, stall)
    yield
    assert not (yield requantiser.idle)
    while not (yield requantiser.idle):
        yield
    octets = layer.expected()
    assert written == octets, "idle: everything is written"


@pytest.mark.parametrize("raw", (False, True), ids=("int8", "raw"))
@pytest.mark.parametrize("lanes", (1, 2))
def test_requantiser(lanes, raw):
    rng, seed = np.random.default_rng(21 + 2 * lanes + raw).spawn(2)
    spec = SocSpec(MacroSpec(rows=16, columns=8, lanes=4), activation_words=1024, weight_rows=64,
                   channels=64, requant_lanes=lanes)
    for outputs in (1, 7, 8, 9, 16, 21):
        stall = float(rng.choice((0, 0.5, 0.9)))
        layer = Layer(rng, spec.macro.columns, outputs, int(rng.integers(1, 5)), raw,
                      int(rng.choice((0, *rng.integers(12, size=2)))))
        if not raw:                                     # every pixel has sums of its own
            layer.shift = np.minimum(layer.shift, 0)
        module, written = Drain(spec), {}
        run_simulation(module, [
            run_layer(module, layer, written, seed, stall),
            serve(module.read, layer.contents(lanes)), record_writes(module.write, written)])


def test_requantiser_takes_a_pixel_whenever_its_last_is_through():
    spec = SocSpec(MacroSpec(rows=16, columns=8, lanes=4), activation_words=1024, weight_rows=64,
                   channels=64, requant_lanes=2)
    rng, seed = np.random.default_rng(30).spawn(2)
    layer = Layer(rng, 8, 8, 20, False)
    layer.shift = np.minimum(layer.shift, 0)
    module, written, cycles = Drain(spec), {}, []

    def count():
        while len(written) < 8 * 20:
            cycles.append(1)
            yield

    run_simulation(module, [run_layer(module, layer, written, seed, 0), count(),
                            serve(module.read, layer.contents(2)),
                            record_writes(module.write, written)])
    assert len(cycles) < 20 * 4 + 15
