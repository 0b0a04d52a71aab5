"""The requantiser compared with the reference: which bytes are written, and which stay."""

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.engine.accumulator import SUM_BITS
from dscim.gateware.engine.requantise import Requantiser
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.golden.reference.requantise import multiply_by_quantized_multiplier, requantise
from tests.integers import (
    product_units,
    random_addition,
    random_channels,
    random_fields,
    wrap,
)
from tests.streams import feed, record_writes, serve, set_fields


class Drain(LiteXModule):
    """A requantiser with a layer's fields and the ports of its memories."""

    def __init__(self, spec: SocSpec):
        lanes = spec.requant_lanes
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.read = Record([("adr", 6), ("re", 1), ("dat_r", 128 * lanes)])
        self.write = Record([("adr", 10), ("we", WORD_BYTES), ("dat_w", 8 * WORD_BYTES)])
        self.requantiser = Requantiser(spec, self.fields, self.plan, self.read, self.write)
        self.residual_read = self.requantiser.residual_read


class Layer:
    """Sums of some pixels of a layer, its parameters, and the bytes it should leave.

    first: its first output channel. residual: its outputs are added to `residuals`, the words of
    a memory.
    """

    def __init__(
        self,
        rng,
        columns: int,
        outputs: int,
        pixels: int,
        raw: bool,
        first: int = 0,
        residual: bool = False,
    ):
        self.first = first
        self.fields = random_fields(rng) | {
            "outputs": outputs,
            "raw": int(raw),
            "output_channel": first,
            "parameter_base": 8 * int(rng.integers(3)) + first % 8,
        }
        self.columns, self.outputs, self.raw = columns, outputs, raw
        count, _, self.bias, self.multiplier, self.shift = random_channels(
            rng, outputs, self.fields
        )
        self.count = np.stack([np.roll(count, k) for k in range(pixels)])
        self.activation_sum = rng.integers(0, 2**16, (pixels, 1))
        self.noise = rng.integers(0, 2**32, (pixels, columns))
        self.octets = 4 if raw else 1
        self.words = -(-self.octets * (first + outputs) // WORD_BYTES)
        self.base = int(rng.integers(16))
        self.residuals = rng.integers(0, 256, (1024, WORD_BYTES), np.uint8)
        if residual:
            self.fields |= random_addition(rng) | {
                "residual": 1,
                "output_base": self.base,
                "second_base": int(rng.integers(500)),
            }

    def contents(self, lanes: int) -> list[int]:
        """The parameter memory: 128 bits per channel, `lanes` channels per word."""
        values = np.stack([self.bias, self.multiplier, self.shift, 0 * self.bias], axis=1)
        channels = b"".join(wrap(row).astype("<i4").tobytes() for row in values)
        channels = b"\xa5" * (16 * self.fields["parameter_base"]) + channels
        channels += b"\x5a" * (64 * 16 * lanes - len(channels))
        size = 16 * lanes
        return [
            int.from_bytes(channels[k : k + size], "little") for k in range(0, len(channels), size)
        ]

    def beats(self):
        """Column tile by column tile, pixel by pixel; unused columns hold noise."""
        for first in range(0, self.outputs, self.columns):
            for pixel, sums in enumerate(self.count):
                tile = self.noise[pixel].copy()
                part = sums[first : first + self.columns]
                tile[: len(part)] = part % 2**32
                slots = [*tile.tolist(), int(self.activation_sum[pixel, 0])]
                yield {
                    "sums": sum(v << SUM_BITS * k for k, v in enumerate(slots)),
                    "begin": self.first + first,
                    "end": self.first + first + len(part),
                    "adr": self.base + pixel * self.words,
                }

    def expected(self) -> dict[int, int]:
        """Exactly the bytes that are written."""
        total = product_units(self.count, self.activation_sum, self.bias, self.fields)
        clamp = self.fields["clamp_low"], self.fields["clamp_high"]
        values = (
            total.astype("<i4")
            if self.raw
            else requantise(
                total,
                self.multiplier,
                self.shift,
                self.fields["output_zero"],
                clamp,
                bool(self.fields["single_rounding"]),
            )
        )
        octets = {}
        if self.fields.get("residual"):
            values = self.added(values)
        for pixel, row in enumerate(values):
            start = (self.base + pixel * self.words) * WORD_BYTES + self.first * self.octets
            octets |= {start + k: byte for k, byte in enumerate(row.tobytes())}
        return octets

    def added(self, values):
        """The sum of outputs (pixels, outputs) int8 with the residual, by the reference."""
        f, words = self.fields, len(values) * self.words
        held = self.residuals[f["second_base"] :][:words].view(np.int8).reshape(len(values), -1)
        other = held[:, self.first : self.first + self.outputs]
        total = sum(
            multiply_by_quantized_multiplier(
                (x.astype(np.int64) - f[f"{name}_zero"]) << f["left_shift"],
                np.array(f[f"{name}_multiplier"]),
                np.array(f[f"{name}_shift"]),
            )
            for name, x in (("first", values), ("second", other))
        )
        return requantise(
            total,
            f["output_multiplier"],
            f["output_shift"],
            f["sum_zero"],
            (f["sum_low"], f["sum_high"]),
        )


def run_layer(module, layer: Layer, written: dict, rng, stall: float):
    """Feeds a layer and waits until the requantiser is idle."""
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


@pytest.mark.parametrize("kind", ("int8", "raw", "residual"))
@pytest.mark.parametrize("lanes", (1, 2))
def test_requantiser(lanes, kind):
    raw = kind == "raw"
    rng, seed = np.random.default_rng([21, lanes, len(kind)]).spawn(2)
    spec = SocSpec(
        MacroSpec(rows=16, columns=8, lanes=4),
        activation_words=1024,
        weight_rows=64,
        channels=64,
        requant_lanes=lanes,
    )
    for outputs in (1, 7, 8, 9, 16, 21):
        stall = float(rng.choice((0, 0.5, 0.9)))
        layer = Layer(
            rng,
            spec.macro.columns,
            outputs,
            int(rng.integers(1, 5)),
            raw,
            int(rng.choice((0, *rng.integers(12, size=2)))),
            kind == "residual",
        )
        if not raw:  # every pixel has sums of its own
            layer.shift = np.minimum(layer.shift, 0)
        module, written = Drain(spec), {}
        run_simulation(
            module,
            [
                run_layer(module, layer, written, seed, stall),
                serve(module.read, layer.contents(lanes)),
                record_writes(module.write, written),
                serve(module.residual_read, layer.residuals.view("<u8").ravel()),
            ],
        )


def test_requantiser_takes_a_pixel_whenever_its_last_is_through():
    spec = SocSpec(
        MacroSpec(rows=16, columns=8, lanes=4),
        activation_words=1024,
        weight_rows=64,
        channels=64,
        requant_lanes=2,
    )
    rng, seed = np.random.default_rng(30).spawn(2)
    layer = Layer(rng, 8, 8, 20, False)
    layer.shift = np.minimum(layer.shift, 0)
    module, written, cycles = Drain(spec), {}, []

    def count():
        while len(written) < 8 * 20:
            cycles.append(1)
            yield

    run_simulation(
        module,
        [
            run_layer(module, layer, written, seed, 0),
            count(),
            serve(module.read, layer.contents(2)),
            record_writes(module.write, written),
        ],
    )
    assert len(cycles) < 20 * 4 + 12
