"""Study `area`: a macro of 128 x 32 in gates, by its parts."""

import dataclasses
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from dscim.cache import digest
from dscim.errors import UserError
from dscim.host.research.studies.study import (
    Cell,
    Column,
    Inputs,
    Published,
    Row,
    Rows,
    Study,
    yosys,
)

ROWS, COLUMNS, LENGTH = 128, 32, 256
COPIES = ((1, 4), (1, 2, 4, 8, 16, 32, 64))
SRAM = 6
"""Transistors per bit of memory, which are assumed, not counted."""

PARTS = (
    "generator",
    "activation SNG",
    "weight SNG",
    "AND/OR",
    "counters",
    "multipliers",
    "adders",
    "memory",
)


def cells(quick: bool, library: Path | None = None) -> list[Cell]:
    """Both variants over the copies, with free and with fixed points; the exact macros."""
    copies = COPIES[0 if quick else 1]
    tools = f", Yosys {yosys('area')}"
    if library is not None:
        tools += f", {digest([library.read_bytes()])}"
    found = [
        Cell(
            f"DS-CIM, G = {or_width}, {count} copies{tools}",
            partial(_array, library, or_width, count),
        )
        for or_width in (16, 64)
        for count in copies
    ]
    found += [
        Cell(f"DS-CIM, G = {or_width}, fixed points{tools}", partial(_fixed, library, or_width))
        for or_width in (16, 64)
    ]
    return [
        *found,
        Cell(f"exact{tools}", partial(_exact, library)),
        Cell(f"exact, bit-serial{tools}", partial(_serial, library)),
    ]


@cache
def _size(library: Path | None, part: str, *arguments: int) -> float:
    """Transistors of a part of `dscim.host.fpga.cells.components`, or its area in a library."""
    from dscim.host.fpga.cells import components  # noqa: PLC0415 - Migen, slow to import

    made = getattr(components, part)(*arguments)
    try:
        if library is None:
            return components.transistors(made)
        return components.library_area(made, library)
    except ValueError as error:
        raise UserError(
            f"Yosys cannot map to '{library}': {error} The file must have a flip-flop, "
            "a buffer, an inverter, a NAND and a NOR."
        ) from error


def _transistor(library: Path | None) -> float:
    """The area of a transistor: 1, or a quarter of the library's NAND."""
    return 1.0 if library is None else _size(library, "Nand") / 4


def _row(
    library: Path | None,
    design: str,
    or_width: int | None,
    copies: int,
    cycles: float,
    points: str,
    **parts: float,
) -> Row:
    """A row of the table. parts: areas for the whole macro, without memory, by the names of PARTS.

    The names have underscores instead of spaces and slashes.
    """
    named = {name: round(parts.get(name.replace(" ", "_").replace("/", "_"), 0)) for name in PARTS}
    named["memory"] = round(SRAM * 8 * ROWS * COLUMNS * _transistor(library))
    total = sum(named.values())
    return {
        "design": design,
        "or_width": or_width,
        "copies": copies,
        "points": points,
        "cycles": cycles,
        "total": total,
        "logic": total - named["memory"],
        "per_product_rate": total * cycles / (ROWS * COLUMNS),
        "yosys": yosys("area"),
        "unit": "transistors" if library is None else f"area of {library.name}",
        **named,
    }


def _array(library: Path | None, or_width: int, copies: int) -> Iterator[Row]:
    """The paper's circuit: every row and cell compares P points per cycle; any sequence."""
    lanes = min(copies, 4)
    scale = copies / lanes
    groups = ROWS // or_width
    size = partial(_size, library)
    comparator = scale * size("Comparator", or_width, lanes)
    yield _row(
        library,
        _name(or_width),
        or_width,
        copies,
        LENGTH / copies,
        "any",
        generator=size("Generator", or_width, copies),
        activation_SNG=ROWS * comparator,
        weight_SNG=ROWS * COLUMNS * comparator,
        AND_OR=groups * COLUMNS * scale * size("Gates", or_width, lanes),
        counters=COLUMNS * size("Counter", groups, copies),
    )


def _fixed(library: Path | None, or_width: int) -> Iterator[Row]:
    """64 copies whose 64 points are known (counter, table; L = 64).

    Each row has only the n points of its own region, where no other row can fire, so an OR tree is
    only wires.
    """
    copies = 64
    samples, groups = copies // or_width, ROWS // or_width
    comparator = _size(library, "FixedComparators", or_width, samples)
    gates = 3 * 6 * ROWS * COLUMNS * samples * _transistor(library)  # AND, one per sign
    yield _row(
        library,
        _name(or_width),
        or_width,
        copies,
        1,
        "fixed",
        activation_SNG=ROWS * comparator,
        weight_SNG=ROWS * COLUMNS * comparator,
        AND_OR=gates,
        counters=COLUMNS * _size(library, "Counter", groups, copies),
    )


