"""The real tools, on a small design (an echo on a board's clock and pins) and on a device."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from dscim.boards import board_names, find_board
from dscim.boards.soc import Setup, elaborate
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.flow import Elaborated, Flow, TimingMissed
from dscim.host.fpga.bitstream.load import built
from dscim.host.fpga.bitstream.tools import find_tools
from tests.commandline import dscim

FAST = "colorlight_i5"
"""The board whose echo is built in the fast tests."""
ECP5 = [
    pytest.param(name, marks=[] if name == FAST else pytest.mark.slow)
    for name in board_names()
    if find_board(name).parts[find_board(name).devices[0]].family == "ecp5"
]


def echo(setup: Setup) -> Any:
    """Sends back what it receives on the board's UART, with the clock of `Clocks`."""
    from litex.gen import LiteXModule  # noqa: PLC0415
    from litex.soc.cores.uart import RS232PHY  # noqa: PLC0415

    from dscim.boards.clocks import Clocks  # noqa: PLC0415

    top = LiteXModule()
    top.platform = setup.board.make_platform(setup.device)
    top.crg = Clocks(top.platform, setup.board, setup.clock)
    top.phy = RS232PHY(top.platform.request("serial"), top.crg.frequency, setup.baud)
    top.comb += top.phy.source.connect(top.phy.sink)
    for pin in setup.board.high:
        top.comb += top.platform.request(pin).eq(1)
    return top


def flow_of(name: str, folder: Path, **changes: Any) -> tuple[Flow, Elaborated]:
    board = find_board(name)
    device = board.devices[-1]
    setup = Setup(board, device, board.spec[device], float(board.clock), board.baud)
    setup = dataclasses.replace(setup, **changes)
    part = board.parts[device]
    family = FAMILIES[part.family]
    made = Elaborated(folder, elaborate(setup, folder, echo).clocks, 0.0)
    return Flow(family, find_tools(family.kinds), part, print, lambda *_: None), made


@pytest.mark.parametrize("name", ECP5)
def test_a_board_gets_a_bitstream_that_meets_timing(name: str, tmp_path: Path) -> None:
    """nextpnr and the packer accept the pins, the PLL and the part."""
    flow, made = flow_of(name, tmp_path)
    built = flow.run(made, 1)
    assert built.bitstream.stat().st_size > 1000
    assert all(clock.reached >= clock.asked for clock in built.routed.timing.clocks)
    facts = built.facts()
    assert facts["cells"]["flip_flops"]["used"] > 50
    for file, log in built.logs().items():
        assert log.stat().st_size > 0 or file == "packing.log"  # ecppack prints nothing


@pytest.mark.slow
def test_gowin_too(tmp_path: Path) -> None:
    flow, made = flow_of("tang_nano_20k", tmp_path)
    built = flow.run(made, 1)
    assert built.bitstream.read_text().count("\n") > 100
    assert built.routed.timing.met


@pytest.mark.slow
def test_a_clock_that_misses_is_an_error_and_nothing_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 400 MHz the error has the better of two seeds, its worst path in the design's names."""
    cache = Path.home() / ".cache" / "dscim-test-missed"
    monkeypatch.setenv("DSCIM_CACHE", str(cache))
    flow, made = flow_of("ecpix5", tmp_path, clock=400e6)
    start = time.time()
    with pytest.raises(
        TimingMissed,
        match=r"Clock sys_clk reaches \d+.\d\d MHz, below its target of 400.00 MHz; "
        r"its worst path is ",
    ) as raised:
        flow.run(made, 2)
    assert not list(cache.glob("packing-*"))
    used = [path for path in cache.glob("place-*") if path.stat().st_mtime >= start]
    reached = [json.loads((path / "timing.json").read_text())["fmax"] for path in used]
    assert len(reached) == 2  # the cache may also hold those of earlier designs
    best = max(
        clock["achieved"]
        for report in reached
        for name, clock in report.items()
        if "clkout" in name
    )
    assert raised.value.timing.worst.reached == pytest.approx(best)


@pytest.mark.slow
def test_the_command_builds_a_whole_device(tmp_path: Path) -> None:
    """Eight minutes of one core for the smallest board, unless the cache has the steps."""
    folder, report = tmp_path / "out", tmp_path / "report.json"
    done = dscim("build", FAST, "--output", folder, "--json", report, seconds=7200)
    assert done.returncode == 0, done.stderr
    assert "[4/4] packing" in done.stdout and "meets timing" in done.stdout
    facts = json.loads(report.read_text())
    assert facts == built(folder, find_board(FAST))  # and the bitstream is the one that met timing
    assert (folder / facts["bitstream"]).stat().st_size > 100_000
    assert all(clock["reached_mhz"] >= clock["asked_mhz"] for clock in facts["clocks"].values())
    assert facts["spec"] == find_board(FAST).spec[facts["device"]].to_json()
    dry = dscim("load", FAST, "--input", folder, "--dry-run")
    assert dry.returncode == 0 and facts["bitstream"] in dry.stdout
