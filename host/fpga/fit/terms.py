"""The terms of the size model: what the tables of a design grow with.

Those of a macro are multiplied by factors for each kind of macro, those around it by factors for
all devices. For a `selected` macro with P points per cycle they follow its circuit: a group has P
slots in granules of g = max(1, P div G), and the bits of its weights are in distributed RAM if a
product takes several steps.
"""

import numpy as np

from dscim.arrays import Float64
from dscim.boards.memories import weight_tables
from dscim.gateware.specs import MacroSpec
from dscim.host.fpga.fit.design import Design

Kind = str

SELECTED = (
    "cells",
    "weight tables",
    "thresholds",
    "points",
    "rows",
    "words of rows",
    "words",
    "columns",
    "macro",
)
OTHER = ("cells", "weights", "rows", "columns", "macro")
ONE_POINT = ("weights", "rows", "columns", "macro")
AROUND = ("device", "columns", "requant_lanes", "banks", "units", "Ethernet")
DEPTHWISE = ("unit", "banks", "samples")
"""The names of the terms."""


def kind(design: Design) -> Kind:
    """What decides which factors apply to a macro."""
    macro = design.macro
    words = f"{macro.form}, G = {macro.or_width}, {macro.sequence.kind}"
    return words if design.multipliers else f"{words}, no multipliers"


def names(design: Design) -> tuple[str, ...]:
    """The names of a macro's terms."""
    if _has_slots(design.macro):
        return SELECTED
    return ONE_POINT if design.macro.form == "selected" else OTHER


def inside(design: Design) -> Float64:
    """The terms of a macro.

    cells: points of all columns per cycle. weight tables: those of the distributed RAM.
    thresholds: bits of a row of weights that are compared at once. points: points per cycle. words
    of rows: the words that each row of the window chooses from. words: those that are encoded.
    """
    macro = design.macro
    cells = macro.groups * macro.lanes * macro.columns
    if not _has_slots(macro):
        values = [cells, macro.rows * macro.columns, macro.rows, macro.columns, 1]
        return np.array(values[len(OTHER) - len(names(design)) :], np.float64)
    granule = max(1, macro.lanes // macro.or_width)
    slots = min(macro.lanes, max(granule, macro.max_samples))
    return np.array(
        [
            cells,
            weight_tables(macro),
            slots * macro.columns,
            macro.groups * macro.lanes,
            macro.rows,
            macro.rows * design.words,
            design.words,
            macro.columns,
            1,
        ],
        np.float64,
    )


def around(design: Design) -> Float64:
    """The terms around the macro: the engine, its requantiser, memories and links."""
    assert design.device is not None
    spec = design.device
    return np.array(
        [1, spec.macro.columns, spec.requant_lanes, spec.banks, spec.macro.units, design.ethernet],
        np.float64,
    )


def depthwise(design: Design) -> Float64:
    """The terms of the depthwise unit; 0 without it.

    banks: words that are multiplied per cycle. samples: those of a word's products, per cycle.
    """
    assert design.device is not None
    spec = design.device
    built = spec.depthwise > 0
    return np.array([built, built * spec.banks, spec.depthwise * spec.banks], np.float64)


def macro_multipliers(design: Design) -> int:
    """Multipliers of the macros: exact ones have one for each row of a cycle and column."""
    if not design.multipliers:
        return 0
    return sum(
        macro.groups * macro.lanes * macro.columns
        for macro in design.macros
        if macro.form == "exact"
    )


def _has_slots(macro: MacroSpec) -> bool:
    return macro.form == "selected" and not macro.ordered
