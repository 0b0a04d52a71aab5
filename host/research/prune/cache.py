"""Evaluated structures on disk: one line of JSON each, written as soon as it is known."""

import json
import os
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import reason_of, save_text
from dscim.host.research.prune.space import Structure

FORMAT = "dscim structure search"


class Cache:
    """Structures and their fitness, in memory and in a file that stays valid if the process dies.

    The first line of the file, written with the first fitness, identifies the search. An incomplete
    last line is dropped.
    """

    def __init__(self, path: Path | None, facts: dict[str, Any]) -> None:
        """path: the file; None: nothing is stored on disk.

        facts: JSON values that determine a fitness; UserError if the file has others.
        """
        self.known: dict[Structure, float] = {}
        self._path = path
        self._header = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
        if path is not None:
            self._open(path)

    def add(self, structure: Structure, fitness: float) -> None:
        """Stores a fitness; it is on disk when this returns."""
        self.known[structure] = fitness
        if self._path is not None:
            try:
                with self._path.open("a") as file:
                    if not file.tell():  # words: ok
                        file.write(self._header + "\n")
                    file.write(json.dumps([list(structure), fitness]) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise UserError(f"'{self._path}' cannot be written: {reason_of(error)}.") from error

    def _open(self, path: Path) -> None:
        """Reads the file, and removes an incomplete last line from it."""
        try:
            text = path.read_text() if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"'{path}' cannot be read: {error}.") from error
        whole = text[: text.rfind("\n") + 1]
        lines = whole.splitlines()
        if lines and lines[0] != self._header:
            raise UserError(
                f"'{path}' belongs to another search: it says {lines[0][:200]}; "
                "remove it or give another folder."
            )
        try:
            for line in lines[1:]:
                genes, fitness = json.loads(line)
                self.known[tuple(int(gene) for gene in genes)] = float(fitness)
        except (ValueError, TypeError) as error:
            raise UserError(f"'{path}' is damaged: {error}; remove it.") from error
        if whole != text:
            save_text(path, whole)
