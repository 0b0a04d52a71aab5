"""What a study is: one declaration of values, cells, table and figure."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dscim.host.research.studies.inputs import Inputs

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
