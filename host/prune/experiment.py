"""A whole experiment as the commands that make it, each of which goes on where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BASELINES = {"search": "net", "shared": "shared"}
"""Searches by the PruningNet that they choose with."""


@dataclass(frozen=True)
class Piece:
    """A command of `dscim prune`, and the file that is there when it is done."""

    output: Path
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """Searches and baselines of a space under budgets, everything in the folder `work`.

    budgets: as --budget takes them, of the table's cycles or of anything. seeds: of retrainings,
    with commas. common, training, searching, scratch: further options of all steps with data, of
    the PruningNets' training, of the searches, of the retrainings.
    """

    space: str
    work: Path
    budgets: tuple[str, ...]
    seeds: str
    common: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    searching: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()

    def pieces(self) -> Iterator[Piece]:
        """Every piece but the retrainings of uniform scaling, in order."""
        yield self._piece("table.json", "table")
        yield self._piece("net.json", "train", "-o", str(self.work / "net.pt"), "--json",
                          str(self.work / "net.json"), *self.common, *self.training, named=False)
        yield self._piece("shared.json", "train", "-o", str(self.work / "shared.pt"), "--shared",
                          "--json", str(self.work / "shared.json"), *self.common, *self.training,
                          named=False)
        for budget in self.budgets:
            for name, net in BASELINES.items():
                yield self._search(name, net, budget)
            yield self._search("random", "net", budget, "--random")
        yield self.retraining("full", "full", "--encoding", "FULL")
        for budget in self.budgets:
            for name in (*BASELINES, "random"):
                yield self.retraining(name, _stem(name, budget), "--found",
                                      str(self.found(name, budget)))

    def found(self, method: str, budget: str) -> Path:
        """What the search of that method found within a budget."""
        return self.work / f"{_stem(method, budget)}-found.json"

    def uniform(self, budget: str, encoding: tuple[int, ...]) -> Piece:
        """The retraining of uniform scaling to a budget, as a search's result names it."""
        return self.retraining("uniform", _stem("uniform", budget), "--encoding",
                               ",".join(map(str, encoding)))

    def retraining(self, method: str, stem: str, *which: str) -> Piece:
        """The retraining of a structure; its result is STEM.json."""
        return Piece(self.work / f"{stem}.json", (
            "retrain", "--space", self.space, *which, "-o", str(self.work / f"{stem}.npz"),
            "--table", str(self.work / "table.json"), "--method", method, "--training-seeds",
            self.seeds, *self.common, *self.scratch))

    def _search(self, name: str, net: str, budget: str, *more: str) -> Piece:
        path = self.found(name, budget)
        return Piece(path, (
            "search", "--space", self.space, "--net", str(self.work / f"{net}.pt"), "-o",
            str(path), "--table", str(self.work / "table.json"), "--budget", budget,
            *self.common, *self.searching, *more))

    def _piece(self, file: str, step: str, *more: str, named: bool = True) -> Piece:
        path = self.work / file
        output = ("-o", str(path)) if named else ()
        return Piece(path, (step, "--space", self.space, *output, *more))


def _stem(method: str, budget: str) -> str:
    """The name of a result's file."""
    return f"{method}-{budget.replace('=', '-').removesuffix('%')}"
