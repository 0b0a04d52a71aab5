"""Every form of the macro compared with the contract, with random stalls, small and full size."""

import numpy as np
import pytest

from dscim.gateware.macro import build_macro
from dscim.gateware.macro.array import Array, ExclusiveRows, OrGroup
from dscim.gateware.macro.exact import ExactParallel
from dscim.gateware.specs import MacroSpec, ProductSpec, SequenceSpec
from tests.macro_bench.jobs import Tile, expected, operands, random_tile
from tests.macro_bench.migen_run import run_migen
from tests.macro_bench.run import run_verilated, verilated
from tests.tables import random_table

LFSR = SequenceSpec("lfsr")
OTHER_LFSR = SequenceSpec("lfsr", (0x8E, 0xFA), (56, 201))
TABLE = random_table(5)
LONG_TABLE = random_table(7, seed=1)

SMALL = [
    MacroSpec(16, 1),
    MacroSpec(64, 1, 64, lanes=4),
    MacroSpec(32, 2, lanes=1, sequence=LFSR),
    MacroSpec(16, 1, form="array", sequence=LFSR),
    MacroSpec(16, 2, form="exact", lanes=1),
    MacroSpec(16, 2, form="array", lanes=64, signed=("split",)),
    MacroSpec(32, 2, sequence=TABLE),
    MacroSpec(64, 1, 64, lanes=4, sequence=TABLE),
]
SMALL_SLOW = [
    MacroSpec(32, 2, lanes=2),
    MacroSpec(32, 2, lanes=64),
    MacroSpec(64, 1, 64, lanes=32),
    MacroSpec(16, 1, lanes=1),
    MacroSpec(64, 1, 64, lanes=1, sequence=OTHER_LFSR),
    MacroSpec(16, 1, form="array", lanes=64),
    MacroSpec(32, 2, form="array", lanes=4),
    MacroSpec(64, 1, 64, form="array", lanes=64, sequence=OTHER_LFSR),
    MacroSpec(64, 2, 64, form="exact", lanes=1),
    MacroSpec(16, 2, signed=("offset",)),
    MacroSpec(16, 1, lanes=32, sequence=LONG_TABLE),
    MacroSpec(16, 1, lanes=1, sequence=LONG_TABLE),
    MacroSpec(64, 1, 64, form="array", lanes=16, sequence=LONG_TABLE),
    MacroSpec(16, 1, lanes=8, sequence=TABLE),
]
FULL = [MacroSpec(), MacroSpec(form="exact", lanes=1)]
SLOW = [
    MacroSpec(or_width=64, lanes=4),
    MacroSpec(or_width=64, lanes=32),
    MacroSpec(lanes=64),
    MacroSpec(lanes=4),
    MacroSpec(lanes=1),
    MacroSpec(lanes=1, sequence=LFSR),
    MacroSpec(or_width=64, lanes=1),
    MacroSpec(or_width=64, lanes=1, sequence=OTHER_LFSR),
    MacroSpec(or_width=64, form="exact", lanes=1),
    MacroSpec(sequence=TABLE),
    MacroSpec(or_width=64, lanes=4, sequence=TABLE),
    MacroSpec(lanes=1, sequence=LONG_TABLE),
    MacroSpec(128, 4, 16, "array", 64, LONG_TABLE),
    *[
        MacroSpec(128, columns, or_width, "array", lanes, sequence)
        for columns, lanes in ((32, 1), (32, 4), (4, 16), (4, 64))
        for or_width, sequence in (
            (16, SequenceSpec()),
            (16, LFSR),
            (64, SequenceSpec()),
            (64, OTHER_LFSR),
        )
    ],
]


def name_of(spec: MacroSpec) -> str:
    """A spec in a test's and a model's name."""
    return (
        f"macro-{spec.form}-{spec.rows}x{spec.columns}-or{spec.or_width}"
        f"-{spec.sequence.kind}-{spec.lanes}{'' if len(spec.signed) == 2 else spec.signed[0]}"
    )


def watched(spec: MacroSpec):
    """The macro, with a monitor if it is an array."""
    macro = build_macro(spec)
    if isinstance(macro, Array):
        macro.monitor = ExclusiveRows(macro.groups, macro.computing)
    return macro


