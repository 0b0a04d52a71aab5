"""The jobs of a bench: tiles of weights, windows of activations, and the expected products."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import MacroSpec, ProductSpec

Array = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Tile:
    """Weights (R, C) int8 and windows: a list of {row: int8}, all with one configuration."""

    product: ProductSpec
    zero_point: int
    weights: npt.NDArray[np.int8]
    windows: list[dict[int, int]]


@dataclasses.dataclass(frozen=True)
class Beat:
    """One beat of activations: `data` holds the bytes from `row` on, of which 0 to 8 are used."""

    row: int
    count: int
    last: bool
    data: bytes


def beats(window: dict[int, int], rng: np.random.Generator) -> list[Beat]:
    """A window as beats of random length, in random order, with random unused bytes."""
    pieces = []
    rows = sorted(window)
    while rows:
        run = 1
        while run < min(8, len(rows)) and rows[run] == rows[0] + run:
            run += 1
        take = run if rng.random() < 0.5 else int(rng.integers(1, run + 1))
        pieces.append(rows[:take])
        rows = rows[take:]
    pieces = [pieces[k] for k in rng.permutation(len(pieces))] or [[]]
    return [_beat(piece, window, k == len(pieces) - 1, rng) for k, piece in enumerate(pieces)]


def full_beats(window: dict[int, int]) -> list[Beat]:
    """A window of all its rows in the fewest beats."""
    rows = sorted(window)
    pieces = [rows[k : k + 8] for k in range(0, len(rows), 8)]
    return [
        Beat(
            piece[0], len(piece), piece[-1] == rows[-1], bytes(window[row] & 0xFF for row in piece)
        )
        for piece in pieces
    ]


def _beat(rows, window, last, rng) -> Beat:
    rubbish = rng.integers(0, 256, 8 - len(rows)).tolist()
    return Beat(
        rows[0] if rows else 0,
        len(rows),
        last,
        bytes([*(window[row] & 0xFF for row in rows), *rubbish]),
    )


def expected(spec: MacroSpec, tile: Tile) -> list[tuple[int, list[int]]]:
    """(activation_sum, counts) per window: the contract, bit by bit, point by point."""
    used = np.array([[row in window for row in range(spec.rows)] for window in tile.windows])
    x = np.array([[window.get(row, 0) for row in range(spec.rows)] for window in tile.windows])
    w = tile.weights.astype(np.int64)
    if tile.product.exact:
        counts = np.where(used, x - tile.zero_point, 0) @ w
    else:
        counts = _stochastic(tile.product, x, used, w, tile.zero_point)
    sums = np.where(used, x + 128, 0).sum(axis=1)
    return [(int(s), [int(n) for n in row]) for s, row in zip(sums, counts, strict=True)]


def _stochastic(
    product: ProductSpec, x: Array, used: npt.NDArray[np.bool_], w: Array, zero_point: int
) -> Array:
    """Counts by AND and sum over every point of the sequence, which must equal those by OR."""
    if product.signed == "offset":
        a, sign_a, b, sign_b = x + 128, np.ones_like(x), w + 128, np.ones_like(w)
    else:
        d = x - zero_point
        a, sign_a = np.minimum(np.abs(d) << product.activation_shift, 255), np.where(d < 0, -1, 1)
        b, sign_b = 2 * np.minimum(np.abs(w), 127), np.where(w < 0, -1, 1)
    a = np.where(used, a, 0)
    root, side, shift = product.root, product.side, product.operand_shift
    i, j = np.divmod(np.arange(x.shape[1]) % product.or_width, root)
    total = np.zeros((x.shape[0], w.shape[1]), np.int64)
    for r_a, r_w in product.sequence.points(product.length, product.or_width):
        x_a = (r_a // side == i) & ((a >> shift) > r_a % side)
        x_w = (r_w // side == j)[:, None] & ((b >> shift) > r_w % side)
        total += (x_a * sign_a) @ (x_w * sign_b)
    return total


def operands(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """int8 operands: "random", "low" (all -128), "high" (all 127), "zero", or "sparse"."""
    constant = {"low": -128, "high": 127, "zero": 0}
    if kind in constant:
        return np.full(shape, constant[kind], np.int8)
    values = rng.integers(-128, 128, shape)
    if kind == "sparse":
        values = np.where(rng.random(shape) < 0.1, values, 0)
    return values.astype(np.int8)


def random_tile(
    spec: MacroSpec, product: ProductSpec, windows: int, rng: np.random.Generator
) -> Tile:
    """A tile of random and extreme operands: whole windows, one row, ragged ends, empty ones."""
    kinds = ["random", "random", "low", "high", "zero", "sparse"]
    weights = operands(str(rng.choice(kinds)), (spec.rows, spec.columns), rng)
    made: list[dict[int, int]] = []
    for _ in range(windows):
        x = operands(str(rng.choice(kinds)), (spec.rows,), rng)
        which = rng.integers(0, 5)
        if which == 0:
            rows = [int(rng.integers(spec.rows))]
        elif which == 1:
            rows = list(range(int(rng.integers(1, spec.rows + 1))))
        elif which == 2:
            rows = [row for row in range(spec.rows) if rng.random() < 0.4]
        else:
            rows = list(range(spec.rows))
        made.append({row: int(x[row]) for row in rows})
    return Tile(product, int(rng.integers(-128, 128)), weights, made)
