"""Parts of the engine that move data, stalled at random on both ends, compared with Python."""

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, passive, run_simulation

from dscim.gateware.engine.accumulator import SUM_BITS, Accumulator
from dscim.gateware.engine.reader import Aligner, MemoryReader, WeightLoader
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from tests.streams import drain, feed, pulse, serve, set_fields

SOC = SocSpec(
    MacroSpec(rows=32, columns=4, lanes=4),
    activation_words=64,
    weight_rows=64,
    channels=16,
    strip=4,
    requant_lanes=1,
)
STALLS = ((0, 0), (0.3, 0.3), (0.8, 0.1), (0.1, 0.8))
"""Probabilities that the source and the sink stall."""

both_ends = pytest.mark.parametrize("stalls", STALLS, ids=lambda pair: f"{pair[0]}-{pair[1]}")


def words(rng, count: int, size: int) -> list[int]:
    """`count` random numbers of `size` bytes."""
    return [int.from_bytes(rng.bytes(size), "little") for _ in range(count)]


@both_ends
def test_memory_reader(stalls):
    rng, *seeds = np.random.default_rng(1).spawn(3)
    read = Record([("adr", 6), ("re", 1), ("dat_r", 64)])
    reader = MemoryReader(read, [("tag", 9)])
    contents = words(rng, 64, 8)
    beats = [
        {"adr": int(rng.integers(64)), "tag": int(rng.integers(512)), "last": int(rng.integers(2))}
        for _ in range(300)
    ]
    taken, cycles = [], []

    def count():
        while len(taken) < len(beats):
            cycles.append(1)
            yield

    run_simulation(
        reader,
        [
            feed(reader.sink, beats, seeds[0], stalls[0]),
            serve(read, contents),
            drain(reader.source, taken, len(beats), seeds[1], stalls[1]),
            count(),
        ],
    )
    assert taken == [
        {"data": contents[beat["adr"]], "tag": beat["tag"], "last": beat["last"]} for beat in beats
    ]
    if stalls == (0, 0):
        assert len(cycles) <= len(beats) + 4, "one word per cycle"


@both_ends
@pytest.mark.parametrize("busy", (0.1, 0.5, 0.9))
def test_memory_reader_beside_another(stalls, busy):
    """The other reader gets its own words, and first; no word of the stream is lost or repeated."""
    rng, *seeds = np.random.default_rng([3, int(10 * busy)]).spawn(4)
    read, other_read = (Record([("adr", 6), ("re", 1), ("dat_r", 64)]) for _ in range(2))
    reader = MemoryReader(read, [("tag", 9)], other_read)
    contents = words(rng, 64, 8)
    beats = [
        {"adr": int(rng.integers(64)), "tag": int(rng.integers(512)), "last": int(rng.integers(2))}
        for _ in range(300)
    ]
    taken, asked, seen = [], [], []

    @passive
    def other():
        while True:
            asking = seeds[2].random() < busy
            yield other_read.re.eq(int(asking))
            yield other_read.adr.eq(int(seeds[2].integers(64)))
            yield
            if asked and asked[-1] is not None:
                seen.append((yield other_read.dat_r))
                assert seen[-1] == contents[asked[-1]]
            asked.append((yield other_read.adr) if (yield other_read.re) else None)

    run_simulation(
        reader,
        [
            feed(reader.sink, beats, seeds[0], stalls[0]),
            serve(read, contents),
            drain(reader.source, taken, len(beats), seeds[1], stalls[1]),
            other(),
        ],
    )
    assert taken == [
        {"data": contents[beat["adr"]], "tag": beat["tag"], "last": beat["last"]} for beat in beats
    ]
    assert len(seen) > 20


@both_ends
def test_aligner(stalls):
    rng, *seeds = np.random.default_rng(2).spawn(3)
    aligner = Aligner(SOC)
    zero_point = -77
    beats = []
    for _ in range(300):
        lead = int(rng.integers(WORD_BYTES))
        beats.append(
            {
                "data": words(rng, 1, 8)[0],
                "lead": lead,
                "count": int(rng.integers(1, WORD_BYTES - lead + 1)),
                "padding": int(rng.integers(2)),
                "row": int(rng.integers(32)),
                "last": int(rng.integers(2)),
            }
        )
    taken = []

    def setting():
        yield aligner.zero_point.eq(zero_point)

    run_simulation(
        aligner,
        [
            setting(),
            feed(aligner.sink, beats, seeds[0], stalls[0]),
            drain(aligner.source, taken, len(beats), seeds[1], stalls[1]),
        ],
    )
    for before, after in zip(beats, taken, strict=True):
        lead, count = before["lead"], before["count"]
        octets = before["data"].to_bytes(8, "little")[lead : lead + count]
        if before["padding"]:
            octets = bytes([zero_point & 0xFF]) * count
        assert after["data"].to_bytes(8, "little")[:count] == octets
        assert all(after[name] == before[name] for name in ("row", "count", "last", "padding"))


