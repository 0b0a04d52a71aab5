"""The cells of macros, counted with Yosys: technology-independent cells and those of ECP5.

LUT4 equivalents are the LUT4s that cells occupy in ECP5 slices: two for a CCU2C (carry), four for a
DPR16X4 (distributed RAM). Nothing is placed and routed. Large macros are extrapolated from one and
two columns, since columns do not interact.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from migen import ClockDomain

from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.macro import build_macro
from dscim.gateware.macro.exact import Exact
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.cells.contenders import BITS, COLUMNS, TABLE, Contender
from dscim.host.fpga.cells.synthesis import run_yosys, yosys_version
from dscim.sim.verilog import to_verilog

FLOWS = {
    "generic": "synth -flatten -top macro",
    "ecp5": "synth_ecp5 -nowidelut -nodsp -top macro",
    "multipliers": "synth_ecp5 -nowidelut -top macro",
}


def verilog_of(spec: MacroSpec, words: int, bits: int = BITS) -> str:
    """A macro as Verilog module `macro`.

    words: words per beat of activations. bits: of the operands, fewer than eight only if exact.
    """
    macro = build_macro(spec, words) if bits == BITS else Exact(spec, words, bits)
    macro.cd_sys = ClockDomain()
    records = (macro.weights, macro.activations, macro.products, macro.status)
    ports = {signal for record in records for signal in record.flatten()}
    return to_verilog(macro, ports | {macro.cd_sys.clk, macro.cd_sys.rst}, "macro").text


def cells(verilog: str, flow: str) -> dict[str, int]:
    """Counts of each kind of cell after `flow`, a name in FLOWS; UserError without Yosys."""
    try:
        text = run_yosys(verilog, f"{FLOWS[flow]}; tee -q -o {{OUT}} stat -json")
    except FileNotFoundError as error:
        raise UserError(str(error)) from error
    return dict(json.loads(text)["design"]["num_cells_by_type"])


def lut4_equivalents(counts: dict[str, int]) -> int:
    """The LUT4s that these cells occupy. counts: by kind of cell, after the flow ecp5."""
    return FAMILIES["ecp5"].table_count(counts)


def measure(contender: Contender) -> dict[str, Any]:
    """A row of the table: a macro of one and of two columns, and COLUMNS columns extrapolated.

    UserError without Yosys.
    """
    flow = "multipliers" if contender.multipliers else "ecp5"
    counted = []
    for columns in (1, 2):
        spec = dataclasses.replace(contender.spec, columns=columns)
        counted.append(cells(verilog_of(spec, SocSpec.banks, contender.bits), flow))
    sizes = [
        (lut4_equivalents(counts), counts.get("TRELLIS_FF", 0), counts.get("MULT18X18D", 0))
        for counts in counted
    ]
    lut4, flip_flops, multipliers = (
        one + (COLUMNS - 1) * (two - one) for one, two in zip(*sizes, strict=True)
    )
    return {
        "name": contender.name,
        "lut4": lut4,
        "flip_flops": flip_flops,
        "multipliers": multipliers,
        "cells": counted,
        "yosys": yosys_version(),
    }


def add_to_table(rows: list[dict[str, Any]], path: Path = TABLE) -> None:
    """Writes rows to the table; rows of other names stay."""
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    names = {row["name"] for row in rows}
    save_json(
        path,
        {
            "command": "dscim dev area --write",
            "rows": [*(row for row in kept if row["name"] not in names), *rows],
        },
        indent=1,
    )
