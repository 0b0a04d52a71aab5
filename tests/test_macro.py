"""Every form of the macro against the contract, at full size, through Verilator."""

import numpy as np
import pytest

from dscim.gateware.macro import build_macro
from dscim.gateware.specs import MacroSpec, ProductSpec
from tests.macro_bench.jobs import Tile, expected, operands, random_tile
from tests.macro_bench.run import run_verilated, verilated

FAST = [MacroSpec(), MacroSpec(form="exact", lanes=1)]


def products(spec: MacroSpec, samples=None):
    """Every product that a macro can compute: signed modes, stream lengths, shifts 0..3."""
    exact = spec.form == "exact"
    for signed in spec.signed:
        for log2 in range(spec.side.bit_length()):
            if samples is None or 2**log2 in samples:
                for shift in range(4 if signed == "split" else 1):
                    product = ProductSpec(spec.or_width, spec.or_width << log2, spec.sequence,
                                          signed, shift, exact)
                    if spec.refusal(product) is None:
                        yield product


def agree(spec: MacroSpec, tiles, outcome):
    """The outcome is the contract's, window by window, and no monitor saw a collision."""
    want = [result for tile in tiles for result in expected(spec, tile)]
    modes = [tile.product.signed for tile in tiles for _ in tile.windows]
    assert len(outcome.products) == len(want)
    assert outcome.violations == 0
    for mode, (total, counts), (want_total, want_counts) in zip(modes, outcome.products, want,
                                                                strict=True):
        assert counts == want_counts
        assert mode != "offset" or total == want_total


def name_of(spec: MacroSpec) -> str:
    return (f"macro-{spec.form}-{spec.rows}x{spec.columns}-or{spec.or_width}"
            f"-{spec.sequence.kind}-{spec.lanes}")


def check(spec: MacroSpec, windows: int = 4):
    """All products of a macro on random and extreme operands; stalls from none to most."""
    model = verilated(build_macro(spec), name_of(spec))
    rng = np.random.default_rng(spec.hash)
    tiles = [random_tile(spec, product, windows, rng) for product in products(spec)]
    for stall in (0, 20, 70):
        agree(spec, tiles, run_verilated(model, spec, tiles, seed=7 + stall, stall=stall))
    paced(model, spec, rng)


def paced(model, spec: MacroSpec, rng):
    """Nothing stalls: products follow each other every `spec.cycles`, or as windows arrive."""
    for product in list(products(spec))[::5]:
        for rows in {8, spec.rows}:
            windows = [dict(enumerate(operands("random", (rows,), rng).tolist()))
                       for _ in range(12)]
            tile = Tile(product, -3, operands("random", (spec.rows, spec.columns), rng), windows)
            outcome = run_verilated(model, spec, [tile], seed=1, stall=0, full=True)
            agree(spec, [tile], outcome)
            assert set(np.diff(outcome.at)) == {max(spec.cycles(product), rows//8)}
            assert outcome.computing == len(windows)*spec.cycles(product)


@pytest.mark.parametrize("spec", FAST, ids=name_of)
def test_full_size(spec):
    check(spec)
