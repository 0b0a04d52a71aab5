"""A whole experiment as the commands that make it, each of which goes on where it stopped."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

METHODS = {"search": ("net",), "random": ("net", "--random"), "shared": ("shared",)}
"""Searches: the PruningNet that they choose with, and further options."""


@dataclass(frozen=True)
class Piece:
    """A command of `dscim prune`, and the file that is there when it is done."""

    output: Path
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """Searches and baselines of a space under budgets, everything in the folder `work`.

    budgets: as --budget takes them, of the table's cycles or of anything. seeds: of retrainings,
    with commas. common, training, searching, selecting, scratch: further options of all steps
    with data, of the PruningNets' training, of the searches, of the choice among what each of
    them found, of the retrainings.
    """

    space: str
    work: Path
    budgets: tuple[str, ...]
    seeds: str
    common: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    searching: tuple[str, ...] = ()
    selecting: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()

    @property
    def table(self) -> Path:
        """The cost table's file."""
        return self.work / "table.json"

    def waves(self) -> Iterator[list[Piece]]:
        """The pieces; those of a list need only what the lists before it make."""
        yield [self._piece("table.json", "table", "-o", str(self.table))]
        yield [self._net("net"), self._net("shared", "--shared")]
        yield [
            *(self._search(method, budget) for budget in self.budgets for method in METHODS),
            self._retraining("full", "full", "--encoding", "FULL"),
        ]
        yield [self._selection(method, budget) for budget in self.budgets for method in METHODS]
        yield [piece for budget in self.budgets for piece in self._retrainings(budget)]

    def found(self, method: str, budget: str) -> Path:
        """What the search of that method found within a budget."""
        return self.work / f"{_stem(method, budget)}-found.json"

    def selected(self, method: str, budget: str) -> Path:
        """The finalists of what that search found."""
        return self.work / f"{_stem(method, budget)}-selected.json"

    def _retrainings(self, budget: str) -> Iterator[Piece]:
        """What every method found, and the widest uniform scaling where there is one."""
        for method in METHODS:
            yield self._retraining(
                method, _stem(method, budget), "--found", str(self.selected(method, budget))
            )
        uniform = json.loads(self.found("search", budget).read_text())["uniform"]
        if uniform is not None:
            yield self._retraining(
                "uniform",
                _stem("uniform", budget),
                "--encoding",
                ",".join(map(str, uniform["encoding"])),
            )

    def _retraining(self, method: str, stem: str, *which: str) -> Piece:
        """The retraining of a structure; its result is STEM.json."""
        return self._piece(
            f"{stem}.json",
            "retrain",
            *which,
            "-o",
            str(self.work / f"{stem}.npz"),
            "--costs",
            str(self.table),
            "--method",
            method,
            "--training-seeds",
            self.seeds,
            *self.common,
            *self.scratch,
        )

    def _net(self, name: str, *more: str) -> Piece:
        return self._piece(
            f"{name}.json",
            "train",
            "-o",
            str(self.work / f"{name}.pt"),
            *more,
            "--json",
            str(self.work / f"{name}.json"),
            *self.common,
            *self.training,
        )

    def _search(self, method: str, budget: str) -> Piece:
        path, (net, *more) = self.found(method, budget), METHODS[method]
        return self._piece(
            path.name,
            "search",
            "--net",
            str(self.work / f"{net}.pt"),
            "-o",
            str(path),
            "--costs",
            str(self.table),
            "--budget",
            budget,
            *self.common,
            *self.searching,
            *more,
        )

    def _selection(self, method: str, budget: str) -> Piece:
        path = self.selected(method, budget)
        return self._piece(
            path.name,
            "select",
            "--found",
            str(self.found(method, budget)),
            "-o",
            str(path),
            *self.common,
            *self.selecting,
        )

    def _piece(self, file: str, step: str, *more: str) -> Piece:
        return Piece(self.work / file, (step, "--space", self.space, *more))


def _stem(method: str, budget: str) -> str:
    """The name of a result's file."""
    return f"{method}-{budget.replace('=', '-').removesuffix('%')}"
