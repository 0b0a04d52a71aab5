"""One step of a build: runs a program on files in a folder, and caches the folder with the log."""

import contextlib
import dataclasses
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from dscim.cache import build_beside, cache_folder, digest, forget_old, used
from dscim.errors import UserError
from dscim.host.fpga.bitstream.tools import Tool
from dscim.interrupts import uninterrupted
from dscim.progress import Progress, Say

LOG = "log.txt"
SECONDS = "seconds.txt"


@dataclasses.dataclass(frozen=True)
class Step:
    """A program to run, and its files.

    name: prefix of the folder in the cache. label: shown to the user, for example
    "[2/4] synthesis". arguments: for `tool`, which runs in the step's folder.
    inputs: files, by their names in that folder. outputs: the files that it must write.
    expected: estimated seconds, for the progress bar only.
    """

    name: str
    label: str
    tool: Tool
    arguments: tuple[str, ...]
    inputs: Mapping[str, Path]
    outputs: tuple[str, ...]
    expected: int


@dataclasses.dataclass(frozen=True)
class Done:
    """A finished step.

    folder: has the inputs, the outputs and the log. seconds: time of the run that made them, also
    if they are cached.
    """

    folder: Path
    seconds: float
    cached: bool


def run_step(step: Step, say: Say, tick: Progress) -> Done:
    """Runs `step`, or takes its cached result; UserError with the path of the log when it fails,
    SimulationError if the cache cannot be written.

    An interrupted step leaves no files.
    """
    texts = [
        part for name, path in sorted(step.inputs.items()) for part in (name, path.read_bytes())
    ]
    key = digest([step.tool.name, step.tool.version, *step.arguments, *texts])
    home = cache_folder() / f"{step.name}-{key}"
    cached = home.exists()
    if not cached:
        say(f"{step.label}: {step.tool.name} {step.tool.version}")
        forget_old(f"{step.name}-*")
        _run(step, home, tick)
    used(home)
    seconds = float((home / SECONDS).read_text())
    say(f"{step.label}: {seconds:.1f} s" + (", cached" if cached else ""))
    return Done(home, seconds, cached)


def _run(step: Step, home: Path, tick: Progress) -> None:
    with build_beside(home) as work:
        for name, path in step.inputs.items():
            shutil.copy(path, work / name)
        start = time.monotonic()
        status = _wait(step, work, tick)
        (work / SECONDS).write_text(f"{time.monotonic() - start:.3f}\n")
        missing = [name for name in step.outputs if not _filled(work / name)]
        if status != 0 or missing:
            kept = home.with_name(f"{home.name}.log")
            shutil.copy(work / LOG, kept)
            raise UserError(f"{step.label} failed: {_reason(kept, status, missing)}; see {kept}.")


def _wait(step: Step, folder: Path, tick: Progress) -> int:
    """Runs the program; returns its exit status. An exception here ends the program."""
    process: subprocess.Popen[bytes] | None = None
    start = time.monotonic()
    try:
        with (folder / LOG).open("wb") as log, uninterrupted():
            process = subprocess.Popen(
                [step.tool.path, *step.arguments],
                cwd=folder,
                stdout=log,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
            )
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=0.5)
            elapsed = int(time.monotonic() - start)
            tick(f"{step.label}, seconds", elapsed, max(step.expected, elapsed + 1))
    finally:
        if process is not None:
            process.kill()
            process.wait()


def _filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _reason(log: Path, status: int, missing: list[str]) -> str:
    """Why a program failed: a missing output, the first error in its log, or the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = (line for line in lines if line.startswith(("ERROR", "Error", "error")))
    if status == 0:
        return f"it did not write {missing[0]}"
    return next(errors, lines[-1] if lines else "no output").rstrip(".")
