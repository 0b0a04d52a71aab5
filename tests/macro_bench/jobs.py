"""The jobs of a bench: banks of weights, steps of windows, and the expected products."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.gateware.macro.interface import SHIFTS
from dscim.gateware.specs import MacroSpec, ProductSpec
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.host.golden.reference.matrix import region_thresholds
from dscim.host.golden.reference.operands import encode_activations, encode_weights

Int8 = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True)
class Beat:
    """A step of the window: each unit of `writes` takes the word that it names.

    words: (words, 8) int8; used: for each word, its lanes that count.
    """

    shift: int
    writes: dict[int, int]
    words: Int8
    used: tuple[int, ...]
    last: bool
    final: bool = False


@dataclasses.dataclass(frozen=True)
class Tile:
    """A bank: its rows in the order in which they are written, and its windows.

    weights: (R, C) int8. order: the rows that are written. regions: (R,) the region of each row,
    0..G-1. windows: beats; x: (windows, R) int8, the contents; sums: of x + 128.
    """

    product: ProductSpec
    zero_point: int
    weights: Int8
    order: npt.NDArray[np.int64]
    regions: npt.NDArray[np.int64]
    windows: list[list[Beat]]
    x: Int8
    sums: list[int]

    def odd(self, row: int) -> int:
        """Whether i + j of the row's region is odd."""
        i, j = divmod(int(self.regions[row]), self.product.root)
        return (i + j) % 2

    @property
    def configuration(self) -> tuple[int, int, int, int]:
        """samples_log2, offset, zero_point, activation_shift."""
        product = self.product
        return (
            product.samples.bit_length() - 1,
            int(product.signed == "offset"),
            self.zero_point,
            product.activation_shift,
        )

    def expected(self) -> list[tuple[int, list[int]]]:
        """(activation_sum, counts) per window by the contract."""
        used = np.zeros(len(self.weights), bool)
        used[self.order] = True
        product = self.product
        if product.exact:
            counts = (self.x.astype(np.int64) - self.zero_point)[:, used] @ self.weights[
                used
            ].astype(np.int64)
        else:
            counts = _counts(
                self.x[:, used], self.weights[used], product, self.zero_point, self.regions[used]
            )
        return list(zip(self.sums, counts.tolist(), strict=True))


def _counts(x: Int8, w: Int8, product: ProductSpec, zero_point: int, regions):
    """The contract's hits for rows in any regions."""
    a, a_sign = encode_activations(x, product, zero_point)
    b, b_sign = encode_weights(w, product)
    p, q = region_thresholds(product)[:, regions].transpose(0, 2, 1)
    total = np.zeros((len(x), w.shape[1]), np.float32)
    for p_s, q_s in zip(p, q, strict=True):
        fired = np.where(a >> product.operand_shift > p_s, a_sign, 0).astype(np.float32)
        total += fired @ np.where(b >> product.operand_shift > q_s[:, None], b_sign, 0).astype(
            np.float32
        )
    return total.astype(np.int64)


