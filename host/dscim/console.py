"""The output of a verb: lines and tables on standard output, progress on standard error."""

import os
import sys
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
        """Prints a table; a title that begins with '>' aligns its column to the right."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in columns:
            table.add_column(
                title.lstrip(">"),
                overflow="fold",
                justify="right" if title.startswith(">") else "left",
            )
        for row in rows:
            table.add_row(*row)
        self._out.print(table)

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
