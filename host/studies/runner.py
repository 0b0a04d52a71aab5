"""Computes a study's cells, and keeps each as soon as it is done."""

import dataclasses
import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dscim.host.cli.files import save_json
from dscim.host.studies.study import Cell, Row, Study
from dscim.sim.cache import digest

Step = Callable[[str, int, int], None]
"""Called with a name, the cells done and all cells."""

ROOTS = ("dscim.gateware.specs", "dscim.host.reference", "dscim.host.studies",
         "dscim.host.language")
"""Packages whose sources a kept cell depends on: with other sources it is computed again."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A study as it was computed: its rows, the seconds they took, quick or not."""

    study: Study
    quick: bool
    rows: list[Row]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """JSON values: all that a reader needs to judge the rows and make them again."""
        study = self.study
        lines = (aim.line(self.rows) for aim in study.aims)
        return {
            "study": study.name, "title": study.title, "question": study.question,
            "command": self.command, "quick": self.quick, "seconds": round(self.seconds, 1),
            "seeds": dict(study.seeds),
            "published": [dataclasses.asdict(each) for each in study.published],
            "aims": [line for line in lines if line is not None], "rows": self.rows}

    @property
    def command(self) -> str:
        """What computes the same rows again."""
        return f"dscim study {self.study.name}{' --quick' if self.quick else ''}"


def run(study: Study, quick: bool, work: Path, step: Step) -> Outcome:
    """The study's rows; cells that `work` holds from an earlier run are not computed again.

    work: a folder, made when missing. A run that is stopped loses only the cell it was at.
    """
    cells = study.cells(quick)
    sources = _sources()
    rows: list[Row] = []
    seconds = 0.0
    for done, cell in enumerate(cells):
        step(study.name, done, len(cells))
        kept = _kept(work, digest([study.name, cell.key, *sources]), cell)
        rows += kept["rows"]
        seconds += kept["seconds"]
    step(study.name, len(cells), len(cells))
    return Outcome(study, quick, rows, seconds)


def _kept(work: Path, key: str, cell: Cell) -> dict[str, Any]:
    """The cell's rows and the seconds they took, from the folder or computed and put there."""
    path = work / f"{key}.json"
    try:
        kept = json.loads(path.read_text())
        if kept["key"] == cell.key:
            return {"rows": kept["rows"], "seconds": kept["seconds"]}
    except (OSError, ValueError, LookupError, TypeError):
        pass  # not there, or half a file of another program: computed again
    began = time.monotonic()
    rows = list(cell.compute())
    kept = {"key": cell.key, "seconds": time.monotonic() - began, "rows": rows}
    work.mkdir(parents=True, exist_ok=True)
    save_json(path, kept)
    return kept


def _sources() -> list[bytes]:
    """The sources of ROOTS, as bytes."""
    return [path.read_bytes() for root in ROOTS
            for folder in importlib.import_module(root).__path__
            for path in sorted(Path(folder).glob("*.py"))]
