"""The depthwise unit in Migen's simulator, stalled at random on all ends, against the reference."""

import itertools
from collections import deque

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, passive, run_simulation

from dscim.gateware.engine.depthwise import DepthwiseUnit
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout
from dscim.gateware.engine.tiles import slots
from dscim.gateware.grid import build_grid
from dscim.gateware.layout import pack_activations, tensor_rows
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SocSpec, table_sequence
from dscim.host.compile.descriptors import Bases
from dscim.host.compile.products import depthwise_fields, depthwise_groups, depthwise_weights
from dscim.host.golden.reference.depthwise import PreparedDepthwise
from dscim.host.golden.reference.matrix import region_thresholds
from dscim.host.golden.reference.operands import encode_activations
from tests.streams import drain, pulse, serve, set_fields
from tests.test_depthwise import extremes
from tests.test_engine_setup import expected_plan

TABLE = table_sequence("gaussian")
DEVICES = {
    "counter": SocSpec(MacroSpec(16, 8), banks=4, requant_lanes=8, depthwise=4),
    "OR64": SocSpec(MacroSpec(64, 16, or_width=64), banks=4, requant_lanes=2, depthwise=2),
    "table": SocSpec(MacroSpec(16, 16, sequence=TABLE), banks=2, requant_lanes=4, depthwise=8),
    "short": SocSpec(MacroSpec(16, 8, samples=4), banks=1, requant_lanes=1, depthwise=4),
}
STALLS = ((0, 0, 0), (0.5, 0.1, 0.1), (0.1, 0.6, 0.1), (0.1, 0.1, 0.9))
"""Probabilities that reads, levels and sums stall."""


class Bench(LiteXModule):
    """The unit with a layer's fields and plan, and the weight memory's port."""

    def __init__(self, spec: SocSpec):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.read = Record([("adr", 16), ("re", 1), ("dat_r", 8 * spec.macro.columns)])
        self.level_bits = build_grid(spec.macro).level_bits
        self.unit = DepthwiseUnit(spec, self.fields, self.plan, self.read, self.level_bits)


class Layer:
    """A layer of random weights, and an input in a memory of noise."""

    def __init__(self, spec: SocSpec, layer: LayerSpec, rng):
        self.spec, self.layer = spec, layer
        channels = layer.input[2]
        self.base = int(rng.integers(5))
        self.weights = extremes(rng, (*layer.kernel, channels))
        self.x = extremes(rng, layer.input)
        (group,) = depthwise_groups(spec, layer)
        words = depthwise_weights(spec, layer, group, self.weights)
        rows = words.view(np.uint8).reshape(-1, spec.macro.columns)
        self.contents = [int.from_bytes(row.tobytes(), "little") for row in rows] + [0]
        self.fields = depthwise_fields(spec, layer, group, Bases(self.base, self.base))
        octets = rng.integers(0, 256, (spec.activation_rows, spec.banks, 8)).astype(np.uint8)
        held = pack_activations(self.x, spec.banks).view(np.uint8).reshape(-1, spec.banks, 8)
        octets[self.base : self.base + len(held)] = held
        assert len(held) == tensor_rows(layer.input, spec.banks)
        self.octets = octets

    def levels(self, adr: int, bank: int, level_bits: int) -> int:
        """Levels and signs of the words of a read, that of `bank` first."""
        spec, product = self.spec, self.layer.product
        bits = (spec.activation_rows - 1).bit_length()
        banks = [(bank + k) % spec.banks for k in range(spec.banks)]
        rows = [adr >> bits * b & (1 << bits) - 1 for b in banks]
        x = self.octets[rows, banks].reshape(-1).view(np.int8)
        a, sign = encode_activations(x, product, self.layer.input_zero)
        thresholds = region_thresholds(product)[0, 0]
        level = ((a[:, None] >> product.operand_shift) > thresholds).sum(axis=1)
        values = level | (sign < 0).astype(np.int64) << level_bits
        return sum(int(value) << (level_bits + 1) * k for k, value in enumerate(values))

    def expected(self):
        """(opens, follows, second, stays, sums) of each beat, in order."""
        layer, wide = self.layer, 8 * self.spec.banks
        height, width, outputs = layer.output
        zeros = np.zeros(outputs, np.int32)
        ready = PreparedDepthwise(layer, self.weights, zeros, zeros, zeros)
        counts = ready.accumulate(self.x[None])[0] >> layer.product.decode_shift
        size = min(slots(self.spec), wide)
        for first in range(0, outputs, wide):
            tile, opens = range(first, min(first + wide, outputs)), 1
            for y, x in itertools.product(range(0, height, 2), range(width)):
                for row in range(y, min(y + 2, height)):
                    for part in range(tile.start, tile.stop, size):
                        stays = int(row == y and y + 1 < height)
                        sums = counts[row, x, part : min(part + size, tile.stop)].tolist()
                        yield opens, int(part != first), row - y, stays, sums
                        opens = 0


