"""The cells of macros, counted with Yosys: technology-independent cells and those of ECP5.

LUT4 equivalents are the LUT4s that cells occupy in ECP5 slices: two for a CCU2C (carry), four for a
DPR16X4 (distributed RAM). Nothing is placed and routed.
"""

import json

from migen import ClockDomain

from dscim.errors import UserError
from dscim.gateware.macro import build_macro
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.cells.synthesis import run_yosys
from dscim.sim.verilog import to_verilog

FLOWS = {
    "generic": "synth -flatten -top macro",
    "ecp5": "synth_ecp5 -nowidelut -nodsp -top macro",
}


def macro_verilog(form: str, lanes: int, columns: int) -> str:
    """A macro of 128 rows as Verilog module `macro`."""
    return verilog_of(MacroSpec(columns=columns, form=form, lanes=lanes), SocSpec.banks)


def verilog_of(spec: MacroSpec, words: int) -> str:
    """A macro as Verilog module `macro`. words: words per beat of activations."""
    macro = build_macro(spec, words)
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


def measure(form: str, lanes: int, columns: int) -> dict[str, object]:
    """A row of the table: generic cells, ECP5 LUT4 equivalents, flip-flops, and all counts.

    UserError without Yosys.
    """
    verilog = macro_verilog(form, lanes, columns)
    counts = {flow: cells(verilog, flow) for flow in FLOWS}
    ecp5 = counts["ecp5"]
    return {
        "form": form,
        "lanes": lanes,
        "rows": 128,
        "columns": columns,
        "generic_cells": sum(counts["generic"].values()),
        "lut4_equivalents": lut4_equivalents(ecp5),
        "lut4": ecp5.get("LUT4", 0),
        "flip_flops": ecp5.get("TRELLIS_FF", 0),
        "block_ram": ecp5.get("DP16KD", 0),
        "cells": counts,
    }
