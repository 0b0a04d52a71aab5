"""A macro on tiles through Migen's own simulator: for small macros, no compiler."""

import numpy as np
from migen import passive, run_simulation

from dscim.gateware.macro import Macro
from tests.macro_bench.jobs import Tile, activation_commands, weight_commands
from tests.macro_bench.run import Outcome

WEIGHT_FIELDS = (
    "row",
    "odd",
    "last",
    "samples_log2",
    "offset",
    "zero_point",
    "activation_shift",
    "data",
)
ACTIVATION_FIELDS = ("shift", "write", "select", "used", "last", "final", "data")


def run_migen(macro: Macro, tiles: list[Tile], seed: int, stall: int) -> Outcome:
    """Runs tiles; stall: percentage of cycles in which a stream stalls."""
    outcome = Outcome([], [])
    windows = sum(len(tile.windows) for tile in tiles)
    rngs = [np.random.default_rng((seed, k)) for k in range(3)]
    run_simulation(
        macro,
        [
            _feed(macro.weights, WEIGHT_FIELDS, weight_commands(tiles), rngs[0], stall),
            _feed(
                macro.activations,
                ACTIVATION_FIELDS,
                activation_commands(tiles, macro.words),
                rngs[1],
                stall,
            ),
            _take(macro, outcome, windows, rngs[2], stall),
            _watch(macro, outcome),
        ],
    )
    return outcome


def _feed(port, fields, beats, rng, stall):
    """Offers one beat after another."""
    for values in beats:
        while rng.integers(100) < stall:
            yield
        for name, value in zip(fields, values, strict=True):
            number = int.from_bytes(value, "little") if isinstance(value, bytes) else value
            yield getattr(port, name).eq(number)
        yield port.valid.eq(1)
        yield
        while not (yield port.ready):
            yield
        yield port.valid.eq(0)


def _take(macro, outcome, windows, rng, stall):
    """Takes every product; fails if none comes for 20,000 cycles."""
    waited, ready = 0, 0
    while len(outcome.products) < windows:
        if ready and (yield macro.products.valid):
            counts = yield macro.products.counts
            outcome.products.append(
                (
                    (yield macro.products.activation_sum),
                    _signed(counts, macro.count_width, macro.spec.columns),
                )
            )
            outcome.at.append(outcome.cycles)
            waited = 0
        waited += 1
        assert waited < 20000, "no product for 20,000 cycles"
        ready = int(rng.integers(100) >= stall)
        yield macro.products.ready.eq(ready)
        yield


@passive
def _watch(macro, outcome):
    while True:
        outcome.cycles += 1
        outcome.computing += yield macro.computing
        outcome.violations += (yield macro.monitor.violation) if hasattr(macro, "monitor") else 0
        yield


def _signed(word: int, width: int, columns: int) -> list[int]:
    values = [word >> width * column & (1 << width) - 1 for column in range(columns)]
    return [value - (value >> width - 1 << width) for value in values]
