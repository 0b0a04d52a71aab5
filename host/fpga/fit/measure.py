"""Counts the cells of designs with Yosys; sizes.json, the table for the size model, has them."""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

from dscim.boards.sizes import LARGE, SMALL
from dscim.boards.soc import TOP
from dscim.files import save_json
from dscim.gateware.specs import MacroSpec, ProductSpec
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import YOSYS, find_tool
from dscim.host.fpga.fit.design import Design, device

TABLE = Path(__file__).parent / "sizes.json"
COMMAND = "dscim dev sizes"
"""The command that adds to the table."""

KINDS = (
    (16, "selected", 16),
    (16, "exact", 1),
    (64, "selected", 4),
    (16, "array", 1),
    (64, "array", 1),
    (16, "selected", 1),
)
"""G, form and lanes of the macros to measure."""

SIZES = ((1, 4), (2, 4), (1, 8), (2, 8))
"""Groups and columns of the macros of each kind."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """The result of synthesising a design.

    cells: number of cells by kind. seconds: time of the synthesis. yosys: its name and version.
    note: why a row was not synthesised from the gateware of its time.
    """

    design: Design
    cells: dict[str, int]
    seconds: float
    yosys: str
    note: str = ""

    @property
    def lut4(self) -> int:
        """LUT4, as nextpnr counts them, with those of carries and distributed RAM."""
        return FAMILIES["ecp5"].table_count(self.cells)

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
        """Multipliers of 18 x 18 bits."""
        return self.cells.get("MULT18X18D", 0)


def read_table(path: Path = TABLE) -> list[Measured]:
    """The rows of the table; none if there is no file."""
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
    """Synthesises `design` with the command that builds use; UserError without Yosys."""
    top = "macro" if design.device is None else TOP
    command = FAMILIES["ecp5"].synthesis + ("" if design.multipliers else " -nodsp")
    script = f"read_verilog {top}.v; {command} -top {top}; tee -q -o cells.json stat -json"
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
    """The designs that the model needs: every kind of macro in some sizes, and small devices."""
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
    small = MacroSpec(rows=16, columns=4, lanes=16)
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
        + side_by_side()[1:]
    )


def side_by_side() -> list[Design]:
    """The macros of `dscim macros`, of the default size."""
    return [design for _, design, _ in contenders(128, 4)]


def contenders(rows: int, columns: int) -> list[tuple[str, Design, ProductSpec]]:
    """The macros that `dscim macros` compares: name, design and product.

    DS-CIM1 and DS-CIM2 in both forms, at the paper's longest and shortest stream, and the exact
    macro in the schedule of DS-CIM1, with and without multipliers.
    """
    one, two = ProductSpec(16, 256), ProductSpec(64, 64)
    exact = ProductSpec(16, 256, exact=True)
    integers = MacroSpec(rows, columns, form="exact", lanes=1)
    return [
        (
            "DS-CIM1, selected, 16 samples per cycle, L = 256",
            Design(MacroSpec(rows, columns, lanes=16)),
            one,
        ),
        (
            "DS-CIM1, the paper's array, 1 point per cycle, L = 256",
            Design(MacroSpec(rows, columns, form="array", lanes=1)),
            one,
        ),
        (
            "DS-CIM2, selected, 4 samples per cycle, L = 64",
            Design(MacroSpec(rows, columns, 64, lanes=4)),
            two,
        ),
        (
            "DS-CIM2, the paper's array, 1 point per cycle, L = 64",
            Design(MacroSpec(rows, columns, 64, "array", 1)),
            two,
        ),
        ("exact INT8, the schedule of DS-CIM1", Design(integers), exact),
        ("exact INT8, that schedule, no multipliers", Design(integers, multipliers=False), exact),
    ]
