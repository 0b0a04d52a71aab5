"""Parts of the engine that move data, stalled at random on both ends, compared with Python."""

import dataclasses

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, Signal, passive, run_simulation

from dscim.gateware.engine.accumulator import SUM_BITS, Accumulator
from dscim.gateware.engine.addresses import move_layout, read_layout
from dscim.gateware.engine.loader import WeightLoader
from dscim.gateware.engine.reader import Aligner, MemoryReader
from dscim.gateware.engine.setup import descriptor_layout
from dscim.gateware.layout import pack_depthwise, pack_product, pixel_words
from dscim.gateware.specs import MacroSpec, SocSpec
from tests.streams import both, drain, feed, payload, serve, set_fields

SOC = SocSpec(
    MacroSpec(rows=32, columns=4, lanes=4),
    activation_words=256,
    weight_rows=64,
    channels=16,
    strip=8,
    banks=4,
    requant_lanes=1,
)
STALLS = ((0, 0), (0.3, 0.3), (0.8, 0.1), (0.1, 0.8))
"""Probabilities that the source and the sink stall."""

both_ends = pytest.mark.parametrize("stalls", STALLS, ids=lambda pair: f"{pair[0]}-{pair[1]}")


def words(rng, count: int, size: int) -> list[int]:
    """`count` random numbers of `size` bytes."""
    return [int.from_bytes(rng.bytes(size), "little") for _ in range(count)]


def noise(rng, endpoint) -> dict[str, int]:
    """A beat of random fields."""
    sizes = {name: len(getattr(endpoint, name)) for name in payload(endpoint)}
    return {
        name: int.from_bytes(rng.bytes(8 + size // 8), "little") % (1 << size)
        for name, size in sizes.items()
    }


@dataclasses.dataclass
class Memory:
    """A memory of banks of 64 bits behind a `read` record."""

    banks: int
    contents: np.ndarray

    def row(self, addresses: int) -> int:
        """The words at an address of 6 bits for each bank, side by side."""
        return sum(
            int(self.contents[addresses >> 6 * bank & 63, bank]) << 64 * bank
            for bank in range(self.banks)
        )

    def __getitem__(self, addresses: int) -> int:
        return self.row(addresses)


def memory_of(rng) -> Memory:
    return Memory(SOC.banks, rng.integers(0, 1 << 63, (64, SOC.banks), np.uint64))


def ports(banks: int) -> Record:
    return Record([("adr", 6 * banks), ("re", 1), ("dat_r", 64 * banks)])


@both_ends
@pytest.mark.parametrize("busy", (None, 0, 0.2, 0.9))
def test_memory_reader(stalls, busy):
    """The other reader gets its own words, and first; no word of the stream is lost or repeated.

    busy: how often the other one reads; None: there is none. Alone, it reads in every cycle.
    """
    rng, *seeds = np.random.default_rng([3, int(10 * (busy or 0))]).spawn(4)
    read, other_read = ports(SOC.banks), ports(SOC.banks)
    reader = MemoryReader(read, [("tag", 9)], None if busy is None else other_read)
    contents = memory_of(rng)
    beats = [noise(rng, reader.sink) for _ in range(150)]
    taken, asked, cycles = [], [], []

    @passive
    def other():
        while True:
            yield other_read.re.eq(int(seeds[2].random() < busy))
            yield other_read.adr.eq(int(seeds[2].integers(1 << 24)))
            yield
            if asked and asked[-1] is not None:
                assert (yield other_read.dat_r) == contents[asked[-1]]
            asked.append((yield other_read.adr) if (yield other_read.re) else None)

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
            *([] if busy is None else [other()]),
        ],
    )
    assert taken == [
        {"data": contents[beat["adr"]], "tag": beat["tag"], "last": beat["last"]} for beat in beats
    ]
    if stalls == (0, 0) and not busy:
        assert len(cycles) <= len(beats) + 4, "one word per cycle"


def aligned(beat: dict[str, int], zero_point: int) -> dict[str, int]:
    """The beat that the aligner makes of `beat`."""
    data = beat["data"].to_bytes(8 * SOC.banks, "little")
    found = []
    for word in range(SOC.banks):
        bank = (beat["bank"] + word) % SOC.banks
        padding = beat["padding"] >> word & 1
        found.append(bytes([zero_point & 0xFF]) * 8 if padding else data[8 * bank : 8 * bank + 8])
    turned = {"data": int.from_bytes(b"".join(found), "little")}
    return {name: value for name, value in (beat | turned).items() if name != "bank"}


