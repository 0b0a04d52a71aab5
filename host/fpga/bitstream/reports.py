"""The reports of finished builds: the cells and clocks of each board's device."""

import json
from importlib import resources
from typing import Any

from dscim.boards.soc import SYS

REPORTS = "reports"
"""Folder of `dscim.boards` with the JSON of finished builds, one file per board, written by
`make bitstreams`."""

COLUMNS = (
    "board",
    "macro",
    "links",
    ">LUT4",
    ">FF",
    ">block RAM",
    ">multipliers",
    ">sys, MHz",
    ">target",
    ">Ethernet, MHz",
    ">target",
    ">minutes",
)
"""Columns of the table of builds; '>' aligns right. Minutes are the sum of all steps."""


def read_reports() -> list[dict[str, Any]]:
    """The facts of every finished build, sorted by file name."""
    folder = resources.files("dscim.boards") / REPORTS
    files = folder.iterdir() if folder.is_dir() else ()
    return [
        json.loads(path.read_text())
        for path in sorted(files, key=lambda path: path.name)
        if path.name.endswith(".json")
    ]


def row(facts: dict[str, Any]) -> tuple[str, ...]:
    """The row of a build, in the order of COLUMNS."""
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
    """Reached and target, in MHz."""
    if clock is None:
        return "-", "-"
    return f"{clock['reached_mhz']:.1f}", f"{clock['asked_mhz']:.1f}"
