"""Computes the shipped threshold tables of gateware/specs/tables.py."""

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.research.studies.operands import GAUSSIAN, UNIFORM, WIDE, Distribution, axes
from dscim.host.research.studies.points import Form, PointSet, best_points, form_of, rescaled

SEED = 3


@dataclasses.dataclass(frozen=True)
class Purpose:
    """The operands that a table is for: int8 on both axes, at an activation shift of 1.

    scaled: sums are multiplied by a gain afterwards, as requantisation does, so the gain costs
    nothing and the shift only brings it near 1.
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
"""The first entries, which are also valid for OR64: their thresholds are on its coarser grid."""

BEGINNINGS = (60, 60, 60, 60, 60, 10, 4)

SHIFTS = range(4)

GAINS = tuple(2 ** (-step / 8) for step in range(0, 28))
"""Values of a hit, relative to the other sequences, from which the search for a gain starts."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of a table. gain: the factor for sums. error: the RMS of a row with that gain.

    A mirror image has the same error; which of the two is found can depend on the machine's
    rounding.
    """

    shift: int
    points: tuple[tuple[int, int], ...]
    gain: float
    error: float


def entry(purpose: Purpose, place: int) -> Entry:
    """Computes entry `place` of a table."""
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
    """The best points of all gains.

    A free gain is also searched from each of GAINS, because its descent stays near its start.
    """
    rng = np.random.default_rng([SEED, place])
    weights, starts = np.ones(spec.samples), BEGINNINGS[place]
    unit = float(1 << spec.decode_shift)
    if not scaled:
        return min(
            (best_points(form, weights, unit / (1 << shift), starts, rng) for shift in SHIFTS),
            key=lambda found: found.error,
        )
    found = [rescaled(form, best_points(form, weights, unit * gain, starts, rng)) for gain in GAINS]
    return min(
        [best_points(form, weights, None, starts, rng), *found], key=lambda found: found.error
    )


def lines(names: Sequence[str]) -> Iterator[str]:
    """The tables as lines of Python, then the gains of scaled ones; takes minutes per table.

    UserError for a name that is not in MADE_FOR, before anything is computed.
    """
    for name in names:
        if name not in MADE_FOR:
            raise UserError(f"There is no table {name!r}; choose one of {', '.join(MADE_FOR)}.")
    gains = {}
    for name in names:
        entries = [entry(MADE_FOR[name], place) for place in range(ENTRIES)]
        yield f'    "{name}": ('
        for each in entries:
            text = ", ".join(map(str, each.points))
            yield from textwrap.wrap(
                f"({each.shift}, ({text},)),",
                90,
                initial_indent=" " * 8,
                subsequent_indent=" " * 12,
                break_on_hyphens=False,
            )
        yield "    ),"
        gains[name] = [round(each.gain, 4) for each in entries]
    for name in names:
        if MADE_FOR[name].scaled:
            yield f'    "{name}": ({", ".join(map(str, gains[name]))}),'