@both_ends
@pytest.mark.parametrize("zero_point", (-77, 100))
def test_aligner(stalls, zero_point):
    rng, *seeds = np.random.default_rng(2).spawn(3)
    aligner = Aligner(SOC)
    beats = [noise(rng, aligner.sink) for _ in range(150)]
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
    assert taken == [aligned(beat, zero_point) for beat in beats]


class Chain(LiteXModule):
    """reader -> aligner, as in the engine."""

    def __init__(self, read, other):
        companions = [*read_layout(SOC)[1:], *move_layout(SOC)]
        self.reader = MemoryReader(read, companions, other)
        self.aligner = Aligner(SOC)
        self.comb += self.reader.source.connect(self.aligner.sink)


def test_reader_and_aligner_lose_nothing_together():
    rng, *seeds = np.random.default_rng(5).spawn(3)
    read, contents = ports(SOC.banks), memory_of(rng)
    chain = Chain(read, ports(SOC.banks))
    beats = [noise(rng, chain.reader.sink) for _ in range(200)]
    taken = []
    run_simulation(
        chain,
        [
            feed(chain.reader.sink, beats, seeds[0], 0.4),
            serve(read, contents),
            drain(chain.aligner.source, taken, len(beats), seeds[1], 0.4),
        ],
    )
    expected = [aligned(beat | {"data": contents[beat["adr"]]}, 0) for beat in beats]
    assert taken == [
        {name: value for name, value in beat.items() if name != "adr"} for beat in expected
    ]


SIZE = SOC.macro.columns + 1
"""Sums of a pixel, with that of a'."""


class Strips:
    """Strips of pixels over several row tiles each.

    products: (row tiles, pixels, SIZE) 32-bit numbers of each strip.
    """

    def __init__(self, rng, count: int):
        shapes = [
            (int(rng.integers(1, 4)), int(rng.integers(1, SOC.strip + 1))) for _ in range(count)
        ]
        shapes += [(1, 1), (1, 1), (3, 1), (4, 2), (2, 3), (3, 4), (3, 5), (3, SOC.strip), (2, 1)]
        self.products = [rng.integers(0, 1 << 32, (*shape, SIZE)) for shape in shapes]
        self.opens = rng.integers(0, 2, len(shapes)).tolist()
        self.widths = rng.integers(1, SOC.macro.columns + 1, len(shapes)).tolist()

    def _strips(self):
        return zip(self.products, self.opens, self.widths, strict=True)

    def tiles(self):
        """The row tiles of all strips."""
        for strip, opens, width in self._strips():
            for place in range(len(strip)):
                yield {
                    "opens": opens,
                    "begins": int(place == 0),
                    "final": int(place == len(strip) - 1),
                    "pixels": strip.shape[1],
                    "width": width,
                }

    def beats(self) -> list[dict[str, int]]:
        """The products in their order."""
        return [
            {"sums": joined(pixel[:-1]), "activation_sum": int(pixel[-1])}
            for strip in self.products
            for tile in strip
            for pixel in tile
        ]

    def expected(self) -> list[dict[str, int]]:
        """The sums that leave."""
        return [
            {
                "sums": joined(pixel[:-1]),
                "activation_sum": int(pixel[-1]),
                "opens": int(opens and place == 0),
                "width": width,
                "follows": 0,
                "second": 0,
                "stays": 0,
                "last": 0,
            }
            for strip, opens, width in self._strips()
            for place, pixel in enumerate(strip.sum(axis=0) % (1 << 32))
        ]


def joined(sums) -> int:
    """Numbers of 32 bits, side by side."""
    return sum(int(value) << SUM_BITS * slot for slot, value in enumerate(sums))


