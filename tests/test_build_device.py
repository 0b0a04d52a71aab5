"""The netlist of a whole device, in the simulator's harness, computes the contract's bits."""

import tempfile
from pathlib import Path

import pytest

from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.verilog import steady
from dscim.host.device.selftest import SelfTest
from dscim.host.device.target import open_target
from dscim.host.fpga.bitstream.families import FAMILIES, read
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import YOSYS, find_tool
from dscim.progress import Say
from dscim.sim.elaborate import TOP, Design, elaborate
from dscim.sim.verilate import HARNESS, STORED, verilate
from tests.ecp5_cells import models

pytestmark = pytest.mark.slow
SPEC = SocSpec(
    MacroSpec(rows=16, columns=4),
    exact=False,
    activation_words=512,
    weight_rows=512,
    channels=64,
    strip=16,
    requant_lanes=1,
    descriptors=16,
)
CHECKS = {"identifier", "clock", "macro", "layer"}
QUIET = ("PINMISSING", "SPECIFYIGN", "INITIALDLY", "WIDTH", "REDEFMACRO", "ASCRANGE", "UNOPTFLAT")


def netlist_model(design: Design, *, trace: str = "", say: Say = print) -> Path:
    """The executable of the SoC's netlist, synthesised as for bitstreams."""
    assert not trace
    folder = elaborate(design)
    script = (
        f"{read()}; {FAMILIES['ecp5'].synthesis} -noiopad -top {TOP}; "
        "write_verilog -noattr netlist.v; select -assert-none t:$*"
    )
    inputs = {path.name: path for path in folder.iterdir()}
    verilog = steady(inputs[f"{TOP}.v"].read_text())  # without LiteX's date, which changes
    with tempfile.TemporaryDirectory() as name:
        inputs[f"{TOP}.v"] = Path(name) / f"{TOP}.v"
        inputs[f"{TOP}.v"].write_text(verilog)
        done = run_step(
            Step(
                "netlist",
                "synthesis of a device",
                find_tool(YOSYS),
                ("-p", script),
                inputs,
                ("netlist.v",),
                300,
            ),
            say,
            lambda *_: None,
        )
    cells = done.folder / "cells.v"
    cells.write_text(models())
    netlist = (done.folder / "netlist.v").read_text()
    assert "DP16KD" in netlist and "MULT18X18D" in netlist and "LUT4" in netlist
    harness = sorted({*HARNESS.glob("*.cpp"), *HARNESS.glob("*.h")}.difference(STORED))
    return verilate(
        "netlist-device",
        [done.folder / "netlist.v", cells, *harness],
        TOP,
        optimise="-O0",
        say=say,
        flags=[f"-Wno-{name}" for name in QUIET],
    )


def test_the_netlist_of_a_device_computes_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products in every arithmetic and layers, bit for bit, through the frames of its UART.

    It runs some hundred cycles per second, too few for the whole self-test.
    """
    monkeypatch.setattr("dscim.sim.server.model", netlist_model)
    with open_target("sim", SPEC, report=print) as device:
        findings = []
        for finding in SelfTest(device, 11, lambda *_: None).run(CHECKS):
            print(finding)
            findings.append(finding)
    assert [finding.name for finding in findings if not finding.holds] == []
    assert {finding.name for finding in findings} == CHECKS
