"""Every form of the macro compared with the contract, with random stalls, small and full size."""

import dataclasses

import numpy as np
import pytest

from dscim.gateware.macro import build_macro
from dscim.gateware.macro.array import Array, ExclusiveRows, OrGroup
from dscim.gateware.specs import MacroSpec, ProductSpec, SequenceSpec
from dscim.host.golden.reference import contract
from tests.macro_bench.jobs import Beat, Tile, random_tile
from tests.macro_bench.migen_run import run_migen
from tests.macro_bench.run import run_verilated, verilated
from tests.tables import random_table

LFSR = SequenceSpec("lfsr")
OTHER_LFSR = SequenceSpec("lfsr", (0x8E, 0xFA), (56, 201))
TABLE = random_table(5)
LONG_TABLE = random_table(7, seed=1)

SMALL = [
    MacroSpec(16, 1, samples=4),
    MacroSpec(64, 1, 64, samples=1, signed=("split",)),
    MacroSpec(16, 1, lanes=16, samples=16),
    MacroSpec(16, 1, lanes=1, samples=1, sequence=LFSR),
    MacroSpec(16, 1, form="array", lanes=16, samples=4),
    MacroSpec(16, 2, form="exact", lanes=4),
]
VERILATED = [
    MacroSpec(32, 2),
    MacroSpec(64, 2, 64),
    MacroSpec(16, 2, lanes=4),
    MacroSpec(48, 2, sequence=TABLE),
]
SMALL_SLOW = [
    *[MacroSpec(48, 2, lanes=lanes) for lanes in (1, 2, 8, 16, 32)],
    *[MacroSpec(64, 2, 64, lanes=lanes) for lanes in (1, 2, 4, 8, 16, 32)],
    MacroSpec(32, 2, samples=2),
    MacroSpec(32, 2, samples=8),
    MacroSpec(32, 2, lanes=32, samples=2),
    MacroSpec(32, 2, signed=("offset",)),
    MacroSpec(64, 2, 64, signed=("split",), samples=4),
    MacroSpec(64, 2, 64, signed=("offset",), samples=4),
    MacroSpec(48, 2, lanes=8, signed=("split",)),
    MacroSpec(32, 2, lanes=64, sequence=LONG_TABLE),
    MacroSpec(64, 2, 64, lanes=4, sequence=TABLE),
    MacroSpec(16, 2, lanes=1, sequence=LONG_TABLE),
    MacroSpec(16, 2, sequence=random_table(3)),
    MacroSpec(32, 2, form="array", lanes=4),
    MacroSpec(64, 2, 64, form="array", lanes=64, sequence=OTHER_LFSR),
    MacroSpec(16, 2, form="array", lanes=64, signed=("split",)),
    MacroSpec(16, 2, form="array", lanes=1, sequence=LONG_TABLE, signed=("offset",)),
    MacroSpec(64, 2, 64, lanes=1, sequence=OTHER_LFSR),
    MacroSpec(32, 2, lanes=1, sequence=LFSR, signed=("split",)),
    *[MacroSpec(64, 2, 64, form="exact", lanes=lanes) for lanes in (1, 8, 64)],
]
FULL = [MacroSpec(samples=4, signed=("split",))]
SLOW = [
    MacroSpec(),
    MacroSpec(144, 16),
    MacroSpec(or_width=64, samples=1),
    MacroSpec(or_width=64),
    MacroSpec(samples=16),
    MacroSpec(lanes=8),
    MacroSpec(lanes=1, sequence=LFSR),
    MacroSpec(form="exact", lanes=1),
    MacroSpec(144, 16, form="exact", lanes=4),
    MacroSpec(128, 4, form="array", lanes=16),
    MacroSpec(128, 4, 64, form="array", lanes=64, sequence=OTHER_LFSR),
]


def name_of(spec: MacroSpec) -> str:
    """A spec in a test's and a model's name."""
    return (
        f"macro-{spec.form}-{spec.rows}x{spec.columns}-or{spec.or_width}"
        f"-{spec.sequence.kind}{len(spec.sequence.table) or ''}-{spec.lanes}"
        f"-n{spec.max_samples}{'' if len(spec.signed) == 2 else spec.signed[0]}"
    )


def watched(spec: MacroSpec, words: int):
    """The macro, with a monitor if it is an array."""
    macro = build_macro(spec, words)
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


