"""The designs to synthesise: those that the size model is fitted to, and those of `dscim macros`.

For each kind of macro they vary rows, columns, P, the samples that are built and the words of a
beat, so that every term of the model varies; devices vary what is around the macro.
"""

import dataclasses
from typing import Any

from dscim.gateware.specs import MacroSpec, ProductSpec, SequenceSpec
from dscim.host.fpga.fit.design import Design, device

SELECTED = (
    (1, 4, 16, None, 8),
    (2, 4, 16, None, 8),
    (1, 8, 16, None, 2),
    (1, 4, 4, None, 8),
    (2, 8, 4, 4, 8),
    (1, 4, 64, None, 2),
    (2, 8, 64, None, 8),
    (1, 8, 64, 4, 8),
    (2, 4, 64, 4, 4),
    (1, 16, 16, 1, 1),
    (4, 4, 16, 4, 4),
    (1, 16, 64, 16, 16),
)
"""Groups, columns, P, samples and words of macros `selected`."""

OTHERS = ((1, 4), (2, 4), (1, 8), (2, 8), (4, 4), (1, 16))
"""Groups and columns of other macros."""

DEVICES: tuple[dict[str, Any], ...] = (
    {"rows": 16, "columns": 4, "banks": 1, "requant_lanes": 1},
    {"rows": 32, "columns": 8, "banks": 2, "requant_lanes": 4},
    {"rows": 16, "columns": 8, "banks": 4, "requant_lanes": 8},
    {"rows": 128, "columns": 4, "banks": 4, "requant_lanes": 2},
    {"rows": 16, "columns": 16, "banks": 8, "requant_lanes": 16},
    {"rows": 64, "columns": 16, "banks": 16, "requant_lanes": 4, "weight_rows": 1024},
    {"rows": 32, "columns": 8, "banks": 2, "requant_lanes": 4, "ethernet": True},
    {"rows": 64, "columns": 16, "banks": 8, "requant_lanes": 8, "ethernet": True},
    {"rows": 16, "columns": 8, "banks": 1, "requant_lanes": 1, "depthwise": 4},
    {"rows": 16, "columns": 8, "banks": 4, "requant_lanes": 4, "depthwise": 2},
    {"rows": 16, "columns": 16, "banks": 4, "requant_lanes": 4, "depthwise": 4},
    {"rows": 32, "columns": 8, "banks": 8, "requant_lanes": 8, "depthwise": 4},
)
"""Devices with small macros."""


def wanted() -> list[Design]:
    """The designs that the model needs, those of the default boards first."""
    return [*_selected(16), *_devices(), *_selected(64), *_others(), *side_by_side()]


def _selected(width: int) -> list[Design]:
    return [
        Design(MacroSpec(groups * width, columns, width, lanes=lanes, samples=samples), words=words)
        for groups, columns, lanes, samples, words in SELECTED
    ]


def _others() -> list[Design]:
    """The other forms; with P varied where the form has more than one."""
    kinds: list[tuple[dict[str, Any], tuple[int, ...], bool]] = [
        ({"form": "exact"}, (1, 4, 16), True),
        ({"form": "exact"}, (1, 4, 16), False),
        ({"form": "array"}, (1, 4, 1), True),
        ({"form": "array", "or_width": 64}, (1, 1, 4, 1, 1, 4), True),
        ({"sequence": SequenceSpec("lfsr")}, (1,), True),
    ]
    return [
        Design(
            MacroSpec(
                groups * fields.get("or_width", 16),
                columns,
                lanes=lanes[place % len(lanes)],
                **fields,
            ),
            multipliers=multipliers,
        )
        for fields, lanes, multipliers in kinds
        for place, (groups, columns) in enumerate(OTHERS)
    ]


def _devices() -> list[Design]:
    designs = []
    for sizes in DEVICES:
        rest = {name: value for name, value in sizes.items() if name not in ("rows", "columns")}
        macro = MacroSpec(sizes["rows"], sizes["columns"], lanes=4, samples=4)
        rest = {"read_ports": 1, "activation_words": 4096, **rest}
        designs.append(device(macro, **rest))
    return designs


def side_by_side() -> list[Design]:
    """The macros of `dscim macros`, of the default size."""
    return [design for _, design, _ in contenders(128, 4)]


def contenders(rows: int, columns: int) -> list[tuple[str, Design, ProductSpec]]:
    """The macros that `dscim macros` compares: name, design and product.

    DS-CIM1 and DS-CIM2 in both forms, at the paper's longest and shortest stream, and the exact
    macro with the cycles of DS-CIM1, with and without multipliers.
    """
    one, two = ProductSpec(16, 256), ProductSpec(64, 64)
    exact = ProductSpec(16, 256, exact=True)
    integers = Design(MacroSpec(rows, columns, form="exact", lanes=4))
    return [
        (
            "DS-CIM1, selected, 64 points per cycle, L = 256",
            Design(MacroSpec(rows, columns, samples=16)),
            one,
        ),
        (
            "DS-CIM1, the paper's array, 1 point per cycle, L = 256",
            Design(MacroSpec(rows, columns, form="array", lanes=1)),
            one,
        ),
        (
            "DS-CIM2, selected, 64 points per cycle, L = 64",
            Design(MacroSpec(rows, columns, 64, samples=1)),
            two,
        ),
        (
            "DS-CIM2, the paper's array, 1 point per cycle, L = 64",
            Design(MacroSpec(rows, columns, 64, "array", 1)),
            two,
        ),
        ("exact INT8, the cycles of DS-CIM1", integers, exact),
        (
            "exact INT8, those cycles, no multipliers",
            dataclasses.replace(integers, multipliers=False),
            exact,
        ),
    ]
