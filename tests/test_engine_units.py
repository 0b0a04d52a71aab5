"""Transposer, pairs and pools, stalled at random on both ends, compared with plain Python."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.setup import descriptor_layout
from dscim.gateware.engine.transpose import Transposer
from dscim.gateware.engine.vector import Pairs, Pool
from dscim.gateware.specs import MacroSpec, SocSpec
from tests.streams import drain, feed, set_fields

SOC = SocSpec(
    MacroSpec(rows=48, columns=8, lanes=4),
    activation_words=64,
    weight_rows=64,
    channels=16,
    strip=4,
    requant_lanes=1,
)
STALLS = ((0, 0), (0.3, 0.3), (0.8, 0.1), (0.1, 0.8))
"""Probabilities that the source and the sink stall."""

both_ends = pytest.mark.parametrize("stalls", STALLS, ids=lambda pair: f"{pair[0]}-{pair[1]}")


def beat(values, **others) -> dict[str, int]:
    """A beat of int8 values, with noise in the unused bytes."""
    octets = np.asarray(values, np.int8).tobytes()
    data = octets + b"\xa5" * (8 - len(octets))
    return {"data": int.from_bytes(data, "little"), "count": len(octets)} | others


@dataclasses.dataclass
class Tile:
    """Windows (taps, channels) of a depthwise row tile whose first channel is `lead` in it."""

    windows: list[np.ndarray]
    lead: int

    def beats(self) -> list[dict[str, int]]:
        """Tap by tap, word by word."""
        beats = []
        for window in self.windows:
            taps, channels = window.shape
            cuts = [0, *range(8 - self.lead, channels, 8), channels]
            for tap in range(taps):
                for first, end in pairwise(cuts):
                    beats.append(
                        beat(window[tap, first:end], last=int(tap == taps - 1 and end == channels))
                    )
        return beats

    def leaving(self) -> list[tuple[int, list[int], int]]:
        """(first row, values, last): channel by channel, eight rows at a time."""
        beats = []
        for window in self.windows:
            rows = window.T.ravel().tolist()
            beats += [
                (first, rows[first : first + 8], int(first + 8 >= len(rows)))
                for first in range(0, len(rows), 8)
            ]
        return beats


def random_tile(rng, taps: int, channels: int, count: int) -> Tile:
    return Tile(
        [rng.integers(-128, 128, (taps, channels)) for _ in range(count)], int(rng.integers(8))
    )


def transposed(transposer, tile: Tile, taken: list, seeds, stalls):
    """Sets a tile's sizes, sends it, and waits until all of it has left."""
    taps, channels = tile.windows[0].shape
    yield from set_fields(transposer, {"taps": taps, "inputs": channels, "rows": taps * channels})
    yield  # as after the set-up: long before
    count = len(taken) + len(tile.leaving())
    yield from feed(transposer.sink, tile.beats(), seeds[0], stalls[0])
    while len(taken) < count:
        yield


