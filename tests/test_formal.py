"""Proofs for all operands: the OR never collides, and both forms have the same counts.

Every proof is also run on a copy that is broken on purpose, and must fail there.
"""

import pytest
from migen import Mux, Signal

from dscim.gateware.macro import build_macro, point
from dscim.gateware.macro.encoder import WeightEncoder
from dscim.gateware.specs import MacroSpec, SequenceSpec
from tests.formal import groups, pair, prove, region

pytestmark = pytest.mark.skipif(prove.missing() is not None, reason=str(prove.missing()))

LFSR, COUNTER = SequenceSpec("lfsr"), SequenceSpec("counter")
OR16 = MacroSpec(rows=16, columns=2, form="array", lanes=2)
OR64 = MacroSpec(rows=64, columns=1, or_width=64, form="array", lanes=1)


def one_row_fires(spec: MacroSpec, shared: bool = False) -> bool:
    """For any point of [0, 256)^2, so for any sequence, and any operands and signs."""
    design = groups.FreeGroups(spec, shared)
    return prove.prove("groups", design, design.ios, groups.checker(spec), depth=1).holds


@pytest.mark.parametrize("spec", (OR16, OR64), ids=("or16", "or64"))
def test_at_most_one_row_fires_and_or_is_the_sum(spec):
    assert one_row_fires(spec)


def test_two_rows_in_one_region_collide():
    assert not one_row_fires(OR16, shared=True)


class Unsaturated(WeightEncoder):
    """w = -128 in split mode becomes 0: a fault that only one operand in 256 shows."""

    def __init__(self, config, modes):
        super().__init__(config, modes)
        right, self.value = self.value, Signal(8)
        self.comb += self.value.eq(Mux((self.w == 0x80) & ~config.offset, 0, right))


def forms_agree(monkeypatch, sequence: SequenceSpec, broken: bool = False) -> bool:
    """array and selected of 16 rows x 1 column, one point per cycle, over a product of L = 16.

    Any operands, zero point, signed mode and activation shift.
    """

    def build(form: str):
        return build_macro(MacroSpec(16, 1, 16, form, 1, sequence))

    array = build("array")
    with monkeypatch.context() as patch:
        if broken:
            patch.setattr(point, "WeightEncoder", Unsaturated)
        selected = build("selected")
    design = pair.Pair(array, selected, samples_log2=0, later=1)
    depth = pair.cycles(pair.Pair(build("array"), build("selected"), samples_log2=0)) + 2
    return prove.prove(
        f"pair-{sequence.kind}", design, design.ios, pair.checker(design, depth), depth + 1
    ).holds


@pytest.mark.slow
@pytest.mark.parametrize("sequence", (LFSR, COUNTER), ids=lambda sequence: sequence.kind)
def test_array_and_selected_agree_point_by_point(monkeypatch, sequence):
    assert forms_agree(monkeypatch, sequence)
    assert not forms_agree(monkeypatch, sequence, broken=True)


def samples_count(or_width: int, lanes: int, parity: bool = True) -> bool:
    """P samples of a region at once are the sum of the same samples one by one.

    Any region, chunk of P samples, n from 1 to S, operands and signs. A product is the sum of
    its steps, and the sequencer's steps are each region and chunk once (which is simulated).
    """
    design = region.Region(MacroSpec(or_width, 1, or_width, "selected", lanes), parity)
    return prove.prove(
        "region", design, design.ios, region.checker(design), region.SETTLED + 2
    ).holds


@pytest.mark.parametrize(
    ("or_width", "lanes"),
    [(16, 2), (16, 4), (16, 16), (64, 4), (64, 32), pytest.param(16, 64, marks=pytest.mark.slow)],
)
def test_samples_at_once_are_the_sum_of_samples(or_width, lanes):
    assert samples_count(or_width, lanes)


def test_samples_without_the_complement_of_odd_regions_differ():
    assert not samples_count(16, 16, parity=False)
