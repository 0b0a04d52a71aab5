"""A figure for a narrow screen: its panels stand one below the other, legends in one column."""

from typing import Any

from matplotlib.figure import Figure

WIDTH, PANEL = 4.2, 3.4
"""Inches of the figure, and of the height of each panel."""

LINE = 0.17
"""Inches of a line of a legend below the panels."""


class TallFigure(Figure):
    """Draws what a study draws on an ordinary figure, `subplots(1, n)` as n rows."""

    def __init__(self) -> None:
        super().__init__(figsize=(WIDTH, PANEL), layout="constrained")

    def subplots(self, nrows: int = 1, ncols: int = 1, **options: Any) -> Any:
        """As the figure's own, rows for columns."""
        self.set_size_inches(WIDTH, PANEL * ncols)
        return super().subplots(ncols, nrows, **options)

    def legend(self, *handles_labels: Any, **options: Any) -> Any:
        """As the figure's own, of handles and labels, with a line for each label."""
        width, height = self.get_size_inches()
        self.set_size_inches(width, height + LINE * len(handles_labels[-1]))
        return super().legend(*handles_labels, **options | {"ncols": 1})
