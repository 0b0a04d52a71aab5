"""The windows that the engine reads: every unit of every window, as plain numpy finds them."""

import dataclasses

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, Signal, run_simulation

from dscim.gateware import descriptor
from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.setup import Setup, vector_channels
from dscim.gateware.engine.tiles import Tiles
from dscim.gateware.engine.vector import TapWalker
from dscim.gateware.engine.walker import WindowWalker
from dscim.gateware.layout import ceil_div, pack_activations, pixel_words
from dscim.gateware.specs import MacroSpec, SocSpec
from tests.streams import PATIENCE, payload, pulse, serve, wait_for

ROWS = 48
UNITS = ROWS // 8


def device(banks: int) -> SocSpec:
    return SocSpec(
        MacroSpec(rows=ROWS, columns=8),
        activation_words=1 << 14,
        strip=8,
        banks=banks,
        requant_lanes=min(8, 2 * banks),
    )


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer whose windows are read, and the input's contents."""

    x: np.ndarray
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    planes: range
    operation: Operation
    zero: int
    base: int
    outputs: int
    left_out: int
    """The last units of a window that are not used."""

    @property
    def units(self) -> int:
        """Units of a window that are used, 1 or more."""
        planes = 1 if self.operation is Operation.DEPTHWISE else len(self.planes)
        return max(1, self.kernel[0] * self.kernel[1] * planes - self.left_out)

    @property
    def output(self) -> tuple[int, int]:
        return tuple(
            (size + 2 * pad - kernel) // stride + 1
            for size, pad, kernel, stride in zip(
                self.x.shape[:2], self.padding, self.kernel, self.stride, strict=True
            )
        )

    @property
    def channels(self) -> int:
        """Channels that are read: of the planes, as far as the input has them."""
        return min(8 * len(self.planes), self.x.shape[2] - 8 * self.planes.start)

    def fields(self) -> dict[str, int]:
        height, width, channels = self.x.shape
        depthwise = self.operation is Operation.DEPTHWISE
        vector = self.operation > Operation.DEPTHWISE
        return dict.fromkeys(descriptor.BY_NAME, 0) | {
            "operation": int(self.operation),
            "input_height": height,
            "input_width": width,
            "input_channels": channels,
            "input_plane": self.planes.start,
            "inputs": self.channels,
            "input_zero": self.zero,
            "input_base": self.base,
            "output_height": self.output[0],
            "output_width": self.output[1],
            "outputs": self.channels if depthwise or vector else self.outputs,
            "output_channels": max(self.outputs, self.channels),
            "kernel_height": self.kernel[0],
            "kernel_width": self.kernel[1],
            "stride_y": self.stride[0],
            "stride_x": self.stride[1],
            "origin_y": -self.padding[0],
            "origin_x": -self.padding[1],
            "units": 1 if vector else self.units,
            "weight_rows": 1,
        }

    def words(self) -> np.ndarray:
        """(pixels, taps, planes, 8): the words of every window, the zero point as padding."""
        height, width, channels = self.x.shape
        total = pixel_words(channels)
        padded = np.zeros((height, width, 8 * total), np.int8)
        padded[:, :, :channels] = self.x
        padded = np.pad(
            padded, [(p, p + 64) for p in self.padding] + [(0, 0)], constant_values=self.zero
        )
        found = [
            [
                padded[y * self.stride[0] + ky, x * self.stride[1] + kx]
                for ky in range(self.kernel[0])
                for kx in range(self.kernel[1])
            ]
            for y in range(self.output[0])
            for x in range(self.output[1])
        ]
        words = np.array(found).reshape(len(found), -1, total, 8)
        return words[:, :, self.planes.start : self.planes.stop]


class Walked(LiteXModule):
    """Set-up, row tiles and a walker, with the read port of a descriptor memory."""

    def __init__(self, spec: SocSpec, vector: bool):
        bits = (spec.descriptors * descriptor.WORDS - 1).bit_length()
        self.read = Record([("adr", bits), ("re", 1), ("dat_r", 32)])
        self.setup = setup = Setup(spec, self.read)
        fields, plan = setup.fields, setup.plan
        depthwise = Signal()
        self.tiles = Tiles(spec, fields, plan)
        walker = (
            TapWalker(spec, fields, plan) if vector else WindowWalker(spec, fields, plan, depthwise)
        )
        self.walker = walker
        self.begin = Signal()
        self.comb += [
            depthwise.eq(fields.operation == Operation.DEPTHWISE),
            self.tiles.source.connect(walker.tiles),
            self.tiles.start.eq(self.begin),
            walker.start.eq(self.begin),
        ]


