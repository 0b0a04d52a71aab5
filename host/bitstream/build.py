"""The flow: elaborate, synthesise, place and route until timing is met, pack, hand over."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dscim.boards.parts import Part
from dscim.boards.soc import TOP, Setup, elaborate
from dscim.host.bitstream.families import FAMILIES, REPORT, Family, used
from dscim.host.bitstream.step import LOG, Done, Say, Step, Tick, run_step
from dscim.host.bitstream.timing import ReportError, Timing, judge
from dscim.host.bitstream.tools import Tool, find_tools
from dscim.host.errors import UserError
from dscim.sim.cache import build_beside, cache_folder, digest, forget_old

STEPS = 4
SLOWER = 0.98
"""Of the clock that was reached, what --allow-slow asks next: another place is never the same."""
TRIES = 4
"""Clocks that --allow-slow tries at most."""
FACTS = "report.json"
"""What a build says of itself; stands beside the bitstream."""


class TimingMissed(UserError):
    """No seed met timing; `timing` is the best that was reached."""

    def __init__(self, message: str, timing: Timing) -> None:
        super().__init__(message)
        self.timing = timing


@dataclasses.dataclass(frozen=True)
class Order:
    """What to build, how hard to try, and where to put it.

    seeds: how many places to try; the fastest is kept. allow_slow: lower the clock to what was
    reached and build again, until it is met.
    """

    setup: Setup
    folder: Path
    seeds: int = 1
    allow_slow: bool = False


@dataclasses.dataclass(frozen=True)
class Elaborated:
    """Verilog, memory contents and constraints in `folder`; clocks as `Sources` has them."""

    folder: Path
    clocks: dict[str, float]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Routed:
    """One place and route: its seed, what it left, what it reached."""

    seed: int
    done: Done
    timing: Timing
    report: dict[str, Any]


class Builder:
    """Builds one order; `say` hears lines, `tick(what, done, total)` moves a progress bar."""

    def __init__(self, order: Order, say: Say, tick: Tick) -> None:
        self.order, self._say, self._tick = order, say, tick

    def build(self) -> dict[str, Any]:
        """The facts of the bitstream that now stands in the order's folder (report.json).

        UserError for missing tools or a failed step, TimingMissed where a clock misses: the folder
        then keeps what it had, and no bitstream of this build is in it.
        """
        setup = self.order.setup
        part = setup.board.parts[setup.device]
        family = FAMILIES.get(part.family)
        tools = find_tools(family.kinds) if family else []
        with _alone(self.order.folder):
            if family is None:
                return self._sources_alone()
            for _ in range(TRIES if self.order.allow_slow else 1):
                try:
                    return self._build(setup, family, tools, part)
                except TimingMissed as missed:
                    last = missed
                    slower = setup.clock*missed.timing.worst.ratio*SLOWER
                    setup = dataclasses.replace(setup, clock=float(int(slower/1e4)*1e4))
                    if self.order.allow_slow:
                        self._say(f"{missed} Trying {setup.clock/1e6:g} MHz.")
            raise last

    def _build(self, setup: Setup, family: Family, tools: list[Tool], part: Part
               ) -> dict[str, Any]:
        yosys, nextpnr, packer = tools
        made = _elaborate(setup, self._say)
        contents = {path.name: path for path in made.folder.glob("*.init")}
        netlist = self._run(Step(
            "synthesis", f"[2/{STEPS}] synthesis", yosys, ("-p", family.script()),
            {f"{TOP}.v": made.folder/f"{TOP}.v"} | contents, (f"{TOP}.json", "cells.json"), 120))
        self._check_room(netlist.folder, part)
        best = self._best(made, netlist, nextpnr, family, part)
        if not best.timing.met:
            raise TimingMissed(best.timing.verdict(), best.timing)
        packed = self._run(Step(
            "packing", f"[4/{STEPS}] packing", packer, tuple(family.pack(part)),
            {family.routed: best.done.folder/family.routed}, (family.bitstream,), 20))
        facts = _facts(setup, part, tools, made, best, family,
                       {"elaborate": made.seconds, "synthesis": netlist.seconds,
                        "place_and_route": best.done.seconds, "packing": packed.seconds})
        logs = {"synthesis.log": netlist.folder/LOG, "place.log": best.done.folder/LOG,
                "packing.log": packed.folder/LOG, "timing.json": best.done.folder/REPORT}
        _hand_over(self.order.folder, packed.folder/family.bitstream, logs, facts)
        return facts

    def _run(self, step: Step) -> Done:
        return run_step(step, self._say, self._tick)

    def _best(self, made: Elaborated, netlist: Done, nextpnr: Tool, family: Family, part: Part
              ) -> Routed:
        """The fastest of the seeds."""
        routed = []
        for seed in range(1, self.order.seeds + 1):
            label = f"[3/{STEPS}] place and route, seed {seed} of {self.order.seeds}"
            arguments = family.place(part, made.clocks, seed)
            done = self._run(Step(
                "place", label, nextpnr, tuple(arguments),
                {f"{TOP}.json": netlist.folder/f"{TOP}.json",
                 family.constraints: made.folder/family.constraints},
                (family.routed, REPORT), 600))
            report = json.loads((done.folder/REPORT).read_text())
            try:
                timing = judge(report, made.clocks)
            except ReportError as error:
                raise UserError(f"{error} See {done.folder/LOG}.") from error
            self._say("      " + ", ".join(
                f"{clock.name} {clock.reached:.1f} MHz ({clock.asked:.1f} asked)"
                for clock in timing.clocks))
            routed.append(Routed(seed, done, timing, report))
        return max(routed, key=lambda one: one.timing.worst.ratio)

    def _check_room(self, folder: Path, part: Part) -> None:
        """UserError where the cells alone are more than the part has."""
        counts = json.loads((folder/"cells.json").read_text())["design"]["num_cells_by_type"]
        for name, kinds, room in (("four-input tables", ("LUT4",), part.lut4),
                                  ("block RAMs", ("DP16KD",), part.block_ram)):
            needed = sum(counts.get(kind, 0) for kind in kinds)
            if needed > room:
                raise UserError(f"The device needs {needed} {name} and {part.name} has {room}; "
                                "build it with fewer --columns or smaller memories.")

    def _sources_alone(self) -> dict[str, Any]:
        """For a board that no open tool of ours builds: the sources and the vendor's script."""
        setup = self.order.setup
        made = _elaborate(setup, self._say, steps=1)
        for path in made.folder.iterdir():
            _replace(path, self.order.folder/path.name)
        facts = _identity(setup) | {"built": False, "clocks": made.clocks}
        _write(self.order.folder/FACTS, json.dumps(facts, indent=2) + "\n")
        return facts


