"""Sizes and speeds of designs, measured with Yosys and nextpnr, without a bitstream.

`dscim dev sizes` and `dscim dev placed` add to the tables that ship (host/fpga/fit/*.json);
`dscim dev area` and `dscim dev link-area` print the cells of macros and of the link.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dscim.errors import UserError
from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, argument, option, switch
from dscim.host.fpga.cells.contenders import compared
from dscim.host.fpga.fit.alone import place, read_placed, write_placed
from dscim.host.fpga.fit.measure import synthesise
from dscim.host.fpga.fit.measured import Measured
from dscim.host.fpga.fit.store import read_table, write_table
from dscim.host.fpga.fit.wanted import contenders, wanted

AREA_COLUMNS = ("macro", ">LUT4", ">FF", ">multipliers", ">LUT4 per product and cycle")
LINK_COLUMNS = ("link", ">LUT4 eq.", ">FF", ">block RAM")


@dataclass(frozen=True, kw_only=True)
class SizesOptions(ReportOptions):
    """The options of `dscim dev sizes`."""

    list: bool = switch("print the table and exit")
    only: str = option(
        "WORDS", "synthesise only designs with these words in their name", default=""
    )
    again: bool = switch("also synthesise designs that are already in the table")


def sizes(options: SizesOptions) -> int:
    """Synthesises what is missing, smallest first; can be stopped and resumed at any time."""
    report, rows = report_of(options), read_table()
    if options.list:
        for row in rows:
            report.say(_size(row))
        report.say(f"{len(rows)} of {len(wanted())} designs are measured.")
        missing = []
    else:
        missing = [
            design
            for design in wanted()
            if options.only in design.name
            and (options.again or all(row.design != design for row in rows))
        ]
    with report.progress() as step:
        for done, design in enumerate(missing, 1):
            row = synthesise(design)
            rows = [*(one for one in rows if one.design != design), row]
            write_table(rows)
            report.say(_size(row))
            step("designs", done, len(missing))
    save_json(
        options.json,
        [{"name": row.design.name, "lut4": row.lut4, "cells": row.cells} for row in rows],
    )
    return 0


def _size(row: Measured) -> str:
    return (
        f"{row.design.name:76}{row.lut4:7} LUT4 {row.flip_flops:6} FF {row.block_ram:4} "
        f"block RAM {row.multipliers:3} multipliers, {row.seconds:.0f} s"
    )


@dataclass(frozen=True, kw_only=True)
class PlacedOptions(ReportOptions):
    """The options of `dscim dev placed`."""

    rows: int = option("R", "rows of the macros", default=128)
    columns: int = option("C", "columns of the macros", default=4)
    only: str = option("WORDS", "place only macros with these words in their name", default="")


def placed(options: PlacedOptions) -> int:
    """Places and routes, one by one, the macros that are missing from the table."""
    report, rows = report_of(options), read_placed()
    missing = [
        (name, design)
        for name, design, _ in contenders(options.rows, options.columns)
        if options.only in name and all(row.design != design for row in rows)
    ]
    with report.progress() as step:
        for name, design in missing:
            rows.append(place(design, report.detail, step))
            write_placed(rows)
            report.say(f"{name}: {rows[-1].megahertz} MHz")
    if not missing:
        report.say("No macro is missing from the table.")
    save_json(options.json, [{"name": row.design.name, "megahertz": row.megahertz} for row in rows])
    return 0


@dataclass(frozen=True, kw_only=True)
class AreaOptions(ReportOptions):
    """The options of `dscim dev area`."""

    names: Sequence[str] = argument(
        "WORDS", "only macros with these words in their name (default: all)", nargs="*", default=()
    )
    write: bool = switch("write the sizes to the table of `dscim macros`")


def area(options: AreaOptions) -> int:
    """Prints the sizes of the macros of `dscim macros`, measured with a few columns."""
    report = report_of(options)
    chosen = [
        contender
        for contender in compared()
        if not options.names or any(words in contender.name for words in options.names)
    ]
    if not chosen:
        raise UserError(
            f"No macro has {options.names[0]!r} in its name; `dscim macros` lists the names."
        )
    from dscim.host.fpga.cells.area import add_to_table, measure  # noqa: PLC0415 - Migen is slow

    rows = []
    with report.progress() as step:
        for done, contender in enumerate(chosen, 1):
            row = measure(contender)
            rows.append(row)
            if options.write:
                add_to_table([row])
            step("macros", done, len(chosen))
    report.table(
        AREA_COLUMNS,
        [
            [
                contender.name,
                *[f"{row[key]}" for key in ("lut4", "flip_flops", "multipliers")],
                f"{row['lut4'] / contender.products_per_cycle:.1f}",
            ]
            for contender, row in zip(chosen, rows, strict=True)
        ],
    )
    report.say("Macros of 128 x 32, extrapolated from a few columns.")
    save_json(options.json, rows)
    return 0


def link_area(options: ReportOptions) -> int:
    """Prints the size of the link, with and without Ethernet."""
    report = report_of(options)
    from dscim.host.fpga.cells.area import cells, lut4_equivalents  # noqa: PLC0415 - Migen
    from dscim.host.fpga.cells.link_area import link_verilog  # noqa: PLC0415

    rows = []
    with report.progress() as step:
        for done, (name, ethernet) in enumerate((("UART", False), ("UART, Ethernet", True)), 1):
            counts = cells(link_verilog(ethernet), "ecp5")
            rows.append(
                {
                    "link": name,
                    "lut4_equivalents": lut4_equivalents(counts),
                    "flip_flops": counts.get("TRELLIS_FF", 0),
                    "block_ram": counts.get("DP16KD", 0),
                }
            )
            step("links", done, 2)
    report.table(LINK_COLUMNS, [[str(value) for value in row.values()] for row in rows])
    save_json(options.json, rows)
    return 0


SIZES = Command(SizesOptions, sizes, "dev sizes --list")
PLACED = Command(PlacedOptions, placed, "dev placed --only 'exact INT8'")
AREA = Command(AreaOptions, area, "dev area DS-CIM2")
LINK_AREA = Command(ReportOptions, link_area, "dev link-area")
