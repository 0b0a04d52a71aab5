"""The flow: elaborate, synthesise, place and route until timing is met, pack, deliver."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dscim.boards.parts import Part
from dscim.boards.soc import SYS, Setup, elaborate, lowered
from dscim.cache import build_beside, cache_folder, digest, forget_old, used
from dscim.errors import UserError
from dscim.files import replacing, save_json
from dscim.host.fpga.bitstream.families import FAMILIES, Family
from dscim.host.fpga.bitstream.flow import STEPS, Built, Elaborated, Flow, TimingMissed
from dscim.host.fpga.bitstream.timing import MEGA
from dscim.host.fpga.bitstream.tools import Tool, find_tools
from dscim.progress import Progress, Say

SLOWER = 0.98
"""Next clock that --allow-slow tries, relative to the one reached: placements vary."""
TRIES = 4
"""The maximum number of clocks that --allow-slow tries."""
FACTS = "report.json"
"""The file with a build's facts, in the folder of its bitstream."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What to build, how hard to try, and where to put it.

    seeds: the number of placement seeds to try; the fastest result is kept. allow_slow: lower the
    clock to what was reached and build again, until timing is met. command: recorded in the report.
    """

    setup: Setup
    folder: Path
    seeds: int = 1
    allow_slow: bool = False
    command: str = ""


class Builder:
    """Builds one order; `say` prints lines, `tick(what, done, total)` moves a progress bar."""

    def __init__(self, order: Order, say: Say, tick: Progress) -> None:
        self.order, self._say, self._tick = order, say, tick

    def build(self) -> dict[str, Any]:
        """The facts (report.json) of the bitstream that it puts in the order's folder.

        UserError for missing tools, a failed step, or a folder whose report.json is not of a build;
        TimingMissed when a clock misses timing. The folder is then left as it was, without a
        bitstream of this build, or removed if this build has created it.
        """
        setup = self.order.setup
        _versions()
        _check_folder(self.order.folder)
        part = setup.board.parts[setup.device]
        family = FAMILIES.get(part.family)
        tools = find_tools(family.kinds) if family else []
        with _locked(self.order.folder):
            if family is None:
                return self._sources_alone()
            return self._until_met(family, tools, part)

    def _until_met(self, family: Family, tools: list[Tool], part: Part) -> dict[str, Any]:
        """Builds; with allow_slow, lowers the clock until timing is met."""
        setup, tries = self.order.setup, TRIES if self.order.allow_slow else 1
        while True:
            try:
                return self._build(setup, family, tools, part)
            except TimingMissed as missed:
                tries -= 1
                if not tries or missed.timing.worst.name != SYS:
                    raise
                setup = lowered(setup, missed.timing.worst.reached * MEGA * SLOWER)
                self._say(f"{missed} Trying {setup.clock / MEGA:.2f} MHz.")

    def _build(self, setup: Setup, family: Family, tools: list[Tool], part: Part) -> dict[str, Any]:
        made = elaborated(setup, self._say)
        built = Flow(family, tools, part, self._say, self._tick).run(made, self.order.seeds)
        facts = (
            {"command": self.order.command}
            | _identity(setup)
            | {"built": True}
            | built.facts()
            | {"versions": {tool.name: tool.version for tool in tools} | _versions()}
        )
        _deliver(self.order.folder, built, facts)
        return facts

    def _sources_alone(self) -> dict[str, Any]:
        """For a board without an open flow here: the sources and the vendor's script."""
        setup = self.order.setup
        made = elaborated(setup, self._say, steps=1)
        for path in made.folder.iterdir():
            _copy(path, self.order.folder / path.name)
        facts = (
            {"command": self.order.command}
            | _identity(setup)
            | {"built": False, "clocks": made.clocks}
        )
        save_json(self.order.folder / FACTS, facts)
        return facts


def elaborated(setup: Setup, say: Say, steps: int = STEPS) -> Elaborated:
    """The sources of `setup`, from the cache or newly elaborated."""
    described = [
        setup.board.name,
        setup.device,
        json.dumps(setup.spec.to_json()),
        f"{setup.clock}",
        f"{setup.baud}",
        f"{setup.address}",
        f"{setup.scope}",
    ]
    home = cache_folder() / f"sources-{digest([*_versions().values(), *described, *_code()])}"
    label = f"[1/{steps}] elaboration"
    cached = home.exists()
    if not cached:
        say(label)
        forget_old("sources-*")
        start = time.monotonic()
        with build_beside(home) as work:
            clocks = elaborate(setup, work).clocks
            (work / "made.json").write_text(
                json.dumps({"clocks": clocks, "seconds": time.monotonic() - start})
            )
    used(home)
    made = json.loads((home / "made.json").read_text())
    say(f"{label}: {made['seconds']:.1f} s" + (", cached" if cached else ""))
    return Elaborated(home, made["clocks"], made["seconds"])


def _versions() -> dict[str, str]:
    """Versions of the packages that determine the Verilog; UserError if one is missing."""
    try:
        return {package: version(package) for package in ("migen", "litex", "litex-boards")}
    except PackageNotFoundError as error:
        raise UserError(
            f"Package '{error.name}' is not installed; run `pip install 'dscim[build]'`."
        ) from None


def _check_folder(folder: Path) -> None:
    """UserError if the folder has a report.json that is not of a build: it would be replaced."""
    path = folder / FACTS
    try:
        if not path.exists():
            return
        facts = json.loads(path.read_text())
    except (OSError, ValueError):
        facts = None
    if not isinstance(facts, dict) or "spec_hash" not in facts:
        raise UserError(
            f"'{path}' is not of `dscim build` and would be replaced; choose another --output."
        )


def _code() -> list[str | bytes]:
    """Names and contents of the sources that determine the Verilog."""
    import dscim.boards  # noqa: PLC0415
    import dscim.gateware  # noqa: PLC0415

    rooms = [Path(room.__file__ or "").parent for room in (dscim.boards, dscim.gateware)]
    files = [path for room in rooms for path in sorted(room.rglob("*.py"))]
    return [part for path in files for part in (path.name, path.read_bytes())]


def _identity(setup: Setup) -> dict[str, Any]:
    """The facts that identify the device."""
    return {
        "board": setup.board.name,
        "device": setup.device,
        "part": setup.board.parts[setup.device].name,
        "spec_hash": f"{setup.spec.hash:08x}",
        "spec": setup.spec.to_json(),
        "baud": setup.baud,
        "scope": setup.scope,
        "ip": setup.address and setup.address.ip,
        "mac": setup.address and setup.address.mac,
    }


def _deliver(folder: Path, built: Built, facts: dict[str, Any]) -> None:
    """Puts logs, bitstream and facts into `folder`; the facts come last and make it valid."""
    (folder / FACTS).unlink(missing_ok=True)
    for name, path in built.logs().items():
        _copy(path, folder / name)
    bitstream = built.bitstream
    _copy(bitstream, folder / bitstream.name)
    facts["sha256"] = hashlib.sha256(bitstream.read_bytes()).hexdigest()
    save_json(folder / FACTS, facts)


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as new:
        shutil.copy(source, new)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks the folder; UserError when it cannot be created or another build has locked it.

    Removes the folders that it has created if the block fails and leaves nothing else in them.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"'{folder}' cannot be created: {error.strerror}; choose another --output."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"Another build is running in '{folder}'; wait for it, or choose another --output."
            ) from error
        try:
            yield
        except BaseException:
            if made:
                with contextlib.suppress(OSError):
                    (folder / ".lock").unlink()
                    for each in made:
                        each.rmdir()
            raise
