"""How the tools are run for each family of FPGAs."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from dscim.boards.parts import Part
from dscim.boards.soc import TOP
from dscim.host.fpga.bitstream.tools import (
    ECPPACK,
    GOWIN_PACK,
    NEXTPNR_ECP5,
    NEXTPNR_GOWIN,
    YOSYS,
    Kind,
)


@dataclasses.dataclass(frozen=True)
class Family:
    """The flow of a family; files are named without a folder.

    kinds:       the programs that synthesise, place and route, and pack.
    synthesis:   Yosys's command that maps Verilog to cells.
    constraints: the pin file that elaboration writes.
    place:       arguments of nextpnr for (part, clocks in Hz by signal, seed).
    routed:      the file from nextpnr to the packer. pack: the packer's arguments for a part.
    bitstream:   the file to load.
    cells:       nextpnr's names of the counted cells, by the name of their count in report.json.
    tables:      Yosys's cells that use four-input tables, and how many each uses.
    """

    kinds: tuple[Kind, Kind, Kind]
    synthesis: str
    constraints: str
    place: Callable[[Part, dict[str, float], int], list[str]]
    routed: str
    pack: Callable[[Part], list[str]]
    bitstream: str
    cells: dict[str, tuple[str, ...]]
    tables: dict[str, int]

    def script(self, more: str = "") -> str:
        """Yosys's script: cells as JSON, and their counts. more: further synthesis options."""
        return (
            f"{read()}; {self.synthesis}{more} -top {TOP} -json {TOP}.json; "
            "tee -q -o cells.json stat -json"
        )

    def table_count(self, counts: Mapping[str, int]) -> int:
        """The four-input tables of a netlist. counts: Yosys's cells, by kind."""
        return sum(cost * counts.get(kind, 0) for kind, cost in self.tables.items())


NEVER_COLLIDE = tuple(f"m:{name}" for name in ("bank*", "sums*", "shares_*"))
"""Memories of which no word that is used is read in the cycle in which it is written.

A block RAM's output is then undefined, so that Yosys would add registers and tables to each.
"""


def read() -> str:
    """Yosys's commands that read the Verilog and mark the memories of NEVER_COLLIDE."""
    return f"read_verilog {TOP}.v; setattr -set no_rw_check 1 {' '.join(NEVER_COLLIDE)}"


REPORT = "timing.json"

_SIZES = {"12F": "12k", "25F": "25k", "45F": "45k", "85F": "85k"}
_KINDS = {"LFE5U": "", "LFE5UM": "um-", "LFE5UM5G": "um5g-"}
_PACKAGES = {
    "256": "CABGA256",
    "285": "CSFBGA285",
    "381": "CABGA381",
    "554": "CABGA554",
    "756": "CABGA756",
}


def ecp5_flags(part: Part) -> list[str]:
    """nextpnr-ecp5's flags for an ordering code such as LFE5UM5G-85F-8BG554I."""
    kind, size, rest = part.name.split("-")
    balls = re.findall(r"\d+", rest[1:])[0]
    return [f"--{_KINDS[kind]}{_SIZES[size]}", "--package", _PACKAGES[balls], "--speed", rest[0]]


def _place_ecp5(part: Part, clocks: dict[str, float], seed: int) -> list[str]:
    """The clock of `sys` follows from the oscillator's, which is in the constraints.

    The placer and the router were chosen by measurements on ecpix5 with a macro of 128 x 32: wires
    were a sixth shorter when refinement began, and routing takes only minutes.
    """
    return [
        *ecp5_flags(part),
        "--json",
        f"{TOP}.json",
        "--lpf",
        f"{TOP}.lpf",
        "--textcfg",
        f"{TOP}.config",
        "--report",
        REPORT,
        "--timing-allow-fail",
        "--seed",
        str(seed),
        "--placer",
        "static",
        "--router",
        "router2",
    ]


def _pack_ecp5(part: Part) -> list[str]:
    return ["--compress", f"{TOP}.config", "--bit", f"{TOP}.bit", "--svf", f"{TOP}.svf"]


GOWIN_FAMILY = "GW2A-18C"


def _place_gowin(part: Part, clocks: dict[str, float], seed: int) -> list[str]:
    """The target is the fastest clock; nextpnr's default is 12 MHz."""
    fastest = max(clocks.values()) / 1e6
    return [
        "--device",
        part.name,
        "--vopt",
        f"family={GOWIN_FAMILY}",
        "--vopt",
        f"cst={TOP}.cst",
        "--json",
        f"{TOP}.json",
        "--write",
        f"{TOP}.routed.json",
        "--top",
        TOP,
        "--report",
        REPORT,
        "--timing-allow-fail",
        "--freq",
        f"{fastest:g}",
        "--seed",
        str(seed),
    ]


def _pack_gowin(part: Part) -> list[str]:
    return [
        "-d",
        GOWIN_FAMILY,
        "-o",
        f"{TOP}.fs",
        "--mspi_as_gpio",
        "--sspi_as_gpio",
        "--ready_as_gpio",
        "--done_as_gpio",
        f"{TOP}.routed.json",
    ]


FAMILIES: dict[str, Family] = {
    "ecp5": Family(
        kinds=(YOSYS, NEXTPNR_ECP5, ECPPACK),
        synthesis="synth_ecp5 -nowidelut -abc9",
        constraints=f"{TOP}.lpf",
        place=_place_ecp5,
        routed=f"{TOP}.config",
        pack=_pack_ecp5,
        bitstream=f"{TOP}.bit",
        cells={
            "lut4": ("TRELLIS_COMB",),
            "flip_flops": ("TRELLIS_FF",),
            "block_ram": ("DP16KD",),
            "multipliers": ("MULT18X18D",),
        },
        tables={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
    ),
    "gowin": Family(
        kinds=(YOSYS, NEXTPNR_GOWIN, GOWIN_PACK),
        synthesis="synth_gowin -nowidelut",
        constraints=f"{TOP}.cst",
        place=_place_gowin,
        routed=f"{TOP}.routed.json",
        pack=_pack_gowin,
        bitstream=f"{TOP}.fs",
        cells={
            "lut4": ("LUT4", "ALU"),
            "flip_flops": ("DFF",),
            "block_ram": ("BSRAM",),
            "multipliers": ("MULT9X9", "MULT18X18"),
        },
        tables={"LUT4": 1, "LUT3": 1, "LUT2": 1, "LUT1": 1, "ALU": 1},
    ),
}
"""The families for which bitstreams can be built."""


def used(family: Family, utilization: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Used and available cells of each counted kind, from nextpnr's report."""
    counted = {}
    for name, kinds in family.cells.items():
        rows = [utilization[kind] for kind in kinds if kind in utilization]
        counted[name] = {
            "used": sum(row["used"] for row in rows),
            "available": rows[0]["available"] if rows else 0,
        }
    return counted
