"""Counts the cells of a design with Yosys."""

import json
import tempfile
from pathlib import Path

from dscim.boards.soc import TOP
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import YOSYS, find_tool
from dscim.host.fpga.fit.design import Design
from dscim.host.fpga.fit.measured import Measured


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
