"""A study's results as files: CSV and figure."""

import csv
import io
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import save_bytes
from dscim.host.research.studies.runner import Outcome

SIZE = (8.0, 5.0)
"""Inches of a figure."""

WIDTH, PANEL = 4.2, 3.4
"""Inches of a tall figure, and of the height of each of its panels."""

LINE = 0.17
"""Inches of a line of a legend below the panels."""

SUFFIXES = (".png", ".svg")


def check_figure(path: Path | None) -> None:
    """UserError if `path` cannot be a figure: for a wrong suffix, or without matplotlib."""
    if path is None:
        return
    if path.suffix not in SUFFIXES:
        raise UserError(f"'{path}' cannot be a figure; use a name that ends in .png or .svg.")
    new_figure()


def new_figure(tall: bool = False) -> Any:
    """An empty matplotlib figure; UserError without matplotlib.

    tall: for a narrow screen, with panels one below the other.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(
            "Figures need matplotlib; run `pip install 'dscim[studies]'`, or leave out --figure "
            "and --report."
        ) from error
    if not tall:
        return Figure(figsize=SIZE, layout="constrained")

    class TallFigure(Figure):
        """For a narrow screen: `subplots(1, n)` gives n rows."""

        def subplots(self, nrows: int = 1, ncols: int = 1, **options: Any) -> Any:
            """As in Figure, with rows and columns exchanged."""
            self.set_size_inches(WIDTH, PANEL * ncols)
            return super().subplots(ncols, nrows, **options)

        def legend(self, *handles_labels: Any, **options: Any) -> Any:
            """As in Figure, in one column, and with space for each of its lines."""
            width, height = self.get_size_inches()
            self.set_size_inches(width, height + LINE * len(handles_labels[-1]))
            return super().legend(*handles_labels, **options | {"ncols": 1})

    return TallFigure(figsize=(WIDTH, PANEL), layout="constrained")


def drawn(outcome: Outcome, form: str, tall: bool = False) -> bytes:
    """The bytes of a file with the study's figure; the same rows give the same bytes.

    form: "png" or "svg". tall: as for `new_figure`.
    """
    import matplotlib  # noqa: PLC0415 - an extra

    figure = new_figure(tall)
    outcome.study.figure(figure, outcome.rows)
    packed = io.BytesIO()
    salt = f"{outcome.study.name}, {'tall' if tall else 'wide'}"
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        figure.savefig(
            packed, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None
        )
    return packed.getvalue()


def save_figure(path: Path | None, outcome: Outcome) -> None:
    """Writes the figure atomically; does nothing without a path."""
    if path is not None:
        save_bytes(path, drawn(outcome, path.suffix[1:]))


def save_csv(path: Path | None, outcome: Outcome) -> None:
    """Writes all fields of all rows as CSV with a header; does nothing without a path."""
    if path is None:
        return
    fields = list(dict.fromkeys(name for row in outcome.rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(outcome.rows)
    save_bytes(path, text.getvalue().encode())