@both_ends
def test_accumulator(stalls):
    """Row tiles back to back; strips of fewer pixels than the stages of its pipeline."""
    rng, *seeds = np.random.default_rng(4).spawn(4)
    accumulator, taken, cycles = Accumulator(SOC), [], []
    strips = Strips(rng, 12)
    expected = strips.expected()

    def run():
        yield from drain(accumulator.source, taken, len(expected), seeds[1], stalls[1])
        for _ in range(3):
            yield
        assert not (yield accumulator.busy)
        assert not (yield accumulator.source.valid)

    @passive
    def watch():
        while True:
            cycles.append(1)
            yield
            assert (yield accumulator.busy) or not (yield accumulator.source.valid)

    run_simulation(
        accumulator,
        [
            feed(accumulator.tiles, strips.tiles(), seeds[2], stalls[0]),
            feed(accumulator.sink, strips.beats(), seeds[0], stalls[0]),
            run(),
            watch(),
        ],
    )
    assert taken == expected


def test_accumulator_takes_a_product_in_every_cycle():
    """Of strips that are as long as its pipeline, over several row tiles."""
    rng, *seeds = np.random.default_rng(6).spawn(4)
    accumulator, taken, cycles = Accumulator(SOC), [], []
    strips = Strips(rng, 0)
    strips.products = [rng.integers(0, 1 << 32, (4, pixels, SIZE)) for pixels in (4, 5, 8, 8, 4)]
    strips.opens, strips.widths = [1] * 5, [4] * 5
    expected = strips.expected()

    def count():
        while len(taken) < len(expected):
            cycles.append(1)
            yield

    run_simulation(
        accumulator,
        [
            feed(accumulator.tiles, strips.tiles(), seeds[2], 0),
            feed(accumulator.sink, strips.beats(), seeds[0], 0),
            drain(accumulator.source, taken, len(expected), seeds[1], 0),
            count(),
        ],
    )
    assert taken == expected
    assert len(cycles) <= len(strips.beats()) + 8


LOADED = {
    "narrow": SocSpec(MacroSpec(rows=48, columns=4), weight_rows=512, banks=2, requant_lanes=4),
    "8 columns": SocSpec(MacroSpec(rows=80, columns=8), weight_rows=512, requant_lanes=8),
    "16 columns": SocSpec(MacroSpec(rows=96, columns=16), weight_rows=512, requant_lanes=16),
    "32 columns": SocSpec(MacroSpec(rows=144, columns=32), weight_rows=512),
}
"""Devices whose headers have one row or two."""


@dataclasses.dataclass
class Column:
    """A column tile of weights: rows of the window in dense order; `odd` of each."""

    place: list[int]
    """8*unit + lane of each row, counted in the window."""
    odd: np.ndarray
    data: np.ndarray
    """(rows, columns) int8."""


@dataclasses.dataclass
class Weights:
    """The weights of a layer, packed as the host does."""

    fields: dict[str, int]
    units: int
    columns: list[Column]
    packed: np.ndarray
    """(rows, columns) int8."""

    @property
    def rows(self) -> int:
        return len(self.packed) // len(self.columns)


def product_weights(spec: SocSpec, rng) -> Weights:
    """A PRODUCT with partial planes, of all or some of the window's units."""
    channels, taps = int(rng.choice((1, 3, 8, 11, 16, 21))), int(rng.integers(1, 7))
    planes, tiles = pixel_words(channels), int(rng.integers(1, 3))
    units = taps * planes if rng.random() < 0.5 else int(rng.integers(1, taps * planes + 1))
    place = [
        8 * unit + lane
        for unit in range(units)
        for lane in range(min(8, channels - 8 * (unit % planes)))
    ]
    matrix = rng.integers(-128, 128, (len(place), tiles * spec.macro.columns)).astype(np.int8)
    odd = rng.integers(0, 2, len(place))  # row 0 of the contract is even, row 1 odd
    packed = pack_product(spec, matrix, channels, odd).view(np.int8)
    columns = [Column(place, odd, part) for part in np.split(matrix, tiles, axis=1)]
    return Weights({"inputs": channels}, units, columns, packed.reshape(-1, spec.macro.columns))


