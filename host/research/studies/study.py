"""What a study is: one declaration of values, cells, table and figure; and what users can set."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from dscim.errors import UserError

Row = dict[str, Any]
"""One line of a study's results: JSON values by name."""

Rows = Sequence[Row]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A part of a study that is computed at one go, and then kept.

    key: what it computes, in words; it names the result in the work folder.
    compute: gives the cell's rows; it depends on nothing but the code and its own seeds.
    """

    key: str
    compute: Callable[[], Iterable[Row]]


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a study's table: the rows' field, its title, its format (as `format` takes)."""

    field: str
    title: str
    form: str = ""

    def text(self, row: Row) -> str:
        """The row's value as it is shown; "-" where it has none."""
        value = row.get(self.field)
        return "-" if value is None else format(value, self.form)


@dataclasses.dataclass(frozen=True)
class Published:
    """A value of the paper. source: "paper", or where else it was read."""

    what: str
    value: float
    unit: str
    source: str = "arXiv 2601.06724, abstract"


@dataclasses.dataclass(frozen=True)
class Aim:
    """What a study hopes for. measured: finds the value in the rows, None where it was not run."""

    what: str
    limit: float
    unit: str
    measured: Callable[[Rows], float | None]
    at_least: bool = False

    def line(self, rows: Rows) -> Row | None:
        """The aim beside what was measured, as JSON values; None where nothing was measured."""
        value = self.measured(rows)
        if value is None:
            return None
        held = value >= self.limit if self.at_least else value <= self.limit
        return {
            "what": self.what,
            "aim": self.limit,
            "unit": self.unit,
            "measured": value,
            "bound": "at least" if self.at_least else "at most",
            "held": bool(held),
        }


LIMITS = {
    "node": (2, 250, "nm"),
    "voltage": (0.2, 3.0, "V"),
    "capacitance": (0.01, 10.0, "fF"),
    "megahertz": (1, 5000, "MHz"),
}


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Of studies `area` and `energy`; UserError for values that no circuit has.

    liberty:     a Liberty file of cells, whose areas then stand for transistors (area).
    node:        nm; it scales areas: a transistor has PITCH * node^2 (energy).
    voltage:     V. capacitance: fF of a gate's input pin (energy).
    megahertz:   the clock, which TOPS/mm2 needs (energy).
    """

    liberty: Path | None = None
    node: float = 28.0
    voltage: float = 0.9
    capacitance: float = 0.25
    megahertz: float = 500.0

    def __post_init__(self) -> None:
        for name, (low, high, unit) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(
                    f"The model's {name} {value:g} {unit} is outside {low:g}..{high:g} {unit}."
                )
        if self.liberty and not self.liberty.is_file():
            raise UserError(
                f"There is no Liberty file '{self.liberty}'; give one of a standard "
                "cell library (.lib)."
            )


@dataclasses.dataclass(frozen=True)
class Study:
    """One study.

    name, title:  of the command line, of the page.
    question:     what it shows, in a sentence or two, with the model behind any estimate.
    published:    the paper's values that it stands beside.
    minutes:      expected on two cores, (quick, full).
    seeds:        of every random choice, by what they decide.
    columns:      of the table in terminal and page; JSON and CSV have all fields.
    cells:        the work: quick or full.
    figure:       draws the rows on an empty matplotlib figure.
    aims:         what was hoped for.
    shown:        the rows of the table, for studies with too many.
    adapted:      the study for inputs of a user's; None where it has no model of circuits.
    needs:        raises UserError, before anything is computed, where a tool is missing.
    """

    name: str
    title: str
    question: str
    published: tuple[Published, ...]
    minutes: tuple[float, float]
    seeds: Mapping[str, int]
    columns: tuple[Column, ...]
    cells: Callable[[bool], list[Cell]]
    figure: Callable[[Any, Rows], None]
    aims: tuple[Aim, ...] = ()
    shown: Callable[[Row], bool] = lambda row: True
    adapted: "Callable[[Inputs], Study] | None" = None
    needs: Callable[[], object] = lambda: None


@cache
def yosys(study: str) -> str:
    """The version of Yosys that `study` counts gates with; UserError without one."""
    from dscim.host.fpga.cells.synthesis import yosys_version  # noqa: PLC0415 - Migen, slow to import

    try:
        return yosys_version()
    except FileNotFoundError as error:
        raise UserError(f"The study {study} needs Yosys: pip install 'dscim[formal]'.") from error