def walk(spec: SocSpec, layers: list[Layer], counts: list[int], rng) -> list[list[dict[str, int]]]:
    """The beats for each of some layers that run one after the other.

    counts: the windows of each; a layer begins when the walker has read the last of them.
    """
    module = Walked(spec, layers[0].operation > Operation.DEPTHWISE)
    source, contents = module.walker.source, [0] * descriptor.WORDS
    names = payload(source)
    beats: list[list[dict[str, int]]] = []

    def run():
        for layer, count in zip(layers, counts, strict=True):
            contents[:] = descriptor.pack(layer.fields())
            yield from pulse(module.setup.start)
            yield from wait_for(module.setup.done, 100)
            assert (yield module.setup.error) == 0, layer
            yield from pulse(module.begin)
            beats.append([])
            yield from keep(beats[-1], count, float(rng.choice((0, 0.4))))
            for _ in range(20):
                yield
                assert not (yield source.valid), "a beat too many"

    def keep(taken, count, stall):
        """Takes the beats of `count` windows."""
        patience, waiting = PATIENCE, None
        while count:
            ready = rng.random() >= stall
            yield source.ready.eq(int(ready))
            yield
            patience -= 1
            assert patience, "a beat never came"
            if (yield source.valid):
                values = yield [getattr(source, name) for name in names]
                assert waiting in (None, values), "a waiting beat changed"
                waiting, patience = None if ready else values, PATIENCE
                if ready:
                    taken.append(dict(zip(names, values, strict=True)))
                    count -= taken[-1]["last"]
        yield source.ready.eq(0)

    run_simulation(module, [run(), serve(module.read, contents)])
    return beats


def banked(spec: SocSpec, layer: Layer) -> np.ndarray:
    """(rows, banks, 8): the activation memory."""
    memory = np.zeros((spec.activation_rows, spec.banks, 8), np.int8)
    words = pack_activations(layer.x, spec.banks).view(np.int8).reshape(-1, spec.banks, 8)
    memory[layer.base : layer.base + len(words)] = words
    return memory


def taken_words(spec: SocSpec, memory: np.ndarray, beat: dict[str, int], zero: int) -> np.ndarray:
    """(banks, 8): a beat's words in order."""
    bits = (spec.activation_rows - 1).bit_length()
    words = []
    for word in range(spec.banks):
        bank = (beat["bank"] + word) % spec.banks
        row = beat["adr"] >> bits * bank & (1 << bits) - 1
        words.append(
            np.full(8, zero) if beat["padding"] >> word & 1 else memory[row % len(memory), bank]
        )
    return np.array(words)


def windows(spec: SocSpec, layer: Layer, beats) -> list[tuple[np.ndarray, int]]:
    """The units of every window, and whether it is its row tile's last."""
    memory, units = banked(spec, layer), np.zeros((UNITS, 8), np.int64)
    select = max(1, (spec.banks - 1).bit_length())
    found = []
    for beat in beats:
        if beat["shift"]:
            distance = 1 << beat["shift"] - 1
            units[: max(0, UNITS - distance)] = units[distance:].copy()
        words = taken_words(spec, memory, beat, layer.zero)
        for unit in range(UNITS):
            if beat["write"] >> unit & 1:
                units[unit] = words[beat["select"] >> unit * select & (1 << select) - 1]
        if beat["last"]:
            found.append((units.copy(), beat["final"]))
    return found


def expected_windows(spec: SocSpec, layer: Layer) -> list[tuple[np.ndarray, int]]:
    """The same from plain loops: column tiles, strips, row tiles, pixels."""
    words = layer.words()
    if layer.operation is Operation.DEPTHWISE:
        columns = [words[:, :, plane] for plane in range(words.shape[2])]
    else:
        flat = words.reshape(len(words), -1, 8)
        columns = [flat] * ceil_div(layer.fields()["outputs"], spec.macro.columns)
    found = []
    for column in columns:
        for first in range(0, len(column), spec.strip):
            strip = column[first : first + spec.strip, : layer.units]
            for unit in range(0, strip.shape[1], UNITS):
                for place, window in enumerate(strip):
                    found.append((window[unit : unit + UNITS], int(place == len(strip) - 1)))
    return found