def depthwise_weights(spec: SocSpec, rng) -> Weights:
    """A DEPTHWISE of one or two planes; lanes behind the last channel have weights of zero."""
    channels, taps = int(rng.integers(1, 17)), int(rng.integers(1, spec.macro.units + 4))
    own = rng.integers(-128, 128, (taps, channels)).astype(np.int8)
    odd = rng.integers(0, 2, (taps, channels))
    packed = pack_depthwise(spec, own, odd).view(np.int8).reshape(-1, spec.macro.columns)
    pad = ((0, 0), (0, -channels % 8))
    own, odd = np.pad(own, pad), np.pad(odd, pad)
    columns = []
    for plane in range(0, own.shape[1], 8):
        data = np.zeros((taps, 8, spec.macro.columns), np.int8)
        data[:, range(8), range(8)] = own[:, plane : plane + 8]
        columns.append(
            Column(
                list(range(8 * taps)),
                odd[:, plane : plane + 8].reshape(-1),
                data.reshape(8 * taps, -1),
            )
        )
    return Weights({"inputs": channels}, taps, columns, packed)


class LoaderOfALayer(LiteXModule):
    """A weight loader with a layer's fields."""

    def __init__(self, spec: SocSpec):
        self.fields, self.planes = Record(descriptor_layout()), Signal(12)
        self.depthwise = Signal()
        self.read = Record([("adr", 9), ("re", 1), ("dat_r", 8 * spec.macro.columns)])
        self.loader = WeightLoader(spec, self.fields, self.planes, self.depthwise, self.read)


def row_tiles(spec: SocSpec, weights: Weights, base: int, strips: int):
    """(tile, beats) of the row tiles of a layer, each strip of a column tile from its start."""
    most = spec.macro.units
    for column, held in enumerate(weights.columns):
        for _ in range(strips):
            for unit in range(0, weights.units, most):
                tile = {
                    "begins": int(unit == 0),
                    "units": min(most, weights.units - unit),
                    "weights": base + column * weights.rows,
                }
                rows = [k for k, place in enumerate(held.place) if unit <= place // 8 < unit + most]
                yield (
                    tile,
                    [
                        {
                            "row": held.place[k] - 8 * unit,
                            "odd": int(held.odd[k]),
                            "data": int.from_bytes(held.data[k].tobytes(), "little"),
                            "last": int(k == rows[-1]),
                        }
                        for k in rows
                    ],
                )


@pytest.mark.parametrize("stall", (0, 0.3, 0.8))
@pytest.mark.parametrize(
    ("device", "depthwise"),
    [(name, False) for name in LOADED] + [(name, True) for name in list(LOADED)[1:]],
)
def test_weight_loader(device, depthwise, stall):
    """Headers, rows, partial planes, the expansion of depthwise rows; several strips."""
    spec = LOADED[device]
    rng, *seeds = np.random.default_rng([7, len(device), int(depthwise)]).spawn(3)
    module = LoaderOfALayer(spec)
    contents = [0] * 512
    make = depthwise_weights if depthwise else product_weights

    def layer(weights: Weights):
        base = int(rng.integers(512 - len(weights.packed)))
        contents[:] = words(rng, 512, spec.macro.columns)
        contents[base : base + len(weights.packed)] = [
            int.from_bytes(row.tobytes(), "little") for row in weights.packed
        ]
        config = {
            "samples_log2": int(rng.integers(8)),
            "offset": int(rng.integers(2)),
            "activation_shift": int(rng.integers(4)),
            "input_zero": int(rng.integers(-128, 128)),
        }
        yield from set_fields(module.fields, weights.fields | config)
        yield module.planes.eq(1 if depthwise else pixel_words(weights.fields["inputs"]))
        yield module.depthwise.eq(int(depthwise))
        yield
        yield
        tiles = list(row_tiles(spec, weights, base, int(rng.integers(1, 3))))
        expected = [beat for _, beats in tiles for beat in beats]
        taken = []
        feeder = feed(module.loader.tiles, [tile for tile, _ in tiles], seeds[0], stall)
        drainer = drain(module.loader.source, taken, len(expected), seeds[1], stall)
        yield from both(feeder, drainer)
        assert taken == expected
        source = module.loader.source
        found = yield [source.samples_log2, source.offset, source.activation_shift]
        assert found == [config[name] for name in ("samples_log2", "offset", "activation_shift")]
        assert (yield source.zero_point) == config["input_zero"]

    def control():
        for _ in range(5):
            yield from layer(make(spec, rng))

    run_simulation(module, [control(), serve(module.read, contents)])