def _elaborate(setup: Setup, say: Say, steps: int = STEPS) -> Elaborated:
    """The sources of `setup`, from the cache or made."""
    versions = [version(package) for package in ("migen", "litex", "litex-boards")]
    described = [setup.board.name, setup.device, json.dumps(setup.spec.to_json()),
                 f"{setup.clock}", f"{setup.baud}"]
    home = cache_folder() / f"sources-{digest([*versions, *described, *_code()])}"
    label = f"[1/{steps}] elaboration"
    cached = home.exists()
    if not cached:
        say(label)
        forget_old("sources-*")
        start = time.monotonic()
        with build_beside(home) as beside:
            clocks = elaborate(setup, beside).clocks
            (beside/"made.json").write_text(json.dumps(
                {"clocks": clocks, "seconds": time.monotonic() - start}))
    os.utime(home)
    made = json.loads((home/"made.json").read_text())
    say(f"{label}: {made['seconds']:.1f} s" + (", kept from before" if cached else ""))
    return Elaborated(home, made["clocks"], made["seconds"])


def _code() -> list[str | bytes]:
    """Names and contents of the sources that decide the Verilog."""
    import dscim.boards  # noqa: PLC0415
    import dscim.gateware  # noqa: PLC0415

    rooms = [Path(room.__file__ or "").parent for room in (dscim.boards, dscim.gateware)]
    files = [path for room in rooms for path in sorted(room.rglob("*.py"))]
    return [part for path in files for part in (path.name, path.read_bytes())]


def _identity(setup: Setup) -> dict[str, Any]:
    """What says which device this is."""
    return {"board": setup.board.name, "device": setup.device,
            "part": setup.board.parts[setup.device].name, "spec_hash": f"{setup.spec.hash:08x}",
            "spec": setup.spec.to_json(), "baud": setup.baud}


def _facts(setup: Setup, part: Part, tools: list[Tool], made: Elaborated, best: Routed,
           family: Family, seconds: dict[str, float]) -> dict[str, Any]:
    return _identity(setup) | {
        "built": True, "bitstream": family.bitstream, "seed": best.seed,
        "clocks": {clock.name: {"asked_mhz": clock.asked, "reached_mhz": clock.reached}
                   for clock in best.timing.clocks},
        "worst_paths": {path.clock: str(path) for path in best.timing.paths},
        "cells": used(family, best.report["utilization"]),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "versions": {tool.name: tool.version for tool in tools} | {
            package: version(package) for package in ("migen", "litex", "litex-boards")}}


def _hand_over(folder: Path, bitstream: Path, logs: dict[str, Path], facts: dict[str, Any]
               ) -> None:
    """Puts logs, bitstream and facts into `folder`; the facts, last, make the bitstream valid."""
    (folder/FACTS).unlink(missing_ok=True)
    for name, path in logs.items():
        _replace(path, folder/name)
    _replace(bitstream, folder/bitstream.name)
    facts["sha256"] = hashlib.sha256(bitstream.read_bytes()).hexdigest()
    _write(folder/FACTS, json.dumps(facts, indent=2) + "\n")


def _replace(source: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copy(source, beside)
        os.replace(beside, target)
    except OSError as error:
        raise UserError(f"'{target}' cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)


def _write(target: Path, text: str) -> None:
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        beside.write_text(text)
        os.replace(beside, target)
    except OSError as error:
        raise UserError(f"'{target}' cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder; UserError where it cannot be made or another build holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder/".lock").open("w")
    except OSError as error:
        raise UserError(f"'{folder}' cannot be made: {error.strerror}; choose another --output."
                        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"Another build is at work in '{folder}'; wait for it, or choose "
                            "another --output.") from error
        yield