@both_ends
def test_transposer(stalls):
    rng, *seeds = np.random.default_rng(1).spawn(3)
    tiles = [
        random_tile(rng, taps, int(rng.integers(1, 48 // taps + 1)), 3)
        for taps in (*range(1, 17), 24, 25, 47, 48, 9, 9, 4)
    ]
    transposer, taken = Transposer(SOC), []
    expected = [row for tile in tiles for row in tile.leaving()]

    def control():
        for tile in tiles:
            yield from transposed(transposer, tile, taken, seeds, stalls)

    run_simulation(
        transposer, [control(), drain(transposer.source, taken, len(expected), seeds[1], stalls[1])]
    )
    for got, (row, values, last) in zip(taken, expected, strict=True):
        octets = got["data"].to_bytes(8, "little")[: got["count"]]
        assert (got["row"], list(octets), got["last"]) == (row, [v & 0xFF for v in values], last)


@pytest.mark.parametrize(
    ("taps", "channels", "cycles"), ((9, 5, 9), (1, 48, 6), (4, 12, 24), (25, 1, 25))
)
def test_transposer_keeps_up(taps, channels, cycles):
    """A window every so many cycles: its beats, where taps are odd, or its rows by eight."""
    rng, *seeds = np.random.default_rng(2).spawn(3)
    tile = random_tile(rng, taps, channels, 20)
    tile.lead = 0
    transposer, taken, spent = Transposer(SOC), [], []

    def count():
        while len(taken) < len(tile.leaving()):
            spent.append(1)
            yield

    run_simulation(
        transposer,
        [
            transposed(transposer, tile, taken, seeds, (0, 0)),
            count(),
            drain(transposer.source, taken, len(tile.leaving()), seeds[1], 0),
        ],
    )
    assert len(spent) <= 21 * cycles + 15


def slots(word: int, count: int) -> list[int]:
    """The first `count` slots of 32 bits, signed."""
    return np.frombuffer(
        (word & (1 << 32 * count) - 1).to_bytes(4 * count, "little"), "<i4"
    ).tolist()


@both_ends
def test_pairs(stalls):
    rng, *seeds = np.random.default_rng(3).spawn(3)
    pairs, taken = Pairs(SOC), []
    inputs = rng.integers(-128, 128, (60, 2, 8))
    beats = [beat(values, last=place) for pair in inputs for place, values in enumerate(pair)]
    run_simulation(
        pairs,
        [
            feed(pairs.sink, beats, seeds[0], stalls[0]),
            drain(pairs.source, taken, len(inputs), seeds[1], stalls[1]),
        ],
    )
    expected = (inputs[:, 0] & 0xFF) | (inputs[:, 1] & 0xFF) << 8
    assert [slots(got["slots"], 8) for got in taken] == expected.tolist()


class PoolOfALayer(LiteXModule):
    """A pool with a layer's fields."""

    def __init__(self):
        self.fields = Record(descriptor_layout())
        self.pool = Pool(SOC, self.fields)


def pooled(operation: Operation, values: np.ndarray, inside: np.ndarray, zero: int) -> list[int]:
    """The output for a window (taps, 8); inside: (taps,)."""
    held = values[inside]
    if operation is Operation.MAX_POOL:
        return (held.max(axis=0, initial=-128) - zero).tolist()
    if operation is Operation.SUM_POOL:
        return (held - zero).sum(axis=0).tolist()
    total, count = held.sum(axis=0), max(1, len(held))
    return (np.sign(total) * ((2 * abs(total) + count) // (2 * count)) - zero).tolist()


@both_ends
@pytest.mark.parametrize(
    "operation",
    (Operation.MAX_POOL, Operation.AVERAGE_POOL, Operation.SUM_POOL),
    ids=lambda o: o.name.lower(),
)
def test_pool(operation, stalls):
    rng, *seeds = np.random.default_rng(4).spawn(3)
    zero = int(rng.choice((-128, 127, 5)))
    beats, expected = [], []
    for taps in (1, 2, 3, 4, 9, 49, *rng.integers(1, 30, 20)):
        values = rng.integers(-128, 128, (taps, 8))
        if rng.random() < 0.4:
            values[:] = rng.choice((-128, -1, 0, 127), (1, 8))
        inside = rng.random(taps) < rng.choice((0, 0.5, 1, 1))
        beats += [
            beat(row, padding=int(not here), last=int(tap == taps - 1))
            for tap, (row, here) in enumerate(zip(values, inside, strict=True))
        ]
        expected.append(pooled(operation, values, inside, zero))
    module, taken = PoolOfALayer(), []

    def layer():
        yield from set_fields(module.fields, {"operation": operation, "input_zero": zero})
        yield
        yield
        yield from feed(module.pool.sink, beats, seeds[0], stalls[0])

    run_simulation(
        module, [layer(), drain(module.pool.source, taken, len(expected), seeds[1], stalls[1])]
    )
    assert [slots(got["slots"], 8) for got in taken] == expected
