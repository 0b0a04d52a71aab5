"""`dscim build` without the slow tools: steps, their cache, errors, results."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from dscim.boards import find_board
from dscim.boards.parts import Part, ecp5
from dscim.boards.soc import Setup
from dscim.errors import SimulationError, UserError
from dscim.host.cli import main
from dscim.host.fpga.bitstream import step as steps
from dscim.host.fpga.bitstream.build import Builder, Order
from dscim.host.fpga.bitstream.families import ecp5_flags
from dscim.host.fpga.bitstream.flow import TimingMissed
from dscim.host.fpga.bitstream.load import built, command, load
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.timing import Clock, Timing
from dscim.host.fpga.bitstream.tools import YOSYS, Kind, Tool, find_tool
from tests.commandline import assert_refused, dscim

SHELL = Tool("sh", "/bin/sh", "1")


@pytest.fixture(name="cache", autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DSCIM_CACHE", str(folder))
    return folder


def shell(script: str, source: Path, tool: Tool = SHELL) -> Step:
    return Step("shell", "[1/1] shell", tool, ("-c", script), {"in": source}, ("out",), 1)


def quiet(*_: object) -> None:
    """Takes and ignores anything."""


def test_a_step_runs_once_for_equal_inputs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    said: list[str] = []
    first = run_step(shell("cat in > out", source), said.append, quiet)
    second = run_step(shell("cat in > out", source), said.append, quiet)
    assert (first.cached, second.cached) == (False, True)
    assert first.folder == second.folder
    assert (first.folder / "out").read_text() == "one"
    assert second.seconds == first.seconds
    assert said[-1].startswith("[1/1] shell: ") and said[-1].endswith("cached")
    others = [
        shell("cat in in > out", source),
        shell("cat in > out", source, Tool("sh", "/bin/sh", "2")),
    ]
    for other in others:
        assert not run_step(other, quiet, quiet).cached
    source.write_text("two")
    assert not run_step(shell("cat in > out", source), quiet, quiet).cached


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo fine; echo 'ERROR: no room for LUT4'; echo bye; exit 1", "ERROR: no room for LUT4"),
        ("exit 3", "no output"),
        ("echo done", "it did not write out"),
        ("touch out", "it did not write out"),
    ],
)
def test_a_failed_step_says_why_and_leaves_its_log_alone(
    script: str, reason: str, tmp_path: Path, cache: Path
) -> None:
    source = tmp_path / "source"
    source.write_text("x")
    with pytest.raises(UserError, match=reason) as raised:
        run_step(shell(script, source), quiet, quiet)
    (log,) = cache.iterdir()
    assert log.suffix == ".log"
    assert str(log) in str(raised.value)


def test_an_interrupted_step_is_ended_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    program = f"""
import pathlib
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import Tool
source = pathlib.Path({str(tmp_path / "source")!r})
source.write_text("x")
run_step(Step("shell", "label", Tool("sh", "/bin/sh", "1"),
              ("-c", "echo $$ > {tmp_path}/pid; echo half > out; exec sleep 60"),
              dict(input=source), ("out",), 1), print, lambda *_: None)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    child.wait(timeout=60)
    assert list(cache.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_text("x")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(steps.shutil, "copy", full)
    with pytest.raises(SimulationError, match=r"No space left on device.*DSCIM_CACHE"):
        run_step(shell("cat in > out", source), quiet, quiet)


def program(folder: Path, name: str, script: str) -> Path:
    """An executable shell script in `folder`, the only folder on PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_native_tools_come_first_unless_they_are_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Kind("Yosys", ("yosys",), (0, 40), "no-such-script", "no-such-distribution")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UserError, match=r"Yosys 0.40 or newer was not found; run `pip install"):
        find_tool(nowhere)
    native = program(tmp_path / "bin", "yosys", "echo 'Yosys 0.23 (git sha1 7ce5011c24b)'")
    with pytest.raises(UserError, match=r"not found, and .*yosys is version 0.23, too old"):
        find_tool(nowhere)
    program(tmp_path / "bin", "yosys", "echo 'Yosys 0.40+12 (git sha1 0)'")
    assert find_tool(nowhere) == Tool("Yosys", str(native), "0.40 (native)")
    assert YOSYS.oldest == (0, 40)


@pytest.mark.parametrize(
    ("part", "flags"),
    [
        ("LFE5UM5G-85F-8BG554I", "--um5g-85k --package CABGA554 --speed 8"),
        ("LFE5U-25F-6BG381C", "--25k --package CABGA381 --speed 6"),
        ("LFE5UM-45F-7BG381C", "--um-45k --package CABGA381 --speed 7"),
    ],
)
def test_the_flags_of_parts_for_nextpnr(part: str, flags: str) -> None:
    assert ecp5_flags(ecp5(part)) == flags.split()
    assert isinstance(ecp5(part), Part)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "100"], ("100 rows", "16")),
        (["--clock", "900"], ("900 MHz",)),
        (["--baud", "99999999"], ("99999999 baud",)),
        (["--seeds", "0"], ("--seeds 0",)),
        (["--device", "12F"], ("12F", "85F")),
        (["--lanes", "3"], ("3 lanes",)),
    ],
)
def test_what_cannot_be_built_is_refused_before_any_work(
    arguments: list[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    assert_refused(dscim("build", "ecpix5", *arguments, folder=tmp_path), *words)
    assert not (tmp_path / "build").exists()


def test_a_board_without_an_open_tool_gets_sources_and_says_so(tmp_path: Path) -> None:
    done = dscim(
        "build",
        "arty",
        "--rows",
        "16",
        "--columns",
        "4",
        "--json",
        tmp_path / "r.json",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "No bitstream was built" in done.stdout
    folder = tmp_path / "build" / "arty"
    for name in ("dscim.v", "dscim.xdc", "dscim.tcl", "report.json"):
        assert (folder / name).stat().st_size > 0
    assert json.loads((tmp_path / "r.json").read_text())["built"] is False
    assert_refused(dscim("load", "arty", "--dry-run", folder=tmp_path), "no bitstream")


class Sluggish(Builder):
    """A builder whose place and route reaches 71.72 MHz, whatever its target."""

    def __init__(self, order: Order, clock: str) -> None:
        super().__init__(order, quiet, quiet)
        self.asked: list[float] = []
        self._clock = clock

    def _build(self, setup: Setup, *_: object) -> dict[str, Any]:
        self.asked.append(setup.clock / 1e6)
        if setup.clock > 71.72e6:
            clock = Clock(self._clock, setup.clock / 1e6, 71.72)
            raise TimingMissed("missed", Timing((clock,), ()))
        return {"built": True}


@pytest.mark.parametrize(
    ("allow_slow", "clock", "asked"),
    [
        (True, "sys_clk", [75.0, pytest.approx(0.98 * 71.72, rel=0.01)]),
        (False, "sys_clk", [75.0]),
        (True, "por_clk", [75.0]),
    ],
)
def test_a_clock_is_lowered_only_when_allowed(
    allow_slow: bool, clock: str, asked: list[float], tmp_path: Path
) -> None:
    board = find_board("ecpix5")
    setup = Setup(board, "85F", board.spec["85F"], 75e6, board.baud)
    builder = Sluggish(Order(setup, tmp_path / "out", 1, allow_slow), clock)
    if len(asked) == 2:
        assert builder.build() == {"built": True}
        assert builder.asked[1] <= 0.98 * 71.72
    else:
        with pytest.raises(TimingMissed):
            builder.build()
    assert builder.asked == asked


def test_a_folder_takes_one_build_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "arty"
    folder.mkdir(parents=True)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys, time\n"
            f"lock = open({str(folder / '.lock')!r}, 'w')\n"
            "fcntl.flock(lock, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        done = dscim("build", "arty", folder=tmp_path)
        holder.kill()
    assert done.returncode == 2
    assert "Another build is running" in done.stderr


@pytest.fixture(name="ready")
def _ready(tmp_path: Path) -> Path:
    """A folder of a finished build, with a bitstream of ten bytes."""
    import hashlib  # noqa: PLC0415

    folder = tmp_path / "build" / "ecpix5"
    folder.mkdir(parents=True)
    (folder / "dscim.bit").write_bytes(b"0123456789")
    spec = find_board("ecpix5").spec["85F"]
    (folder / "report.json").write_text(
        json.dumps(
            {
                "board": "ecpix5",
                "built": True,
                "bitstream": "dscim.bit",
                "baud": 1000000,
                "spec": spec.to_json(),
                "spec_hash": f"{spec.hash:08x}",
                "sha256": hashlib.sha256(b"0123456789").hexdigest(),
            }
        )
    )
    return folder


def test_a_dry_run_prints_the_command(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "openFPGALoader", "echo openFPGALoader v1.0.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for extra, words in (
        ([], "-b ecpix5 "),
        (["--flash"], "-b ecpix5 -f "),
        (["--cable", "ft2232"], "-c ft2232 "),
    ):
        done = dscim("load", "ecpix5", "--dry-run", *extra, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"openFPGALoader {words}build/ecpix5/dscim.bit" in done.stdout
    assert (ready / "dscim.bit").exists()


def test_only_the_file_that_met_timing_is_loaded(ready: Path) -> None:
    board = find_board("ecpix5")
    assert built(ready, board)["baud"] == 1000000
    (ready / "dscim.bit").write_bytes(b"0123456780")
    with pytest.raises(UserError, match="is not the file that met timing"):
        built(ready, board)
    with pytest.raises(UserError, match="for the board ecpix5, not for ulx3s"):
        built(ready, find_board("ulx3s"))
    (ready / "report.json").unlink()
    with pytest.raises(UserError, match="has no finished build; run `dscim build ecpix5`"):
        built(ready, board)


def test_a_board_that_the_loader_does_not_know_needs_a_cable(tmp_path: Path) -> None:
    board = find_board("butterstick")
    with pytest.raises(UserError, match="--cable"):
        command("loader", board, tmp_path / "x.bit", flash=False, cable=None)
    assert command("loader", board, tmp_path / "x.bit", flash=True, cable="ft2232") == [
        "loader",
        "-c",
        "ft2232",
        "-f",
        str(tmp_path / "x.bit"),
    ]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'unable to open ftdi device: -3 (device not found)'; exit 1", "No board found"),
        (
            "echo 'x: error while loading shared libraries: libftdi1.so.2: cannot open' >&2; "
            "exit 127",
            "needs the library libftdi1.so.2; run `apt-get install",
        ),
        (
            "echo 'Error: Failed to program'; exit 1",
            "failed with exit status 1: Error: Failed to program",
        ),
    ],
)
def test_a_failed_load_is_explained(script: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=reason):
        load([str(program(tmp_path / "bin", "loader", script))])
    assert shutil.which("sh")


def test_a_missing_package_is_one_sentence_and_no_folder_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dscim.host.fpga.bitstream.build.version", missing)
    assert main(["build", "arty", "--quiet"]) == 2
    assert "pip install 'dscim[build]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_leaves_no_folder_and_a_foreign_report_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failed(*_: object, **__: object) -> None:
        raise UserError("no elaboration")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dscim.host.fpga.bitstream.build.elaborated", failed)
    assert main(["build", "arty", "--quiet"]) == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "report.json").write_text('{"mine": 1}')
    assert main(["build", "arty", "--quiet", "--output", "."]) == 2
    assert "report.json' is not of `dscim build`" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
