"""The output of a verb: lines and tables on standard output, progress on standard error."""

import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

GAP = 2
"""Blanks between the columns of a table."""

PIPED_WIDTH = 150
"""Characters per line of a table without a terminal."""


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class Report:
    """The output of one verb.

    quiet: errors only. verbose: more details. aside: everything on standard error, because standard
    output holds a file.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, aside: bool = False) -> None:
        columns = os.environ.get("COLUMNS", "")
        piped = int(columns) if columns.isdecimal() and int(columns) else PIPED_WIDTH
        width = None if (sys.stderr if aside else sys.stdout).isatty() else piped
        self._out = Console(
            quiet=quiet, width=width, highlight=False, markup=False, emoji=False, stderr=aside
        )
        self._aside = Console(quiet=quiet, stderr=True, highlight=False, markup=False)
        self._verbose = verbose

    def say(self, line: str) -> None:
        """Prints one line, never wrapped."""
        self._out.print(line, soft_wrap=True)

    def note(self, line: str) -> None:
        """Prints one line on standard error: what a user should know, but is not an error."""
        self._aside.print(f"dscim: {line}", soft_wrap=True)

    def detail(self, line: str) -> None:
        """Prints one line if the report is verbose."""
        if self._verbose:
            self.say(line)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints a table; a title that begins with '>' aligns its column to the right.

        Words are never broken: where the table is too narrow for the longest word of each column,
        each row is printed as a list of titles and values.
        """
        titles = [title.lstrip(">") for title in columns]
        words = [
            max((len(word) for cell in cells for word in cell.split()), default=0)
            for cells in zip(titles, *rows, strict=True)
        ]
        if sum(words) + GAP * (len(words) - 1) > self._out.width:
            self._list(titles, rows)
            return
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for title, shown, word in zip(columns, titles, words, strict=True):
            table.add_column(
                shown,
                overflow="fold",
                min_width=word,
                justify="right" if title.startswith(">") else "left",
            )
        for row in rows:
            table.add_row(*row)
        self._out.print(table)

    def _list(self, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Prints each row as lines of a title and a value, with an empty line between rows."""
        indent = max(map(len, titles)) + GAP
        for place, row in enumerate(rows):
            if place:
                self.say("")
            for title, value in zip(titles, row, strict=True):
                room = max(1, self._out.width - indent)
                lines = textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False)
                for line, start in zip(lines, [title, *[""] * len(lines)], strict=False):
                    self.say(f"{start:{indent}}{line}")

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """A bar with rate and remaining time on a terminal; yields `step(what, done, total)`."""
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=self._aside,
            transient=True,
            disable=not self._aside.is_terminal,
        )
        with bar:
            tasks: dict[str, TaskID] = {}

            def step(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    for past in tasks.values():
                        bar.update(past, visible=False)
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=done, total=total)

            yield step
