"""What Yosys made of a macro, with Yosys's own models of ECP5 cells, computes the same bits."""

from pathlib import Path

import numpy as np
import pytest

from dscim.gateware.macro import build_macro
from dscim.gateware.specs import MacroSpec, ProductSpec
from dscim.host.bitstream.families import FAMILIES
from dscim.host.bitstream.step import Step, run_step
from dscim.host.bitstream.tools import YOSYS, find_tool
from dscim.sim.elaborate import to_verilog
from dscim.sim.verilate import verilate
from tests.ecp5_cells import models
from tests.macro_bench import run as bench
from tests.macro_bench.jobs import expected, random_tile

pytestmark = pytest.mark.slow
FORMS = {"selected": MacroSpec(rows=16, columns=4),
         "array": MacroSpec(rows=16, columns=4, form="array", lanes=1),
         "exact": MacroSpec(rows=16, columns=4, form="exact", lanes=1)}
QUIET = ("PINMISSING", "SPECIFYIGN", "INITIALDLY")


def netlist(spec: MacroSpec, folder: Path) -> Path:
    """The macro as LUT4, CCU2C, DPR16X4 and flip-flops: the command that bitstreams are made by."""
    top = bench.Top(build_macro(spec))
    (folder/"bench.v").write_text(to_verilog(top, top.ios, name="bench").text)
    script = (f"read_verilog bench.v; {FAMILIES['ecp5'].synthesis} -top bench; "
              "write_verilog -noattr netlist.v; select -assert-none t:$*")
    done = run_step(Step("netlist", "synthesis", find_tool(YOSYS), ("-p", script),
                         {"bench.v": folder/"bench.v"}, ("netlist.v",), 60),
                    print, lambda *_: None)
    return done.folder/"netlist.v"


@pytest.mark.parametrize("form", FORMS)
def test_the_netlist_equals_the_contract(form: str, tmp_path: Path) -> None:
    spec = FORMS[form]
    cells = tmp_path/"cells.v"
    cells.write_text(models())
    found = netlist(spec, tmp_path)
    assert "LUT4" in found.read_text()
    model = verilate(f"netlist-{form}", [found, cells, bench.HERE/"bench.cpp"], "bench",
                     optimise="-O0", say=print,
                     flags=[*(f"-Wno-{name}" for name in QUIET),
                            "-CFLAGS", f"-DCOLUMNS={spec.columns}",
                            "-CFLAGS", f"-DCOUNT_WIDTH={build_macro(spec).count_width}"])
    rng = np.random.default_rng(5)
    arithmetics = [ProductSpec(exact=True)] if form == "exact" else [
        ProductSpec(length=length, signed=signed)
        for length in (16, 64, 256) for signed in spec.signed]
    tiles = [random_tile(spec, arithmetic, 24, rng) for arithmetic in arithmetics for _ in (0, 1)]
    wanted = [one for tile in tiles for one in expected(spec, tile)]
    for stall in (0, 30):
        assert bench.run_verilated(model, spec, tiles, 7, stall).products == wanted
