"""The timing gate: nextpnr's report held against what every clock was asked."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

MEGA = 1e6


@dataclasses.dataclass(frozen=True)
class Clock:
    """A clock of the design: what it was asked and what it reached, in MHz."""

    name: str
    asked: float
    reached: float

    @property
    def meets(self) -> bool:
        """It is as fast as it was asked."""
        return self.reached >= self.asked

    @property
    def ratio(self) -> float:
        """What it reached as a multiple of what it was asked."""
        return self.reached / self.asked


@dataclasses.dataclass(frozen=True)
class Path:
    """A worst path of one clock: registers at its ends, signals between, nanoseconds."""

    clock: str
    start: str
    end: str
    through: tuple[str, ...]
    logic: float
    routing: float

    def __str__(self) -> str:
        way = " > ".join((self.start, *self.through, self.end))
        return (
            f"{way} ({self.logic + self.routing:.1f} ns: {self.logic:.1f} logic, "
            f"{self.routing:.1f} routing)"
        )


@dataclasses.dataclass(frozen=True)
class Timing:
    """What one place and route reached."""

    clocks: tuple[Clock, ...]
    paths: tuple[Path, ...]

    @property
    def met(self) -> bool:
        """Every clock is as fast as it was asked."""
        return all(clock.meets for clock in self.clocks)

    @property
    def worst(self) -> Clock:
        """The clock with the least ratio."""
        return min(self.clocks, key=lambda clock: clock.ratio)

    def path(self, clock: str) -> Path | None:
        """The worst path of `clock`."""
        return next((path for path in self.paths if path.clock == clock), None)

    def verdict(self) -> str:
        """The clocks that miss, each in a sentence with its worst path; "" when all are met."""
        return " ".join(self._miss(clock) for clock in self.clocks if not clock.meets)

    def _miss(self, clock: Clock) -> str:
        path = self.path(clock.name)
        way = f"; its worst path is {path}" if path else ""
        return (
            f"Clock {clock.name} was asked to reach {clock.asked:.2f} MHz and reached "
            f"{clock.reached:.2f} MHz{way}."
        )


class ReportError(ValueError):
    """nextpnr's report does not say what must be known of it."""


def aliases(netlist: Mapping[str, Any], top: str, clocks: Iterable[str]) -> dict[str, str]:
    """Every name that a clock's net has in Yosys's JSON netlist, and which of `clocks` it is."""
    nets = netlist["modules"][top]["netnames"]
    ours = {nets[clock]["bits"][0]: clock for clock in clocks if clock in nets}
    return {
        name: ours[net["bits"][0]]
        for name, net in nets.items()
        if len(net["bits"]) == 1 and net["bits"][0] in ours
    }


def judge(
    report: Mapping[str, Any], asked: Mapping[str, float], known: Mapping[str, str] | None = None
) -> Timing:
    """The timing that nextpnr's JSON report tells.

    asked: Hz by the clock's signal in the Verilog. Where nextpnr was told more, more counts.
    known: other names of these signals, as `aliases` finds them.
    ReportError where a clock of the report is not known, or one that was asked is not in it: a
    silent report must not pass.
    """
    ours = known or {}

    def name_of(clock: str) -> str:
        return ours.get(signal_name(clock), signal_name(clock))

    found = {name_of(name): entry for name, entry in report.get("fmax", {}).items()}
    if set(found) != set(asked):
        raise ReportError(
            f"nextpnr's report tells the clocks {', '.join(sorted(found)) or 'none'} "
            f"where {', '.join(sorted(asked))} were asked to be fast."
        )
    clocks = tuple(
        Clock(name, max(hertz / MEGA, found[name]["constraint"]), found[name]["achieved"])
        for name, hertz in asked.items()
    )
    paths = tuple(
        _path(entry, name_of(_domain(entry["to"])))
        for entry in report.get("critical_paths", [])
        if _domain(entry["from"]) == _domain(entry["to"]) != ""
    )
    return Timing(clocks, paths)


def signal_name(name: str) -> str:
    """A clock's name in the Verilog, from nextpnr's: $glbnet$sys_clk, clk100$TRELLIS_IO_IN."""
    return re.sub(r"^\$glbnet\$", "", name).split("$")[0]


_CELL = re.compile(
    r"_(?:TRELLIS_FF|LUT[1-8]|CCU2C|PFUMX|L6MUX21|DP16KD|TRELLIS_DPR16X4|"
    r"TRELLIS_COMB|MULT18X18D|ALU|DFF[A-Z]*|MUX2_LUT\d|RAM16SDP\d|SDPX?9?B?|"
    r"DPX?9?B?|pROM)_.*|\$.*"
)


def plain(name: str) -> str:
    """The signal of ours in a name that Yosys and nextpnr have grown."""
    return re.sub(r"\[\d+\]$", "", _CELL.sub("", name)) or name


def _domain(edge: str) -> str:
    """The clock in "posedge $glbnet$sys_clk"; "" for <async>."""
    words = edge.split()
    return signal_name(words[-1]) if len(words) == 2 else ""


def _path(entry: Mapping[str, Any], clock: str) -> Path:
    """A critical path of the report; the way is named by its nets, one after the other once."""
    hops = entry["path"]
    sums = {"routing": 0.0, "logic": 0.0}
    nets: list[str] = []
    for hop in hops:
        sums["routing" if hop["type"] == "routing" else "logic"] += hop["delay"]
        name = plain(hop.get("net") or "$")
        if not name.startswith("$") and name not in nets:  # $: nextpnr's own, as of carries
            nets.append(name)
    start, end = plain(hops[0]["from"]["cell"]), plain(hops[-1]["to"]["cell"])
    through = tuple(net for net in nets if net not in (start, end))
    return Path(clock, start, end, through, sums["logic"], sums["routing"])
