"""Which bytes a layer's windows are: walker, position and loops against plain nested loops."""

import dataclasses

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import VECTOR, Operation
from dscim.gateware.engine.loops import Loops
from dscim.gateware.engine.position import Position
from dscim.gateware.engine.setup import PLAN_LAYOUT, SIZE_BITS, descriptor_layout
from dscim.gateware.engine.walker import WindowWalker
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from tests.streams import drain, pulse, set_fields

SOC = SocSpec(MacroSpec(rows=16, columns=4, lanes=4), activation_words=1 << 12, weight_rows=64,
              channels=16, strip=4, requant_lanes=1)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """A layer as its descriptor has it: (vertical, horizontal) pairs, origin = -padding.

    Of the `pixel` channels of the input, `channels` from `channel` on are read.
    """

    input: tuple[int, int]
    channels: int
    output: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    origin: tuple[int, int]
    depth: int
    base: int
    outputs: int = 1
    output_base: int = 0
    weight_base: int = 0
    channel: int = 0
    pixel: int = 0
    output_channel: int = 0
    output_channels: int = 1
    operation: Operation = Operation.PRODUCT
    second_base: int = 0

    @property
    def vector(self) -> bool:
        return self.operation in VECTOR

    @property
    def pixel_words(self) -> int:
        return -(-self.pixel // WORD_BYTES)

    def fields(self) -> dict[str, int]:
        names = ("input", "output", "kernel")
        sizes = {f"{name}_{side}": getattr(self, name)[axis] for name in names
                 for axis, side in enumerate(("height", "width"))}
        return sizes | {"input_channels": self.pixel, "depth": self.depth,
                        "inputs": self.channels, "input_channel": self.channel,
                        "output_channel": self.output_channel, "operation": self.operation,
                        "stride_y": self.stride[0], "stride_x": self.stride[1],
                        "origin_y": self.origin[0], "origin_x": self.origin[1],
                        "input_base": self.base, "outputs": self.outputs,
                        "output_base": self.output_base, "weight_base": self.weight_base}

    def plan(self) -> dict[str, int]:
        row = self.input[1] * self.pixel_words
        add = self.operation is Operation.ADD
        wrapped = {"tap_step": self.second_base - self.base if add else self.pixel_words,
                   "pixel_step": self.stride[1] * self.pixel_words,
                   "line_step": self.stride[0] * row, "origin_line": self.origin[0] * row,
                   "origin_pixel": self.origin[1] * self.pixel_words}
        return {"pixel_words": self.pixel_words, "row_stride": row,
                "pixels": self.output[0] * self.output[1],
                "output_pixel_words": -(-self.output_channels // WORD_BYTES),
                "vector": int(self.vector), "add": int(add),
                **{name: value % (1 << SIZE_BITS) for name, value in wrapped.items()}}

    def window(self, pixel: int) -> list[int | None]:
        """The bytes of the activation memory that pixel's window has, None for padding."""
        if self.operation is Operation.ADD:
            starts = [(base + pixel * self.pixel_words) * WORD_BYTES + self.channel
                      for base in (self.base, self.second_base)]
            return [start + c for start in starts for c in range(self.channels)]
        down, across = divmod(pixel, self.output[1])
        places: list[int | None] = []
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                y = self.origin[0] + down * self.stride[0] + ky
                x = self.origin[1] + across * self.stride[1] + kx
                inside = 0 <= y < self.input[0] and 0 <= x < self.input[1]
                word = self.base + (y * self.input[1] + x) * self.pixel_words
                first = word * WORD_BYTES + self.channel
                places += [first + c if inside else None for c in range(self.channels)]
        return places if self.vector else places[:self.depth]


def random_geometry(rng) -> Geometry:
    """Small and odd: windows that lie half, or wholly, outside the input are among them."""
    kernel = tuple(int(side) for side in rng.integers(1, 5, 2))
    channels = int(rng.choice((1, 3, 7, 8, 9, 16, 17, 21)))
    window = kernel[0] * kernel[1] * channels
    depth = window if rng.random() < 0.6 else int(rng.integers(1, window + 1))
    pairs = [tuple(int(v) for v in rng.integers(low, high, 2))
             for low, high in ((1, 6), (1, 4), (1, 4), (-4, 3))]
    channel, more = (int(v) for v in rng.integers(0, 20, 2) * (rng.random() < 0.5))
    pixel = channel + channels + more
    words = pairs[0][0] * pairs[0][1] * -(-pixel // WORD_BYTES)
    base = int(rng.choice((0, SOC.activation_words - words)))
    return Geometry(pairs[0], channels, pairs[1], kernel, pairs[2], pairs[3], depth, base,
                    channel=channel, pixel=pixel)


def random_vector(rng, operation: Operation) -> Geometry:
    """An add or a pool of the channels of one column tile."""
    geometry = dataclasses.replace(
        random_geometry(rng), depth=1, operation=operation, channels=int(rng.integers(1, 5)),
        channel=int(rng.choice((0, 4, 8, 20))), pixel=24, base=int(rng.integers(99)))
    if operation is not Operation.ADD:
        return geometry
    words = geometry.input[0] * geometry.input[1] * geometry.pixel_words
    second = int(rng.integers(SOC.activation_words - words))
    return dataclasses.replace(geometry, kernel=(1, 2), stride=(1, 1), origin=(0, 0),
                               output=geometry.input, second_base=second)


class Windows(LiteXModule):
    """Walker and position with a layer's fields and plan."""

    def __init__(self):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.position = Position(self.fields, self.plan)
        self.walker = WindowWalker(SOC, self.fields, self.plan, self.position)


def row_tiles(geometry: Geometry, columns: int = 1):
    """(column tile, first pixel, pixels, first row, rows) in the order of work."""
    pixels = geometry.output[0] * geometry.output[1]
    for column in range(-(-geometry.outputs // columns)):
        for pixel in range(0, pixels, SOC.strip):
            if geometry.vector:
                yield column, pixel, min(SOC.strip, pixels - pixel), 0, len(geometry.window(0))
                continue
            for row in range(0, geometry.depth, SOC.macro.rows):
                yield (column, pixel, min(SOC.strip, pixels - pixel), row,
                       min(SOC.macro.rows, geometry.depth - row))


def walk(windows: Windows, geometry: Geometry, beats: list, rng, stall: float):
    """Pulses what the engine pulses, and takes each row tile's beats into a list of its own."""
    walker, position = windows.walker, windows.position
    yield from set_fields(windows.fields, geometry.fields())
    yield from set_fields(windows.plan, geometry.plan())
    yield
    for _ in range(2):                                  # two column tiles: twice the same
        yield from pulse(position.reset, walker.rewind)
        for _, pixel, pixels, row, rows in row_tiles(geometry):
            yield from pulse(position.restart)
            yield from set_fields(walker, {
                "pixels": pixels, "rows": 1 if geometry.vector else rows,
                "first": geometry.channel, "inputs": geometry.channels})
            yield from pulse(walker.start)
            expected = [place for p in range(pixels)
                        for place in geometry.window(pixel + p)[row:row + rows]]
            tile = []
            while sum(beat["count"] for beat in tile) < len(expected):
                yield from drain(walker.source, tile, len(tile) + 1, rng, stall)
            beats.append((rows, expected, tile))
            yield
            assert not (yield walker.source.valid), "more beats than rows"
            if geometry.vector or row + rows == geometry.depth:
                yield from pulse(walker.rewind, position.commit)


def check_tile(rows: int, expected: list[int | None], beats: list[dict[str, int]]):
    """The beats name each byte of each pixel once, in order, at the right row of the macro."""
    places, row = [], 0
    for beat in beats:
        lead, count = beat["lead"], beat["count"]
        assert beat["row"] == row % SOC.macro.rows and 1 <= count <= WORD_BYTES - lead
        first = beat["adr"] * WORD_BYTES + lead
        places += [None if beat["padding"] else first + b for b in range(count)]
        row += count
        assert beat["last"] == (row == rows)
        row = 0 if beat["last"] else row
    assert places == expected


@pytest.mark.parametrize("stall", (0, 0.5))
def test_every_row_of_every_pixel_once(stall):
    rng, seed = np.random.default_rng(10 + int(10 * stall)).spawn(2)
    geometries = [random_geometry(rng) for _ in range(6)]
    geometries += [
        Geometry((1, 1), 9, (3, 3), (3, 3), (1, 1), (-2, -2), 81, 5, pixel=9),
        Geometry((4, 4), 21, (1, 4), (4, 1), (3, 1), (0, 0), 84, 0, pixel=21),
        Geometry((3, 3), 5, (2, 2), (2, 2), (9, 9), (-9, -9), 20, 7, pixel=5)]
    geometries += [random_vector(rng, operation) for operation in VECTOR for _ in range(2)]
    beats = []

    def control(windows):
        for geometry in geometries:
            yield from walk(windows, geometry, beats, seed, stall)

    windows = Windows()
    run_simulation(windows, control(windows))
    for tile in beats:
        check_tile(*tile)
    padded = [place is None for _, expected, _ in beats for place in expected]
    assert any(padded) and not all(padded)
    assert any(beat["lead"] and row == 0 for _, _, tile in beats
               for row, beat in ((beat["row"], beat) for beat in tile)), "tiles begin mid-word"


class LoopsOfALayer(LiteXModule):
    """Loops with a layer's fields and plan."""

    def __init__(self):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.loops = Loops(SOC, self.fields, self.plan)


def expected_loops(geometry: Geometry):
    """What `Loops` shows at each row tile, in the order of work."""
    columns = SOC.macro.columns
    words, total = geometry.plan()["output_pixel_words"], geometry.plan()["pixels"]
    for column, pixel, pixels, row, rows in row_tiles(geometry, columns):
        final = geometry.vector or row + rows == geometry.depth
        done, column_final = column * columns, pixel + pixels == total
        outputs = min(columns, geometry.outputs - done)
        yield {"pixels": pixels, "rows": 1 if geometry.vector else rows,
               "weight_adr": geometry.weight_base + column * geometry.depth + row,
               "input_first": geometry.channel + (done if geometry.vector else 0),
               "inputs": outputs if geometry.vector else geometry.channels,
               "output_first": geometry.output_channel + done,
               "output_end": geometry.output_channel + done + outputs,
               "output_adr": geometry.output_base + pixel * words, "first": int(row == 0),
               "final": int(final), "column_final": int(column_final),
               "layer_final": int(done + columns >= geometry.outputs)}


def random_loops(rng, operation: Operation) -> Geometry:
    """Some row tiles, column tiles and strips, anywhere."""
    outputs, first = int(rng.integers(1, 20)), int(rng.integers(20))
    vector = operation in VECTOR
    return dataclasses.replace(
        random_geometry(rng), depth=1 if vector else int(rng.choice((1, 15, 16, 17, 32, 47))),
        outputs=outputs, output_base=int(rng.integers(1 << 12)), operation=operation,
        weight_base=int(rng.integers(64)), output_channel=first,
        output_channels=first + outputs + int(rng.integers(9)))


def test_order_of_work():
    rng = np.random.default_rng(11)
    seen = []
    geometries = [random_loops(rng, Operation.PRODUCT) for _ in range(30)]
    geometries += [random_loops(rng, Operation.MAX_POOL) for _ in range(10)]

    def control(module):
        loops = module.loops
        for geometry in geometries:
            yield from set_fields(module.fields, geometry.fields())
            yield from set_fields(module.plan, geometry.plan())
            yield from pulse(loops.start)
            for expected in expected_loops(geometry):
                yield
                shown = {}
                for name in expected:
                    shown[name] = yield getattr(loops, name)
                seen.append((shown, expected))
                yield from pulse(loops.advance)

    module = LoopsOfALayer()
    run_simulation(module, control(module))
    for shown, expected in seen:
        assert shown == expected