def products(spec: MacroSpec):
    """Every product that a macro can compute: signed modes, stream lengths, shifts 0..3."""
    exact = spec.form == "exact"
    for signed in spec.signed:
        for log2 in range(spec.max_samples.bit_length()):
            for shift in range(4 if signed == "split" else 1):
                product = ProductSpec(
                    spec.or_width, spec.or_width << log2, spec.sequence, signed, shift, exact
                )
                if spec.rejection(product) is None:
                    yield product


def agree(tiles, want, outcome):
    """The products equal the contract's, window by window, and no monitor saw a collision."""
    modes = [tile.product.signed for tile in tiles for _ in tile.windows]
    assert len(outcome.products) == len(want)
    assert outcome.violations == 0
    for mode, (total, counts), (want_total, want_counts) in zip(
        modes, outcome.products, want, strict=True
    ):
        assert counts == want_counts
        assert mode != "offset" or total == want_total


def contract(spec, tiles):
    """The expected products, as a flat list."""
    return [result for tile in tiles for result in expected(spec, tile)]


def check_small(spec: MacroSpec):
    """A few products in Migen's simulator, all streams stalled."""
    rng = np.random.default_rng(spec.hash)
    chosen = [
        product for product in products(spec) if spec.cycles(product) <= 64
    ]  # long streams are for Verilator
    picks = rng.choice(len(chosen), min(3, len(chosen)), replace=False)
    tiles = [random_tile(spec, chosen[k], 3, rng) for k in picks]
    agree(tiles, contract(spec, tiles), run_migen(watched(spec), tiles, seed=5, stall=30))


@pytest.mark.parametrize("spec", SMALL, ids=name_of)
def test_small_macro_in_migen(spec):
    check_small(spec)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SMALL_SLOW, ids=name_of)
def test_more_small_macros_in_migen(spec):
    check_small(spec)


def test_the_monitor_sees_a_row_that_shares_its_region():
    spec = MacroSpec(16, 1, form="array")
    macro = build_macro(spec)
    shared = OrGroup([macro.groups[0].rows[5]] * 2)  # two rows of one region fire together
    macro.submodules += shared
    macro.monitor = ExclusiveRows([shared], macro.computing)
    product = ProductSpec(length=64)
    tile = Tile(product, 0, np.full((16, 1), 127, np.int8), [dict.fromkeys(range(16), 127)])
    assert run_migen(macro, [tile], seed=1, stall=0).violations > 0


def test_exact_parallel():
    spec = MacroSpec(16, 2, form="exact", lanes=1)
    rng = np.random.default_rng(3)
    tiles = [random_tile(spec, ProductSpec(exact=True), 8, rng) for _ in range(3)]
    agree(tiles, contract(spec, tiles), run_migen(ExactParallel(spec), tiles, seed=2, stall=30))


def check(spec: MacroSpec, windows: int):
    """All products of a macro on random and extreme operands; few to many stalls."""
    model = verilated(watched(spec), name_of(spec))
    rng = np.random.default_rng(spec.hash)
    tiles = [random_tile(spec, product, windows, rng) for product in products(spec)]
    want = contract(spec, tiles)
    for stall in (0, 20, 70):
        agree(tiles, want, run_verilated(model, spec, tiles, seed=7 + stall, stall=stall))
    for product in list(products(spec))[::7]:
        check_pace(model, spec, product, rng)


def check_pace(model, spec: MacroSpec, product: ProductSpec, rng):
    """Without stalls, a product starts every `spec.cycles`, or as windows arrive."""
    for rows in (8, spec.rows):
        windows = [dict(enumerate(operands("random", (rows,), rng).tolist())) for _ in range(12)]
        tile = Tile(product, -3, operands("random", (spec.rows, spec.columns), rng), windows)
        outcome = run_verilated(model, spec, [tile], seed=1, stall=0, full=True)
        agree([tile], contract(spec, [tile]), outcome)
        assert set(np.diff(outcome.at)) == {max(spec.cycles(product), rows // 8)}
        assert outcome.computing == len(windows) * spec.cycles(product)


@pytest.mark.parametrize("spec", FULL, ids=name_of)
def test_full_size(spec):
    check(spec, windows=4)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SLOW, ids=name_of)
def test_full_size_of_every_form(spec):
    check(spec, windows=2)