@passive
def relay(bench, layer: Layer, rng, stalls):
    """The memory and the encoder: the levels of each read, in order."""
    source, sink, waiting = bench.unit.source, bench.unit.levels, deque()
    while True:
        yield
        if (yield source.valid) and (yield source.ready):
            read = (yield source.adr), (yield source.bank)
            waiting.append(layer.levels(*read, bench.level_bits))
        if (yield sink.valid) and (yield sink.ready):
            yield sink.valid.eq(0)
            offered = False
        else:
            offered = bool((yield sink.valid))
        if not offered and waiting and rng.random() >= stalls[1]:
            yield sink.valid.eq(1)
            yield sink.values.eq(waiting.popleft())
        yield source.ready.eq(int(rng.random() >= stalls[0] and len(waiting) < 4))


def outcome(spec: SocSpec, layer: Layer, rng, stalls):
    """The beats of a layer, and the cycles until the unit has been idle again."""
    bench, taken, cycles = Bench(spec), [], []
    count = len(list(layer.expected()))
    names = [name for name, _ in PLAN_LAYOUT]

    def run():
        plan = expected_plan(spec, layer.fields)
        yield from set_fields(bench.fields, layer.fields)
        yield from set_fields(bench.plan, {name: plan[name] for name in names})
        yield
        yield
        yield from pulse(bench.unit.start)
        for cycle in range(200_000):
            yield
            if not (yield bench.unit.busy):
                cycles.append(cycle)
                return

    run_simulation(
        bench,
        [
            run(),
            relay(bench, layer, rng, stalls),
            serve(bench.read, layer.contents),
            drain(bench.unit.sums, taken, count, rng, stalls[2]),
        ],
    )
    assert cycles, "the unit stays busy"
    found = []
    for beat in taken:
        octets = beat["sums"].to_bytes(4 * slots(spec), "little")
        sums = np.frombuffer(octets, "<i4")[: beat["width"]].tolist()
        flags = (beat[name] for name in ("opens", "follows", "second", "stays"))
        found.append((*flags, sums))
    return found


def random_layer(spec: SocSpec, rng) -> LayerSpec:
    """Few pixels; any kernel, stride and padding of the unit; few or many planes."""
    kernel = tuple(int(size) for size in rng.choice((1, 2, 3, 3, 4, 8), 2))
    padding = tuple(tuple(int(pad) for pad in rng.integers(0, size + 1, 2)) for size in kernel)
    shape = tuple(
        int(rng.integers(max(1, size - sum(pads)), max(1, size - sum(pads)) + 4))
        for size, pads in zip(kernel, padding, strict=True)
    )
    planes = [1, 2, *([3] if spec.banks > 1 else []), spec.banks, spec.banks + 1]
    channels = 8 * int(rng.choice(planes)) - int(rng.choice((0, 0, 1, 5)))
    n = 1 << int(rng.integers(spec.depthwise_samples.bit_length()))
    macro = spec.macro
    return LayerSpec(
        (*shape, channels),
        channels,
        kernel,
        (int(rng.integers(1, 4)), int(rng.integers(1, 3))),
        padding,
        int(rng.choice((-128, 127, rng.integers(-128, 128)))),
        product=ProductSpec(
            macro.or_width, n * macro.or_width, macro.sequence, "split", int(rng.integers(4))
        ),
        depthwise=True,
    )


@pytest.mark.parametrize("stalls", STALLS, ids=str)
@pytest.mark.parametrize("name", DEVICES)
def test_random_layers(name, stalls):
    spec = DEVICES[name]
    rng = np.random.default_rng([len(name), int(10 * sum(stalls))])
    for _ in range(1 if spec.banks > 2 else 3):
        shape = random_layer(spec, rng)
        layer = Layer(spec, shape, rng)
        assert outcome(spec, layer, rng, stalls) == list(layer.expected()), shape