def operands(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Int8:
    """int8 operands: "random", "low" (all -128), "high" (all 127), "zero", or "sparse"."""
    constant = {"low": -128, "high": 127, "zero": 0}
    if kind in constant:
        return np.full(shape, constant[kind], np.int8)
    values = rng.integers(-128, 128, shape)
    if kind == "sparse":
        values = np.where(rng.random(shape) < 0.1, values, 0)
    return values.astype(np.int8)


KINDS = ("random", "random", "low", "high", "zero", "sparse")


class WindowModel:
    """The content of the window: (units, 8) int8, and the used lanes of each unit."""

    def __init__(self, units: int):
        self.x = np.zeros((units, UNIT_ROWS), np.int8)
        self.used = np.full(units, UNIT_ROWS)

    def step(self, beat: Beat) -> None:
        """Moves, then writes."""
        by = SHIFTS[beat.shift]
        if by and by < len(self.x):
            self.x[:-by], self.used[:-by] = self.x[by:].copy(), self.used[by:].copy()
        for unit, word in beat.writes.items():
            self.x[unit], self.used[unit] = beat.words[word], beat.used[word]

    def sum(self, units) -> int:
        """The sum of x + 128 over the used lanes of some units."""
        counted = np.arange(UNIT_ROWS) < self.used[units][:, None]
        return int((self.x[units].astype(np.int64) + 128)[counted].sum())


def random_beat(words: int, units, rng, last: bool, shift: int = 0) -> Beat:
    """Each of `units` takes a random word."""
    return Beat(
        shift,
        {int(unit): int(rng.integers(words)) for unit in units},
        operands(str(rng.choice(KINDS)), (words, UNIT_ROWS), rng),
        tuple(int(n) for n in rng.integers(1, UNIT_ROWS + 1, words)),
        last,
    )


def first_window(units: int, words: int, rng, beats: int) -> list[Beat]:
    """Every unit is written, in random order."""
    parts = np.array_split(rng.permutation(units), beats)
    return [random_beat(words, part, rng, k == beats - 1) for k, part in enumerate(parts)]


def next_window(units: int, words: int, rng, beats: int) -> list[Beat]:
    """Moves and writes of some units."""
    return [
        random_beat(
            words,
            np.flatnonzero(rng.random(units) < rng.choice((0, 0.3, 1))),
            rng,
            k == beats - 1,
            int(rng.integers(len(SHIFTS))),
        )
        for k in range(beats)
    ]


def random_tile(
    spec: MacroSpec, words: int, product: ProductSpec, windows: int, rng, fast: bool = False
) -> Tile:
    """A tile of random and extreme operands. fast: every row is used, and a beat is a window."""
    weights = operands(str(rng.choice(KINDS)), (spec.rows, spec.columns), rng)
    order = rng.permutation(spec.rows)
    if not fast and rng.random() < 0.6:
        order = order[: int(rng.integers(1, spec.rows + 1))]
    regions = np.arange(spec.rows) % spec.or_width
    if not spec.ordered:
        regions = rng.permutation(regions)
    made, x, sums = [], [], []
    model = WindowModel(spec.units)
    counted = np.flatnonzero(np.isin(np.arange(spec.units) * UNIT_ROWS, order))
    for k in range(windows):
        maker = next_window if k else first_window
        window = maker(spec.units, words, rng, 1 if fast else int(rng.integers(1, 4)))
        if k == windows - 1:
            window[-1] = dataclasses.replace(window[-1], final=True)
        for beat in window:
            model.step(beat)
        made.append(window)
        x.append(model.x.ravel().copy())
        sums.append(model.sum(counted))
    return Tile(
        product, int(rng.integers(-128, 128)), weights, order, regions, made, np.array(x), sums
    )


def weight_commands(tiles: list[Tile]) -> list[tuple]:
    """(row, odd, last, samples_log2, offset, zero_point, activation_shift, bytes) of each beat."""
    return [
        (
            int(row),
            tile.odd(row),
            int(k == len(tile.order) - 1),
            *tile.configuration,
            tile.weights[row].tobytes(),
        )
        for tile in tiles
        for k, row in enumerate(tile.order)
    ]


def activation_commands(tiles: list[Tile], words: int) -> list[tuple]:
    """(shift, write, select, used, last, final, bytes) of each beat; the middle ones as bytes."""
    bits = max(1, words.bit_length() - 1)
    return [_activation(beat, bits) for tile in tiles for window in tile.windows for beat in window]


def _activation(beat: Beat, bits: int) -> tuple:
    select = sum(word << bits * unit for unit, word in beat.writes.items())
    return (
        beat.shift,
        sum(1 << unit for unit in beat.writes),
        select,
        sum(lanes - 1 << 3 * word for word, lanes in enumerate(beat.used)),
        int(beat.last),
        int(beat.final),
        beat.words.tobytes(),
    )
