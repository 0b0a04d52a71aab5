"""The bytes of each window of a layer: walker and position compared with plain nested loops."""

import dataclasses

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import VECTOR
from dscim.gateware.engine.position import Position
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout
from dscim.gateware.engine.walker import WindowWalker
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from tests.geometry import SOC, Geometry, random_geometry, random_vector, row_tiles
from tests.streams import drain, pulse, set_fields


class Windows(LiteXModule):
    """Walker and position with a layer's fields and plan."""

    def __init__(self, spec: SocSpec = SOC):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.position = Position(self.fields, self.plan)
        self.walker = WindowWalker(spec, self.fields, self.plan, self.position)


def walk(windows: Windows, geometry: Geometry, beats: list, rng, stall: float):
    """Pulses the inputs as the engine does, and collects each row tile's beats in a list."""
    walker, position = windows.walker, windows.position
    yield from set_fields(windows.fields, geometry.fields())
    yield from set_fields(windows.plan, geometry.plan())
    yield
    for _ in range(2):  # two column tiles: the same twice
        yield from pulse(position.reset, walker.rewind)
        for _, pixel, pixels, row, rows in row_tiles(geometry):
            yield from pulse(position.restart)
            yield from set_fields(
                walker,
                {
                    "pixels": pixels,
                    "rows": 1 if geometry.vector else rows,
                    "first": geometry.channel,
                    "inputs": geometry.channels,
                },
            )
            yield from pulse(walker.start)
            expected = [
                place
                for p in range(pixels)
                for place in geometry.window(pixel + p)[row : row + rows]
            ]
            tile = []
            while sum(beat["count"] for beat in tile) < len(expected):
                yield from drain(walker.source, tile, len(tile) + 1, rng, stall)
            beats.append((rows, expected, tile))
            yield
            assert not (yield walker.source.valid), "more beats than rows"
            if geometry.vector or row + rows == geometry.depth:
                yield from pulse(walker.rewind, position.commit)


def check_tile(rows: int, expected: list[int | None], beats: list[dict[str, int]]):
    """The beats have each byte of each pixel once, in order, at the right row of the macro."""
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
        Geometry((3, 3), 5, (2, 2), (2, 2), (9, 9), (-9, -9), 20, 7, pixel=5),
    ]
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
    assert any(
        beat["lead"] and row == 0
        for _, _, tile in beats
        for row, beat in ((beat["row"], beat) for beat in tile)
    ), "tiles begin mid-word"


@pytest.mark.parametrize("stall", (0, 0.5))
@pytest.mark.parametrize("windows", (2, 4))
def test_windows_of_several_pixels(windows, stall):
    """Each pixel starts at a whole OR group, over strips; `last` ends the last pixel."""
    spec = dataclasses.replace(SOC, macro=MacroSpec(rows=64, columns=8, lanes=4), strip=16)
    rng = np.random.default_rng([20, windows])
    geometry = Geometry((5, 9), 3, (4, 8), (2, 2), (1, 1), (-1, 0), 12, 7, pixel=3)
    strips, beats = (10 // windows, 32 // windows - 10 // windows), []

    def control(module):
        walker, position = module.walker, module.position
        yield from set_fields(
            module.fields,
            geometry.fields()
            | {"output_width": 8 // windows, "windows_log2": windows.bit_length() - 1},
        )
        yield from set_fields(module.plan, geometry.plan() | {"window": 12})
        yield
        yield from pulse(position.reset, walker.rewind)
        for pixels in strips:
            yield from pulse(position.restart)
            yield from set_fields(
                walker, {"pixels": pixels, "rows": 16 * windows - 4, "first": 0, "inputs": 3}
            )
            yield from pulse(walker.start)
            ends = sum(beat["last"] for beat in beats) + pixels
            while sum(beat["last"] for beat in beats) < ends:
                yield from drain(walker.source, beats, len(beats) + 1, rng, stall)
            yield
            assert not (yield walker.source.valid), "more windows than pixels"
            yield from pulse(walker.rewind, position.commit)

    module = Windows(spec)
    run_simulation(module, control(module))
    found = [[]]
    for beat in beats:
        first = beat["adr"] * WORD_BYTES + beat["lead"]
        found[-1] += [
            (beat["row"] + b, None if beat["padding"] else first + b) for b in range(beat["count"])
        ]
        if beat["last"]:
            found.append([])
    expected = [
        [
            (16 * pixel + row, place)
            for pixel in range(windows)
            for row, place in enumerate(geometry.window(first + pixel))
        ]
        for first in range(0, 32, windows)
    ]
    assert found == [*expected, []]
