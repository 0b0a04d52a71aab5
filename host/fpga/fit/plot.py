"""A plot of fronts with matplotlib, which is an extra: inferences/s over four-input tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import replacing
from dscim.host.fpga.fit.explore import Front

SUFFIXES = (".png", ".svg", ".pdf")


def new_figure(path: Path) -> Any:
    """An empty figure; UserError without matplotlib, or for an unknown suffix of `path`."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(
            "plots need matplotlib: install it with `pip install dscim[studies]`, or "
            "leave --plot out."
        ) from error
    if path.suffix not in SUFFIXES:
        raise UserError(f"'{path}' cannot be a plot; use a name that ends in .png, .svg or .pdf.")
    return Figure(figsize=(7, 4.5), layout="constrained")


def save_plot(fronts: Sequence[Front], title: str, path: Path) -> None:
    """Writes the plot, a line for each stream length; UserError as for `new_figure`."""
    figure = new_figure(path)
    axes = figure.add_subplot()
    for front in fronts:
        axes.step(
            [one.size.lut4 for one in front.candidates],
            [one.rate for one in front.candidates],
            where="post",
            marker=".",
            label=f"L = {front.length}",
        )
    axes.set(title=title, xlabel="LUT4 (estimate)", ylabel="inferences/s")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend()
    with replacing(path) as new:
        figure.savefig(new)