def random_layer(rng, operation: Operation, most: int) -> Layer:
    """A layer of at most `most` windows in all row and column tiles."""
    while True:
        layer = any_layer(rng, operation)
        tiles = ceil_div(layer.units, UNITS)
        if layer.output[0] * layer.output[1] * tiles * len(layer.planes) <= most:
            return layer


def any_layer(rng, operation: Operation) -> Layer:
    height, width = rng.integers(1, 9, 2)
    channels = int(rng.choice((1, 3, 8, 11, 16, 24, 32, 40, 64, 100)))
    planes = pixel_words(channels)
    kernel = tuple(int(k) for k in rng.choice((1, 1, 2, 3, 4, 7), 2))
    padding = tuple(int(rng.integers(0, k)) for k in kernel)
    kernel = tuple(
        min(k, int(size) + 2 * pad)
        for k, size, pad in zip(kernel, (height, width), padding, strict=True)
    )
    start = int(rng.integers(planes)) if rng.random() < 0.3 else 0
    return Layer(
        rng.integers(-128, 128, (height, width, channels)).astype(np.int8),
        kernel,
        tuple(int(s) for s in rng.choice((1, 1, 2, 3), 2)),
        padding,
        range(start, planes),
        operation,
        int(rng.integers(-128, 128)),
        int(rng.integers(64)),
        int(rng.choice((8, 12))),
        int(rng.choice((0, 0, 0, *rng.integers(20, size=2)))),
    )


def check_windows(banks: int, operation: Operation, rng, count: int, most: int) -> None:
    """Any geometry, some of the planes, padding, several strips, row and column tiles; stalls."""
    spec = device(banks)
    layers = [random_layer(rng, operation, most) for _ in range(count)]
    expected = [expected_windows(spec, layer) for layer in layers]
    walked = walk(spec, layers, [len(windows) for windows in expected], rng)
    for layer, beats, wanted in zip(layers, walked, expected, strict=True):
        for (units, final), (window, last) in zip(windows(spec, layer, beats), wanted, strict=True):
            assert final == last, layer
            np.testing.assert_array_equal(units[: len(window)], window, str(layer))


@pytest.mark.parametrize("banks", [1, 2, 8])
@pytest.mark.parametrize("operation", [Operation.PRODUCT, Operation.DEPTHWISE])
def test_windows(banks, operation):
    rng = np.random.default_rng(banks + 100 * int(operation))
    check_windows(banks, operation, rng, 10, 60)


@pytest.mark.slow
@pytest.mark.parametrize("banks", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("operation", [Operation.PRODUCT, Operation.DEPTHWISE])
def test_windows_of_many_layers(banks, operation):
    rng = np.random.default_rng(1 + banks + 100 * int(operation))
    check_windows(banks, operation, rng, 40, 400)


@pytest.mark.parametrize("banks", [1, 8, 16])
def test_taps(banks):
    """The reads of pools: every tap of every pixel, planes by planes."""
    rng = np.random.default_rng(banks)
    macro, lanes = MacroSpec(rows=ROWS, columns=32), min(32, 2 * banks)
    spec = dataclasses.replace(device(banks), macro=macro, requant_lanes=lanes)
    together = vector_channels(spec) // 8
    layers = [random_layer(rng, Operation.SUM_POOL, 40) for _ in range(8)]
    counts = [
        layer.output[0] * layer.output[1] * ceil_div(len(layer.planes), together)
        for layer in layers
    ]
    for layer, beats in zip(layers, walk(spec, layers, counts, rng), strict=True):
        memory, words = banked(spec, layer), layer.words()
        expected = [
            words[pixel, tap, plane : plane + together]
            for plane in range(0, words.shape[2], together)
            for pixel in range(len(words))
            for tap in range(words.shape[1])
        ]
        for beat, word in zip(beats, expected, strict=True):
            found = taken_words(spec, memory, beat, layer.zero)[: len(word)]
            np.testing.assert_array_equal(found, word, str(layer))
