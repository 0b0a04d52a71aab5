"""A macro alone, synthesised for an ECP5; its netlist is compared with the contract."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dscim.boards.soc import TOP
from dscim.gateware.macro import build_macro
from dscim.gateware.specs import MacroSpec, ProductSpec
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import YOSYS, find_tool
from dscim.sim.verilate import verilate
from dscim.sim.verilog import to_verilog
from tests.macro_bench import run as bench
from tests.macro_bench.jobs import Tile, random_tile

WORDS = 2
"""Words per beat of activations."""

NETLIST = "netlist.v"
CELLS = f"{TOP}.json"


def synthesised(spec: MacroSpec, folder: Path) -> Path:
    """The folder of NETLIST and CELLS, for nextpnr, made by the commands for bitstreams."""
    top = bench.Top(build_macro(spec, WORDS))
    (folder / "bench.v").write_text(to_verilog(top, top.ios, name="bench").text)
    script = (
        f"read_verilog bench.v; {FAMILIES['ecp5'].synthesis} -top bench; "
        f"write_verilog -noattr {NETLIST}; write_json {CELLS}; select -assert-none t:$*"
    )
    done = run_step(
        Step(
            "netlist",
            "synthesis",
            find_tool(YOSYS),
            ("-p", script),
            {"bench.v": folder / "bench.v"},
            (NETLIST, CELLS),
            60,
        ),
        print,
        lambda *_: None,
    )
    return done.folder


def model(name: str, spec: MacroSpec, sources: Sequence[Path], quiet: Sequence[str]) -> Path:
    """The executable of a netlist and models of its cells. quiet: warnings to ignore."""
    return verilate(
        name,
        [*sources, bench.HERE / "bench.cpp"],
        "bench",
        optimise="-O0",
        say=print,
        flags=[
            *(f"-Wno-{warning}" for warning in quiet),
            "-CFLAGS",
            f"-DCOLUMNS={spec.columns}",
            "-CFLAGS",
            f"-DCOUNT_WIDTH={build_macro(spec, WORDS).count_width}",
        ],
    )


def random_tiles(spec: MacroSpec) -> list[Tile]:
    """Two tiles, random and extreme, of each arithmetic of the form."""
    rng = np.random.default_rng(5)
    arithmetics = (
        [ProductSpec(exact=True)]
        if spec.form == "exact"
        else [
            ProductSpec(length=length, signed=signed)
            for length in (16, 64, 256)
            if length <= spec.or_width * spec.max_samples
            for signed in spec.signed
        ]
    )
    return [
        random_tile(spec, WORDS, arithmetic, 24, rng) for arithmetic in arithmetics for _ in (0, 1)
    ]


def differing(made: Path, spec: MacroSpec, stall: int) -> int:
    """The number of wrong products of the model; a deadlock raises an exception."""
    tiles = random_tiles(spec)
    offset = [tile.product.signed == "offset" for tile in tiles for _ in tile.windows]
    wanted = [one for tile in tiles for one in tile.expected()]
    found = bench.run_verilated(made, tiles, WORDS, 7, stall).products
    assert len(found) == len(wanted) > 0
    return sum(
        one[1] != other[1] or (summed and one[0] != other[0])
        for summed, one, other in zip(offset, found, wanted, strict=True)
    )