@pytest.mark.parametrize("stall", (0, 0.3, 0.8))
def test_weight_loader(stall):
    rng, seed = np.random.default_rng(3).spawn(2)
    read = Record([("adr", 6), ("re", 1), ("dat_r", 32)])
    loader = WeightLoader(SOC, read)
    contents = words(rng, 64, 4)
    tiles = [(0, 32), (32, 32), (63, 1)]
    for _ in range(15):
        rows = int(rng.integers(1, 33))
        tiles.append((int(rng.integers(65 - rows)), rows))
    loaded, dones, accepted = [], [], []

    def control():
        for adr, rows in tiles:
            yield from set_fields(loader, {"adr": adr, "rows": rows})
            yield from pulse(loader.start)
            yield loader.adr.eq(int(rng.integers(64)))
            taken = []
            yield from drain(loader.source, taken, rows, seed, stall)
            loaded.append([(beat["row"], beat["data"]) for beat in taken])
        yield

    @passive
    def watch():
        source = loader.source
        while True:
            accepted.append((yield source.valid) & (yield source.ready))
            if (yield loader.done):
                dones.append(sum(accepted))
            yield

    run_simulation(loader, [control(), watch(), serve(read, contents)])
    assert loaded == [[(row, contents[adr + row]) for row in range(rows)] for adr, rows in tiles]
    assert dones == np.cumsum([rows for _, rows in tiles]).tolist()


def split(sums: int) -> list[int]:
    """The slots of a word of sums."""
    return [sums >> SUM_BITS * slot & 0xFFFF_FFFF for slot in range(SOC.macro.columns + 1)]


class Strips:
    """Strips of pixels over several row tiles each; the model and the source of products."""

    def __init__(self, rng, count: int):
        size = 4 * (SOC.macro.columns + 1)
        shapes = [
            (int(rng.integers(1, 4)), int(rng.integers(1, SOC.strip + 1))) for _ in range(count)
        ]
        self.strips = [
            [words(rng, pixels, size) for _ in range(tiles)]
            for tiles, pixels in (*shapes, (1, 1), (2, 1), (3, SOC.strip))
        ]

    def expected(self) -> list[list[int]]:
        """The sums that leave, a list of slots each."""
        leaving = []
        for tiles in self.strips:
            slots = [[split(pixel) for pixel in tile] for tile in tiles]
            for pixel in range(len(tiles[0])):
                leaving.append(
                    [
                        sum(tile[pixel][slot] for tile in slots) & 0xFFFF_FFFF
                        for slot in range(SOC.macro.columns + 1)
                    ]
                )
        return leaving


@both_ends
def test_accumulator(stalls):
    rng, *seeds = np.random.default_rng(4).spawn(3)
    accumulator = Accumulator(SOC)
    strips = Strips(rng, 25)
    taken = []

    def control():
        for tiles in strips.strips:
            for place, tile in enumerate(tiles):
                yield from set_fields(
                    accumulator,
                    {
                        "first": int(place == 0),
                        "final": int(place == len(tiles) - 1),
                        "pixels": len(tile),
                    },
                )
                yield from pulse(accumulator.start)
                yield
                assert not (yield accumulator.done)
                yield from feed(
                    accumulator.sink, [{"sums": pixel} for pixel in tile], seeds[0], stalls[0]
                )
                yield
                assert (yield accumulator.done)

    expected = strips.expected()
    run_simulation(
        accumulator,
        [control(), drain(accumulator.source, taken, len(expected), seeds[1], stalls[1])],
    )
    assert [split(beat["sums"]) for beat in taken] == expected


class Chain(LiteXModule):
    """reader -> aligner, as in the engine."""

    def __init__(self, read):
        self.reader = MemoryReader(read, [("lead", 3), ("count", 4), ("padding", 1), ("row", 5)])
        self.aligner = Aligner(SOC)
        self.comb += self.reader.source.connect(self.aligner.sink)


def test_reader_and_aligner_lose_nothing_together():
    rng, *seeds = np.random.default_rng(5).spawn(3)
    read = Record([("adr", 6), ("re", 1), ("dat_r", 64)])
    chain = Chain(read)
    contents = words(rng, 64, 8)
    beats = [
        {
            "adr": int(rng.integers(64)),
            "lead": int(rng.integers(8)),
            "row": k % 32,
            "count": 1,
            "last": int(rng.integers(2)),
        }
        for k in range(300)
    ]
    taken = []
    run_simulation(
        chain,
        [
            feed(chain.reader.sink, beats, seeds[0], 0.4),
            serve(read, contents),
            drain(chain.aligner.source, taken, len(beats), seeds[1], 0.4),
        ],
    )
    assert [(beat["row"], beat["data"] & 0xFF, beat["last"]) for beat in taken] == [
        (beat["row"], contents[beat["adr"]] >> 8 * beat["lead"] & 0xFF, beat["last"])
        for beat in beats
    ]
