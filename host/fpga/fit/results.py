"""The tables of builds and macros for pages, from boards/reports, sizes.json and placed.json."""

from collections.abc import Callable, Sequence

from dscim.errors import UserError
from dscim.host.fpga.bitstream.reports import COLUMNS, read_reports, row
from dscim.host.fpga.fit import rates
from dscim.host.fpga.fit.alone import read_placed
from dscim.host.fpga.fit.sides import COLUMNS as SIDES
from dscim.host.fpga.fit.sides import cells, side
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.table import built
from dscim.host.fpga.fit.wanted import contenders
from dscim.markdown import markdown

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def _builds() -> Table:
    return COLUMNS, [row(facts) for facts in read_reports()]


def _estimates() -> Table:
    """Estimates compared with builds."""
    rows = built(SizeModel())
    return (
        "build",
        ">LUT4",
        ">estimated",
        ">off",
        ">block RAM",
        ">estimated",
        ">multipliers",
        ">estimated",
    ), [
        (
            f"`{one.name}`",
            f"{one.lut4}",
            f"{one.estimate.lut4}",
            f"{100 * one.off:+.1f} %",
            f"{one.block_ram}",
            f"{one.estimate.block_ram}",
            f"{one.multipliers}",
            f"{one.estimate.multipliers}",
        )
        for one in rows
    ]


def _macros() -> Table:
    """The macros of `dscim macros` in their default size."""
    model, placed = SizeModel(), read_placed()
    return SIDES, [cells(side(*contender, model, placed)) for contender in contenders(128, 4)]


def _rates() -> Table:
    return rates.COLUMNS, [rate.cells() for rate in rates.rates()]


TABLES: dict[str, Callable[[], Table]] = {
    "builds": _builds,
    "estimates": _estimates,
    "macros": _macros,
    "rates": _rates,
}
"""The tables, by the name of their block in a page."""


def shown(name: str) -> str:
    """A table as Markdown; UserError if it is unknown."""
    if name not in TABLES:
        raise UserError(f"There is no table {name!r}; choose one of {', '.join(TABLES)}.")
    return markdown(*TABLES[name]())