def _exact(library: Path | None) -> Iterator[Row]:
    """A multiplier for every cell and an adder tree for every column."""
    yield _row(
        library,
        "exact INT8, parallel",
        None,
        1,
        1,
        "-",
        multipliers=ROWS * COLUMNS * _size(library, "Multiplier"),
        adders=COLUMNS * _tree(library, 16),
    )


def _serial(library: Path | None) -> Iterator[Row]:
    """One bit of every activation per cycle: AND gates, an adder tree, shift and add."""
    yield _row(
        library,
        "exact INT8, bit-serial",
        None,
        1,
        8,
        "-",
        multipliers=6 * 8 * ROWS * COLUMNS * _transistor(library),
        adders=COLUMNS * (_tree(library, 8) + _size(library, "SerialAccumulator", 15)),
    )


def _tree(library: Path | None, width: int) -> float:
    """A column's tree of 128 terms: eight trees of 16, and one of their 8 sums."""
    return 8 * _size(library, "AdderTree", 16, width) + _size(library, "AdderTree", 8, width + 4)


def _name(or_width: int) -> str:
    return f"DS-CIM{1 if or_width == 16 else 2}"


def adapted(inputs: Inputs) -> Study:
    """The study in cells of the Liberty file, if there is one."""
    return dataclasses.replace(STUDY, cells=partial(cells, library=inputs.liberty))


def figure(drawing: Any, rows: Rows) -> None:
    """Area over the copies, relative to one copy; parts of each design."""
    left, right = drawing.subplots(1, 2)
    for style, design in (("C0-o", "DS-CIM1"), ("C1-s", "DS-CIM2")):
        mine = [row for row in rows if row["design"] == design and row["points"] == "any"]
        left.plot(
            [row["copies"] for row in mine],
            [row["total"] / mine[0]["total"] for row in mine],
            style,
            label=design,
        )
        for row in rows:
            if row["design"] == design and row["points"] != "any":
                left.plot(
                    row["copies"],
                    row["total"] / mine[0]["total"],
                    style[:2] + "^",
                    markersize=9,
                    label=f"{design}, fixed points, L = 64",
                )
    left.plot((1, 64), (1, 2), "k:", label="1x more for 64 copies")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="copies",
        ylabel="area relative to one copy",
        xticks=(1, 4, 16, 64),
        xticklabels=("1", "4", "16", "64"),
        yticks=(1, 2, 4, 8, 16, 32),
        yticklabels=("1", "2", "4", "8", "16", "32"),
    )
    left.minorticks_off()
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    names = [
        f"{row['design']}, {row['copies']}{'' if row['points'] == 'any' else ' fixed'}"
        if row["or_width"]
        else row["design"]
        for row in rows
    ]
    bottom = [0.0] * len(rows)
    for part in PARTS:
        right.barh(names, [row[part] / 1e6 for row in rows], left=bottom, label=part)
        bottom = [low + row[part] / 1e6 for low, row in zip(bottom, rows, strict=True)]
    right.set(
        xlabel="million transistors (estimate)"
        if rows[0]["unit"] == "transistors"
        else f"million of {rows[0]['unit']}"
    )
    right.tick_params(labelsize=7)
    drawing.legend(
        *right.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7
    )


STUDY = Study(
    name="area",
    title="One macro in gates",
    question="128 rows, 32 columns, L = 256: transistors as Yosys estimates them for static CMOS "
    "gates and flip-flops, part by part. A part is synthesised once and counted as often "
    "as the macro contains it; memory is modelled as six transistors per bit. Layout, wires "
    "and sizing are not modelled, so only relative figures count. Area per product rate: "
    "transistors times cycles over 128 x 32. With fixed points (counter or table, L = 64) "
    "each row needs only the comparators of its own region, and the OR trees are only wires. "
    "With `--liberty`, areas of that library's cells replace transistors, and a bit of memory "
    "has the area of one and a half of its NANDs.",
    published=(Published("copies for about 1x more area", 64, "copies"),),
    minutes=(1.5, 8),
    seeds={},
    needs=partial(yosys, "area"),
    columns=(
        Column("design", "design"),
        Column("copies", "copies"),
        Column("points", "points"),
        Column("cycles", "cycles", "g"),
        *(Column(part, part, ",") for part in PARTS),
        Column("total", "total", ","),
        Column("per_product_rate", "per product rate", ",.0f"),
    ),
    cells=cells,
    figure=figure,
    adapted=adapted,
)
