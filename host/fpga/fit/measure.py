"""Cells of designs, by Yosys, kept in a table: what the size model is fitted to.

    python -m dscim.host.fpga.fit.measure [--list] [--only WORDS]

Adds to sizes.json, beside this file, what is not there yet, smallest first; it may be stopped and
started again at any time. A design whose gateware changed is measured anew by --again.
"""

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

from dscim.boards.sizes import LARGE, SMALL
from dscim.boards.soc import TOP
from dscim.files import save_json
from dscim.gateware.specs import MacroSpec
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import YOSYS, find_tool
from dscim.host.fpga.fit.design import Design, device

TABLE = Path(__file__).parent / "sizes.json"
COMMAND = "python -m dscim.host.fpga.fit.measure"
KINDS = (
    (16, "selected", 16),
    (16, "exact", 1),
    (64, "selected", 4),
    (16, "array", 1),
    (64, "array", 1),
    (16, "selected", 1),
)
"""G, form and lanes of the macros that are measured."""

SIZES = ((1, 4), (2, 4), (1, 8), (2, 8))
"""Groups and columns in which they are; the model has as many factors."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What Yosys made of a design. cells: its count of each kind. seconds: of the synthesis.
    note: where it was not the gateware of its day."""

    design: Design
    cells: dict[str, int]
    seconds: float
    yosys: str
    note: str = ""

    @property
    def lut4(self) -> int:
        """Tables, as nextpnr counts them: those of carries and distributed RAM with the rest."""
        return sum(cost * self.cells.get(kind, 0) for kind, cost in FAMILIES["ecp5"].tables.items())

    @property
    def flip_flops(self) -> int:
        """Registers of one bit."""
        return self.cells.get("TRELLIS_FF", 0)

    @property
    def block_ram(self) -> int:
        """Blocks of 18 kbit."""
        return self.cells.get("DP16KD", 0)

    @property
    def multipliers(self) -> int:
        """Of 18 x 18 bits."""
        return self.cells.get("MULT18X18D", 0)


def read_table(path: Path = TABLE) -> list[Measured]:
    """All that was measured."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return [
        Measured(
            Design.from_json(row["design"]),
            row["cells"],
            row["seconds"],
            row["yosys"],
            row.get("note", ""),
        )
        for row in rows
    ]


def write_table(rows: list[Measured], path: Path = TABLE) -> None:
    """Replaces the table, whole or not at all."""
    save_json(
        path,
        {
            "command": COMMAND,
            "rows": [
                {
                    "name": row.design.name,
                    "lut4": row.lut4,
                    "design": row.design.to_json(),
                    "cells": row.cells,
                    "seconds": row.seconds,
                    "yosys": row.yosys,
                    **({"note": row.note} if row.note else {}),
                }
                for row in rows
            ],
        },
        indent=1,
    )


def synthesise(design: Design) -> Measured:
    """What Yosys makes of `design`, by the command that bitstreams are made by."""
    top = "macro" if design.device is None else TOP
    ways = FAMILIES["ecp5"].synthesis + ("" if design.multipliers else " -nodsp")
    script = f"read_verilog {top}.v; {ways} -top {top}; tee -q -o cells.json stat -json"
    yosys = find_tool(YOSYS)
    with tempfile.TemporaryDirectory() as name:
        step = Step(
            "sizes",
            design.name,
            yosys,
            ("-q", "-p", script),
            design.sources(Path(name)),
            ("cells.json",),
            120,
        )
        done = run_step(step, lambda _: None, lambda *_: None)
    cells = json.loads((done.folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    return Measured(design, cells, round(done.seconds, 1), f"{yosys.name} {yosys.version}")


def wanted() -> list[Design]:
    """What the model needs: every kind of macro in some sizes, and devices around small ones."""
    macros = [
        Design(MacroSpec(groups * width, columns, width, form, lanes))
        for width, form, lanes in KINDS
        for groups, columns in SIZES
    ]
    tables = [
        dataclasses.replace(macro, multipliers=False)
        for macro in macros
        if macro.macro.form == "exact"
    ]
    small = MacroSpec(rows=16, columns=4)
    devices = [
        device(small),
        device(small, ethernet=True),
        Design(SMALL.macro, SMALL, board="colorlight_i5"),
        Design(LARGE.macro, LARGE),
        Design(LARGE.macro, LARGE, ethernet=True),
    ]
    return (
        macros[:8]
        + tables
        + macros[8:16]
        + side_by_side()[:1]
        + devices
        + macros[16:]
        + (side_by_side()[1:])
    )


def side_by_side() -> list[Design]:
    """The macros of `dscim macros`, in its default size."""
    from dscim.host.fpga.fit.sides import contenders  # noqa: PLC0415  it reads what is kept here

    return [design for _, design, _ in contenders(128, 4)]


def main() -> None:
    """Measures what is missing; prints a line each."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Cells of designs, by Yosys.")
    parser.add_argument("--list", action="store_true", help="print the table and end")
    parser.add_argument("--only", default="", metavar="WORDS", help="of a design's name")
    parser.add_argument("--again", action="store_true", help="what is in the table too")
    options = parser.parse_args()
    rows = read_table()
    for row in rows if options.list else ():
        print(_line(row))
    for design in () if options.list else wanted():
        known = any(row.design == design for row in rows)
        if options.only in design.name and (options.again or not known):
            row = synthesise(design)
            rows = [*(one for one in rows if one.design != design), row]
            write_table(rows)
            print(_line(row), flush=True)


def _line(row: Measured) -> str:
    return (
        f"{row.design.name:76}{row.lut4:7} LUT4 {row.flip_flops:6} FF {row.block_ram:4} "
        f"block RAM {row.multipliers:3} multipliers, {row.seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
