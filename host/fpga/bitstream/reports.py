"""The builds whose reports the project has: what each board's device takes and what it reaches."""

import json
from importlib import resources
from typing import Any

from dscim.boards.soc import SYS

REPORTS = "reports"
"""Folder of `dscim.boards` with the JSON of finished builds, by the board's name: the file that
`make bitstreams` has `dscim build BOARD --json` write."""

COLUMNS = (
    "board",
    "macro",
    "links",
    ">LUT4",
    ">FF",
    ">block RAM",
    ">multipliers",
    ">sys, MHz",
    ">asked",
    ">Ethernet, MHz",
    ">asked",
    ">minutes",
)
"""Of the table of builds; '>' aligns to the right. Minutes are those of all steps."""


def read_reports() -> list[dict[str, Any]]:
    """The facts of every finished build, by the file's name."""
    folder = resources.files("dscim.boards") / REPORTS
    files = folder.iterdir() if folder.is_dir() else ()
    return [
        json.loads(path.read_text())
        for path in sorted(files, key=lambda path: path.name)
        if path.name.endswith(".json")
    ]


def row(facts: dict[str, Any]) -> tuple[str, ...]:
    """A build in the columns of COLUMNS."""
    macro, clocks = facts["spec"]["macro"], dict(facts["clocks"])
    ethernet = next((clock for name, clock in clocks.items() if "eth" in name), None)
    return (
        f"{facts['board']} {facts['device']}",
        f"{macro['rows']} x {macro['columns']} {macro['form']}, {macro['lanes']} lanes",
        "UART, Ethernet" if facts["ip"] else "UART",
        *(
            _used(facts["cells"][name])
            for name in ("lut4", "flip_flops", "block_ram", "multipliers")
        ),
        *_megahertz(clocks[SYS]),
        *_megahertz(ethernet),
        f"{sum(facts['seconds'].values()) / 60:.0f}",
    )


def _used(count: dict[str, int]) -> str:
    share = 100 * count["used"] / max(1, count["available"])
    return f"{count['used']} ({share:.0f} %)"


def _megahertz(clock: dict[str, float] | None) -> tuple[str, str]:
    """Reached and asked."""
    if clock is None:
        return "-", "-"
    return f"{clock['reached_mhz']:.1f}", f"{clock['asked_mhz']:.1f}"
