"""The declaration of a study: values, cells, table and figure."""

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
    """A part of a study that is computed in one step, and then stored.

    key: what it computes, in words; it names the result in the work folder.
    compute: returns the cell's rows, which depend only on the code and its own seeds.
    """

    key: str
    compute: Callable[[], Iterable[Row]]


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a study's table: the rows' field, its title, its format (as for `format`)."""

    field: str
    title: str
    form: str = ""

    def text(self, row: Row) -> str:
        """The row's value as text; "-" where it has none."""
        value = row.get(self.field)
        return "-" if value is None else format(value, self.form)


@dataclasses.dataclass(frozen=True)
class Published:
    """A published value. source: the paper, or another source of it."""

    what: str
    value: float
    unit: str
    source: str = "arXiv 2601.06724, abstract"


@dataclasses.dataclass(frozen=True)
class Aim:
    """A goal of a study.

    measured: finds the value in the rows; None if it was not computed. limit: at most this, or at
    least with `at_least`.
    """

    what: str
    limit: float
    unit: str
    measured: Callable[[Rows], float | None]
    at_least: bool = False

    def line(self, rows: Rows) -> Row | None:
        """The aim and the measured value, as JSON values; None if nothing was measured."""
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
    """Inputs of the studies `area` and `energy` that users can set; UserError for impossible ones.

    liberty:     a Liberty file; the areas of its cells then replace transistors (area).
    node:        nm; it scales areas: a transistor has PITCH * node^2 (energy).
    voltage:     V. capacitance: fF of a gate's input pin (energy).
    megahertz:   clock in MHz, for TOPS/mm2 (energy).
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
                f"There is no Liberty file '{self.liberty}'; give the .lib file of a standard cell "
                "library."
            )


@dataclasses.dataclass(frozen=True)
class Study:
    """One study.

    name, title:  on the command line, on the page.
    question:     what it shows, in a sentence or two, with the model behind any estimate.
    published:    the paper's values to compare with.
    minutes:      expected on two cores, (quick, full).
    seeds:        of every random choice, by what they determine.
    columns:      those of the table on the terminal and in the page; JSON and CSV have all fields.
    cells:        the work, by quick (True) or full.
    figure:       draws the rows on an empty matplotlib figure.
    aims:         the goals.
    shown:        selects the rows of the table, for studies with too many.
    adapted:      the study with a user's inputs; None if it has no model of circuits.
    needs:        raises UserError, before anything is computed, if a tool is missing.
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
    """The version of Yosys, with which `study` counts gates; UserError without Yosys."""
    from dscim.host.fpga.cells.synthesis import yosys_version  # noqa: PLC0415 - Migen, slow to import

    try:
        return yosys_version()
    except FileNotFoundError as error:
        raise UserError(
            f"The study {study} needs Yosys; run `pip install 'dscim[formal]'`."
        ) from error
