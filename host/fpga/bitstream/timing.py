"""The timing check: nextpnr's report compared with the target of every clock."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

MEGA = 1e6


@dataclasses.dataclass(frozen=True)
class Clock:
    """A clock of the design: its target `asked` and the frequency that it reached, in MHz."""

    name: str
    asked: float
    reached: float

    @property
    def meets(self) -> bool:
        """True when it reaches its target."""
        return self.reached >= self.asked

    @property
    def ratio(self) -> float:
        """The reached frequency as a multiple of the target."""
        return self.reached / self.asked


@dataclasses.dataclass(frozen=True)
class Path:
    """The worst path of one clock: start and end register, signals between them, delays in ns."""

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
    """The timing of one place and route."""

    clocks: tuple[Clock, ...]
    paths: tuple[Path, ...]

    @property
    def met(self) -> bool:
        """True when every clock reaches its target."""
        return all(clock.meets for clock in self.clocks)

    @property
    def worst(self) -> Clock:
        """The clock with the lowest ratio."""
        return min(self.clocks, key=lambda clock: clock.ratio)

    def path(self, clock: str) -> Path | None:
        """The worst path of `clock`."""
        return next((path for path in self.paths if path.clock == clock), None)

    def verdict(self) -> str:
        """A sentence with the worst path for each clock that misses; "" when all are met."""
        return " ".join(self._miss(clock) for clock in self.clocks if not clock.meets)

    def _miss(self, clock: Clock) -> str:
        path = self.path(clock.name)
        way = f"; its worst path is {path}" if path else ""
        return (
            f"Clock {clock.name} reaches {clock.reached:.2f} MHz, below its target of "
            f"{clock.asked:.2f} MHz{way}."
        )


class ReportError(ValueError):
    """nextpnr's report lacks something that the check needs."""


def aliases(netlist: Mapping[str, Any], top: str, clocks: Iterable[str]) -> dict[str, str]:
    """The clock of each net of Yosys's JSON netlist that carries one of `clocks`, by net name."""
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
    """The timing in nextpnr's JSON report.

    asked: target in Hz, by the clock's signal in the Verilog; a higher constraint in the report
    takes precedence. known: other names of these signals, from `aliases`.
    ReportError when the report has an unknown clock or lacks one of `asked`, because a report
    without clocks must not pass.
    """
    ours = known or {}

    def name_of(clock: str) -> str:
        return ours.get(signal_name(clock), signal_name(clock))

    found = {name_of(name): entry for name, entry in report.get("fmax", {}).items()}
    if set(found) != set(asked):
        raise ReportError(
            f"nextpnr's report has the clocks {', '.join(sorted(found)) or 'none'}, expected "
            f"{', '.join(sorted(asked))}."
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
    """The name of the design's signal, without what Yosys and nextpnr appended to it."""
    return re.sub(r"\[\d+\]$", "", _CELL.sub("", name)) or name


def _domain(edge: str) -> str:
    """The clock in "posedge $glbnet$sys_clk"; "" for <async>."""
    words = edge.split()
    return signal_name(words[-1]) if len(words) == 2 else ""


def _path(entry: Mapping[str, Any], clock: str) -> Path:
    """A critical path of the report; the names of its nets in order, each once."""
    hops = entry["path"]
    sums = {"routing": 0.0, "logic": 0.0}
    nets: list[str] = []
    for hop in hops:
        sums["routing" if hop["type"] == "routing" else "logic"] += hop["delay"]
        name = plain(hop.get("net") or "$")
        if not name.startswith("$") and name not in nets:  # $: nextpnr's own, for example carries
            nets.append(name)
    start, end = plain(hops[0]["from"]["cell"]), plain(hops[-1]["to"]["cell"])
    through = tuple(net for net in nets if net not in (start, end))
    return Path(clock, start, end, through, sums["logic"], sums["routing"])
