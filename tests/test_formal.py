"""Proofs for all operands: the OR never collides, and both forms have the same counts.

Every proof is also run on a copy that is broken on purpose, and must fail there.
"""

import pytest
from migen import Mux, Signal

from dscim.gateware.macro import build_macro, weights
from dscim.gateware.macro.encoder import WeightEncoder
from dscim.gateware.specs import MacroSpec, SequenceSpec
from tests.formal import granules, groups, pair, prove

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

    def __init__(self, modes):
        super().__init__(modes)
        right, self.value = self.value, Signal(8)
        self.comb += self.value.eq(Mux((self.w == 0x80) & ~self.offset, 0, right))


def forms_agree(monkeypatch, array: MacroSpec, selected: MacroSpec, samples_log2, broken=False):
    """array and selected of one column over a product of one used row.

    Any row, operands, zero point, signed mode and activation shift.
    """

    def build(spec: MacroSpec):
        return build_macro(spec, spec.units)

    first = build(array)
    with monkeypatch.context() as patch:
        if broken:
            patch.setattr(weights, "WeightEncoder", Unsaturated)
        second = build(selected)
    design = pair.Pair(first, second, samples_log2)
    depth = pair.cycles(pair.Pair(build(array), build(selected), samples_log2)) + 2
    name = f"pair-{selected.or_width}-{selected.sequence.kind}-{selected.lanes}-{samples_log2}"
    return prove.prove(name, design, design.ios, pair.checker(design, depth), depth + 1).holds


def of(or_width: int, form: str, lanes: int, samples: int, sequence=COUNTER) -> MacroSpec:
    """A macro of one group and one column."""
    return MacroSpec(or_width, 1, or_width, form, lanes, sequence, samples=samples)


PAIRS = [
    (of(16, "array", 64, 4), of(16, "selected", 64, 4), 2),
    (of(16, "array", 32, 4), of(16, "selected", 64, 4), 1),
    (of(16, "array", 16, 2), of(16, "selected", 16, 2), 1),
    (of(64, "array", 64, 1), of(64, "selected", 64, 1), 0),
    (of(64, "array", 64, 2), of(64, "selected", 64, 2), 1),
    (of(16, "array", 16, 1, LFSR), of(16, "selected", 1, 1, LFSR), 0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("array", "selected", "samples_log2"), PAIRS)
def test_array_and_selected_agree(monkeypatch, array, selected, samples_log2):
    assert forms_agree(monkeypatch, array, selected, samples_log2)


@pytest.mark.slow
def test_a_weight_that_is_not_saturated_is_found(monkeypatch):
    assert not forms_agree(monkeypatch, *PAIRS[2], broken=True)


def sums_agree(slots: int, count: int, signed: bool, broken: bool = False) -> bool:
    """The sum of granules' hits is that of all AND gates, with their signs. Any operands."""
    design = granules.Granules(slots, count, signed, broken)
    return prove.prove(
        "granules", design, design.ios, granules.checker(design), design.latency + 2
    ).holds


@pytest.mark.parametrize("signed", (True, False), ids=("split", "offset"))
@pytest.mark.parametrize(("slots", "count"), [(1, 7), (1, 4), (2, 3), (4, 3)])
def test_the_sum_of_hits_is_that_of_all_gates(slots, count, signed):
    assert sums_agree(slots, count, signed)


def test_hits_with_a_wrong_sign_are_found():
    assert not sums_agree(4, 2, True, broken=True)


@pytest.mark.parametrize("or_width", (16, 64))
@pytest.mark.parametrize("odd", (0, 1))
@pytest.mark.parametrize("samples_log2", (0, 1, 2, 4, 5))
def test_thresholds_and_levels_are_those_of_the_points(or_width, odd, samples_log2):
    """For every operand and sample: in plain Python, as there are few."""
    granules.check_grid(or_width, odd, samples_log2)
