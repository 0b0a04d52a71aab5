"""Makes the tables that ship: python -m dscim.host.research.studies.tables [NAME ...]."""

import dataclasses
import sys
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.research.studies.operands import GAUSSIAN, UNIFORM, WIDE, Distribution, axes
from dscim.host.research.studies.points import Form, PointSet, best_points, form_of, rescaled

SEED = 3


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What a table is made for: int8 operands on both axes, at an activation shift of 1.

    scaled: for sums that are multiplied by a gain afterwards, as requantisation does: the gain
    is free, and the shift only brings it near 1.
    """

    operands: Distribution
    scaled: bool = False


MADE_FOR = {
    "uniform": Purpose(UNIFORM),
    "gaussian": Purpose(GAUSSIAN),
    "wide": Purpose(WIDE),
    "gaussian-scaled": Purpose(GAUSSIAN, scaled=True),
}

ENTRIES = 7
COARSE = 3
"""Entries that hold for OR64 too: their thresholds lie on its coarser grid."""

BEGINNINGS = (60, 60, 60, 60, 60, 10, 4)

SHIFTS = range(4)

GAINS = tuple(2 ** (-step / 8) for step in range(0, 28))
"""A hit's worth, in that of a hit of the other sequences, that free gains are sought from."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of a table; gain: what sums are to be multiplied by; error: rms of a row, then.

    A mirror image errs alike: which of the two is found can depend on a machine's rounding.
    """

    shift: int
    points: tuple[tuple[int, int], ...]
    gain: float
    error: float


def entry(purpose: Purpose, place: int) -> Entry:
    """Entry `place` of a table."""
    or_width = 64 if place < COARSE else 16
    spec = ProductSpec(or_width, or_width << place, SequenceSpec(), "split", 1)
    form = form_of(*axes(spec, purpose.operands), spec.side)
    found = _points(form, spec, purpose.scaled, place)
    unit = float(found.decode[0]) / (1 << spec.decode_shift)
    shift = min(SHIFTS, key=lambda shift: abs(np.log2(unit) + shift))
    scale = 256 // spec.side
    points = tuple((scale * int(p), scale * int(q)) for p, q in found.points.T)
    return Entry(shift, points, unit * (1 << shift), found.error**0.5)


def _points(form: Form, spec: ProductSpec, scaled: bool, place: int) -> PointSet:
    """The best points of all gains; a free gain is also sought from GAINS on, for a descent with
    it stays near where it begins."""
    rng = np.random.default_rng([SEED, place])
    weights, begun = np.ones(spec.samples), BEGINNINGS[place]
    unit = float(1 << spec.decode_shift)
    if not scaled:
        return min(
            (best_points(form, weights, unit / (1 << shift), begun, rng) for shift in SHIFTS),
            key=lambda found: found.error,
        )
    found = [rescaled(form, best_points(form, weights, unit * gain, begun, rng)) for gain in GAINS]
    return min(
        [best_points(form, weights, None, begun, rng), *found], key=lambda found: found.error
    )


def _lines(names: Sequence[str]) -> Iterator[str]:
    """The tables, then the gains of those that have some."""
    gains = {}
    for name in names:
        made = [entry(MADE_FOR[name], place) for place in range(ENTRIES)]
        yield f'    "{name}": ('
        for each in made:
            text = ", ".join(map(str, each.points))
            yield from textwrap.wrap(
                f"({each.shift}, ({text},)),",
                90,
                initial_indent=" " * 8,
                subsequent_indent=" " * 12,
                break_on_hyphens=False,
            )
        yield "    ),"
        gains[name] = [round(each.gain, 4) for each in made]
    for name in names:
        if MADE_FOR[name].scaled:
            yield f'    "{name}": ({", ".join(map(str, gains[name]))}),'


if __name__ == "__main__":
    for line in _lines(sys.argv[1:] or list(MADE_FOR)):
        print(line, flush=True)