def agree(tiles, outcome):
    """The products equal the contract's, window by window, and no monitor saw a collision."""
    offset = [
        tile.product.signed == "offset" and not tile.product.exact
        for tile in tiles
        for _ in tile.windows
    ]
    wanted = [result for tile in tiles for result in tile.expected()]
    assert len(outcome.products) == len(wanted)
    assert outcome.violations == 0
    for summed, (total, counts), (want_total, want_counts) in zip(
        offset, outcome.products, wanted, strict=True
    ):
        assert counts == want_counts
        assert not summed or total == want_total


@pytest.mark.parametrize("spec", [SMALL[0], SMALL[1], SMALL[4]], ids=name_of)
def test_the_expected_counts_are_those_of_the_contract(spec):
    rng = np.random.default_rng(2)
    for product in products(spec):
        tile = random_tile(spec, 2, product, 3, rng, fast=True)
        tile = dataclasses.replace(tile, regions=np.arange(spec.rows) % spec.or_width)
        counts = contract.counts(tile.x, tile.weights, product, tile.zero_point)
        assert [row for _, row in tile.expected()] == counts.tolist()


@pytest.mark.parametrize("spec", SMALL, ids=name_of)
def test_small_macro_in_migen(spec):
    rng = np.random.default_rng(spec.hash)
    chosen = [product for product in products(spec) if spec.cycles(product) <= 64]
    picks = rng.choice(len(chosen), min(4, len(chosen)), replace=False)
    tiles = [random_tile(spec, 2, chosen[k], 3, rng) for k in picks]
    agree(tiles, run_migen(watched(spec, 2), tiles, seed=5, stall=30))


def test_the_monitor_sees_a_row_that_shares_its_region():
    spec = MacroSpec(16, 1, form="array", samples=4)
    macro = build_macro(spec, 2)
    shared = OrGroup([macro.groups[0].rows[5]] * 2)  # two rows of one region fire together
    macro.submodules += shared
    macro.monitor = ExclusiveRows([shared], macro.computing)
    high = np.full((2, 8), 127, np.int8)
    beat = Beat(0, {0: 0, 1: 1}, high, (8, 8), last=True, final=True)
    rows = np.arange(16)
    tile = Tile(
        ProductSpec(length=64), 0, np.full((16, 1), 127, np.int8), rows, rows, [[beat]], high, [0]
    )
    assert run_migen(macro, [tile], seed=1, stall=0).violations > 0


def check(spec: MacroSpec, windows: int, words: int = 8, stalls=(0, 20, 70)):
    """All products of a macro on random and extreme operands; few to many stalls."""
    model = verilated(watched(spec, words), f"{name_of(spec)}-{words}")
    rng = np.random.default_rng(spec.hash)
    tiles = [random_tile(spec, words, product, windows, rng) for product in products(spec)]
    tiles = [tiles[k] for k in rng.permutation(len(tiles))]
    for stall in stalls:
        agree(tiles, run_verilated(model, tiles, words, seed=7 + stall, stall=stall))
    for product in list(products(spec))[::5]:
        check_pace(model, spec, words, product, rng)


def check_pace(model, spec: MacroSpec, words: int, product: ProductSpec, rng):
    """Without stalls a product starts every `spec.cycles`, if each window is one beat."""
    tile = random_tile(spec, words, product, 24, rng, fast=True)
    outcome = run_verilated(model, [tile], words, seed=1, stall=0)
    agree([tile], outcome)
    assert set(np.diff(outcome.at)) == {spec.cycles(product)}
    assert outcome.computing == len(tile.windows) * spec.cycles(product)


@pytest.mark.parametrize("spec", VERILATED, ids=name_of)
def test_small_macro(spec):
    check(spec, windows=4, words=2)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SMALL_SLOW, ids=name_of)
def test_more_small_macros(spec):
    check(spec, windows=6, words=1 if spec.rows == 48 else 4)


@pytest.mark.parametrize("spec", FULL, ids=name_of)
def test_full_size(spec):
    check(spec, windows=40)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SLOW, ids=name_of)
def test_full_size_of_every_form(spec):
    check(spec, windows=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec", [MacroSpec(samples=4, signed=("split",)), MacroSpec(144, 16, samples=4)], ids=name_of
)
def test_a_million_products(spec):
    model = verilated(watched(spec, 8), f"{name_of(spec)}-8")
    rng = np.random.default_rng(11)
    every = list(products(spec))
    for part in range(20):
        picks = rng.choice(len(every), 16)
        tiles = [random_tile(spec, 8, every[k], 3200, rng, fast=True) for k in picks]
        agree(tiles, run_verilated(model, tiles, 8, seed=part, stall=0))
