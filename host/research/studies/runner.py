"""Computes a study's cells, and stores each as soon as it is finished."""

import dataclasses
import importlib
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dscim.cache import digest
from dscim.errors import UserError
from dscim.files import save_json
from dscim.host.research.parallel import Evaluator, Make, Workers
from dscim.host.research.studies.catalogue import study as of_catalogue
from dscim.host.research.studies.study import Cell, Inputs, Row, Study
from dscim.progress import Progress

Kept = dict[str, Any]
"""The result of a cell: key, rows, and the seconds they took."""


ROOTS = (
    "dscim.gateware",
    "dscim.gateware.macro",
    "dscim.gateware.specs",
    "dscim.host.fpga.cells",
    "dscim.host.golden.reference",
    "dscim.host.research.studies",
    "dscim.host.research.language",
)
"""Packages whose sources a stored cell depends on: if they change, it is computed again."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A study's results: its rows, the seconds for computing them, and whether it was quick."""

    study: Study
    quick: bool
    rows: list[Row]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """JSON values: everything needed to judge the rows and to compute them again."""
        study = self.study
        lines = (aim.line(self.rows) for aim in study.aims)
        return {
            "study": study.name,
            "title": study.title,
            "question": study.question,
            "command": self.command,
            "quick": self.quick,
            "seconds": round(self.seconds, 1),
            "seeds": dict(study.seeds),
            "published": [dataclasses.asdict(each) for each in study.published],
            "aims": [line for line in lines if line is not None],
            "rows": self.rows,
        }

    @property
    def command(self) -> str:
        """The command that computes the same rows again."""
        return f"dscim study {self.study.name}{' --quick' if self.quick else ''}"


Pool = Callable[[Make[str, Kept]], AbstractContextManager[Evaluator[str, Kept]]]
"""Makes the evaluator that computes cells by their keys."""


def run(
    study: Study,
    quick: bool,
    work: Path,
    step: Progress,
    pool: Pool = Workers,
    inputs: Inputs | None = None,
) -> Outcome:
    """The study's rows; cells stored in `work` by an earlier run are not computed again.

    work: a folder, created if missing. A run that is stopped loses only its unfinished cells.
    pool: evaluates cells; other processes take the study from the catalogue, with `inputs`.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder '{work}' cannot be created: {error.strerror}.") from error
    keys = [cell.key for cell in study.cells(quick)]
    sources = _sources()
    paths = {key: work / f"{digest([study.name, key, *sources])}.json" for key in keys}
    found = {key: kept for key, path in paths.items() if (kept := _kept(path, key))}
    step(study.name, len(found), len(keys))
    with pool(Computing(study, quick, inputs)) as workers:
        for key, kept in workers.evaluate([key for key in keys if key not in found]):
            save_json(paths[key], kept)
            found[key] = kept
            step(study.name, len(found), len(keys))
    return Outcome(
        study,
        quick,
        [row for key in keys for row in found[key]["rows"]],
        sum(found[key]["seconds"] for key in keys),
    )


class Computing:
    """Makes the function that computes a study's cells; pickled by name and inputs."""

    def __init__(self, study: Study, quick: bool, inputs: Inputs | None) -> None:
        self._study, self._quick, self._inputs = study, quick, inputs

    def __getstate__(self) -> tuple[str, Inputs | None, bool]:
        return self._study.name, self._inputs, self._quick

    def __setstate__(self, state: tuple[str, Inputs | None, bool]) -> None:
        name, self._inputs, self._quick = state
        self._study = adapted(of_catalogue(name), self._inputs)

    def __call__(self) -> Callable[[str], Kept]:
        cells = {cell.key: cell for cell in self._study.cells(self._quick)}
        return lambda key: _computed(cells[key])


def adapted(study: Study, inputs: Inputs | None) -> Study:
    """The study with a user's inputs, if there are any and it has a model of circuits."""
    return study.adapted(inputs) if inputs and study.adapted else study


def _computed(cell: Cell) -> Kept:
    """The cell's rows and the seconds they took."""
    began = time.monotonic()
    rows = list(cell.compute())
    return {"key": cell.key, "seconds": time.monotonic() - began, "rows": rows}


def _kept(path: Path, key: str) -> Kept | None:
    """The stored result of a cell; None if there is none, or if it is damaged."""
    try:
        kept: Kept = json.loads(path.read_text())
        if kept["key"] == key and kept["seconds"] >= 0 and isinstance(kept["rows"], list):
            return kept
    except (OSError, ValueError, LookupError, TypeError):
        pass  # missing or damaged: computed again
    return None


def _sources() -> list[bytes]:
    """The sources of ROOTS, as bytes."""
    return [
        path.read_bytes()
        for root in ROOTS
        for folder in importlib.import_module(root).__path__
        for path in sorted(Path(folder).glob("*.py"))
    ]
