"""Verilog to a bitstream: synthesis, place and route with several seeds, timing, packing."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from dscim.boards.parts import Part
from dscim.boards.soc import TOP
from dscim.errors import UserError
from dscim.host.fpga.bitstream.families import REPORT, Family, used
from dscim.host.fpga.bitstream.step import LOG, Done, Step, run_step
from dscim.host.fpga.bitstream.timing import ReportError, Timing, aliases, judge
from dscim.host.fpga.bitstream.tools import Tool
from dscim.progress import Progress, Say

STEPS = 4
"""Steps of a whole build; elaboration is the first."""

BLOCKS = ("DP16KD", "SDPB", "SDPX9B", "DPB", "DPX9B", "SP")
"""Yosys's cells that are a block RAM, of all families."""

SMALLER = "build it with fewer --columns, smaller memories or --no-ethernet"
FULL = "utilisation limit"
"""Part of nextpnr's message when the design does not fit the part."""


class TimingMissed(UserError):
    """No seed met timing; `timing` is the best result."""

    def __init__(self, message: str, timing: Timing) -> None:
        super().__init__(message)
        self.timing = timing


@dataclasses.dataclass(frozen=True)
class Elaborated:
    """Verilog, memory contents and constraints in `folder`; clocks in Hz by signal."""

    folder: Path
    clocks: dict[str, float]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Routed:
    """One place and route: its seed, its output, its timing."""

    seed: int
    done: Done
    timing: Timing
    report: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Built:
    """A bitstream that meets timing, and every step that led to it."""

    made: Elaborated
    netlist: Done
    routed: Routed
    packed: Done
    family: Family

    @property
    def bitstream(self) -> Path:
        """The file to load."""
        return self.packed.folder / self.family.bitstream

    def logs(self) -> dict[str, Path]:
        """The logs of the tools, by the names of their copies next to the bitstream."""
        return {
            "synthesis.log": self.netlist.folder / LOG,
            "place.log": self.routed.done.folder / LOG,
            "packing.log": self.packed.folder / LOG,
            "timing.json": self.routed.done.folder / REPORT,
        }

    def facts(self) -> dict[str, Any]:
        """Cells, clocks, paths and seconds, as JSON values."""
        timing = self.routed.timing
        seconds = {
            "elaboration": self.made.seconds,
            "synthesis": self.netlist.seconds,
            "place_and_route": self.routed.done.seconds,
            "packing": self.packed.seconds,
        }
        return {
            "bitstream": self.family.bitstream,
            "seed": self.routed.seed,
            "clocks": {
                clock.name: {"asked_mhz": clock.asked, "reached_mhz": clock.reached}
                for clock in timing.clocks
            },
            "worst_paths": {path.clock: str(path) for path in timing.paths},
            "cells": used(self.family, self.routed.report["utilization"]),
            "seconds": {name: round(value, 1) for name, value in seconds.items()},
        }


class Flow:
    """The tools of a family on one part; the result of every step is cached.

    tools: one for each of the family's kinds, in order. synthesis: further options for Yosys.
    """

    def __init__(
        self,
        family: Family,
        tools: list[Tool],
        part: Part,
        say: Say,
        tick: Progress,
        synthesis: str = "",
    ) -> None:
        self._family, self._part, self._say, self._tick = family, part, say, tick
        self._yosys, self._nextpnr, self._packer = tools
        self._script = family.script(synthesis)

    def run(self, made: Elaborated, seeds: int) -> Built:
        """The bitstream of the fastest of `seeds` placements.

        UserError for a failed step; TimingMissed, without packing, when no seed meets every clock.
        """
        netlist = self.synthesise(made)
        routed = [self.place(made, netlist, seed, seeds) for seed in range(1, seeds + 1)]
        best = max(routed, key=lambda one: one.timing.worst.ratio)
        if not best.timing.met:
            raise TimingMissed(best.timing.verdict(), best.timing)
        family = self._family
        packed = self._run(
            Step(
                "packing",
                f"[4/{STEPS}] packing",
                self._packer,
                tuple(family.pack(self._part)),
                {family.routed: best.done.folder / family.routed},
                (family.bitstream,),
                20,
            )
        )
        return Built(made, netlist, best, packed, family)

    def synthesise(self, made: Elaborated) -> Done:
        """The netlist as JSON; UserError when it needs more cells than the part has."""
        contents = {path.name: path for path in made.folder.glob("*.init")}
        netlist = self._run(
            Step(
                "synthesis",
                f"[2/{STEPS}] synthesis",
                self._yosys,
                ("-p", self._script),
                {f"{TOP}.v": made.folder / f"{TOP}.v"} | contents,
                (f"{TOP}.json", "cells.json"),
                120,
            )
        )
        counts = json.loads((netlist.folder / "cells.json").read_text())["design"]
        self._check_room(counts["num_cells_by_type"])
        return netlist

    def place(self, made: Elaborated, netlist: Done, seed: int, seeds: int) -> Routed:
        """One place and route, and its timing."""
        family = self._family
        try:
            done = self._run(
                Step(
                    "place",
                    f"[3/{STEPS}] place and route, seed {seed} of {seeds}",
                    self._nextpnr,
                    tuple(family.place(self._part, made.clocks, seed)),
                    {
                        f"{TOP}.json": netlist.folder / f"{TOP}.json",
                        family.constraints: made.folder / family.constraints,
                    },
                    (family.routed, REPORT),
                    600,
                )
            )
        except UserError as error:
            if FULL not in str(error):
                raise
            raise UserError(f"{str(error).removesuffix('.')}; {SMALLER}.") from error
        report = json.loads((done.folder / REPORT).read_text())
        try:
            timing = judge(
                report,
                made.clocks,
                aliases(json.loads((netlist.folder / f"{TOP}.json").read_text()), TOP, made.clocks),
            )
        except ReportError as error:
            raise UserError(f"{error} See {done.folder / LOG}.") from error
        self._say(
            "      "
            + ", ".join(
                f"{clock.name} {clock.reached:.1f} MHz (target {clock.asked:.1f})"
                for clock in timing.clocks
            )
        )
        return Routed(seed, done, timing, report)

    def _run(self, step: Step) -> Done:
        return run_step(step, self._say, self._tick)

    def _check_room(self, counts: dict[str, int]) -> None:
        """UserError when the netlist needs more cells than the part has, before placement."""
        part = self._part
        blocks = sum(counts.get(kind, 0) for kind in BLOCKS)
        for name, needed, room in (
            ("four-input tables", self._family.table_count(counts), part.lut4),
            ("block RAMs", blocks, part.block_ram),
        ):
            if needed > room:
                raise UserError(
                    f"The device needs {needed} {name} and {part.name} has {room}; {SMALLER}."
                )
