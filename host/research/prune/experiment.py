"""A whole experiment as commands, run as processes; each of them can resume."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

METHODS = {"search": ("net",), "random": ("net", "--random"), "shared": ("shared",)}
"""The searches: the PruningNet that each uses, and its further options."""

POLL = 0.2
"""Seconds between polls of the processes."""

PROGRAM = "import sys; from dscim.host.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Job:
    """A command of `dscim prune`, and the file that exists when it is done."""

    output: Path
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """Searches and baselines of a space under budgets, with all files in the folder `work`.

    budgets: as --budget takes them. seeds: of the retrainings, separated by commas. Further options
    for `common`: all steps that use data; `training`: the PruningNets; `searching`: the searches;
    `selecting`: the selection of finalists; `scratch`: the retrainings.
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

    def waves(self) -> Iterator[list[Job]]:
        """The jobs, in lists; those of a list need only the results of earlier lists."""
        yield [self._job("table.json", "table", "-o", str(self.table))]
        yield [self._net("net"), self._net("shared", "--shared")]
        yield [
            *(self._search(method, budget) for budget in self.budgets for method in METHODS),
            self._retraining("full", "full", "--encoding", "FULL"),
        ]
        yield [self._selection(method, budget) for budget in self.budgets for method in METHODS]
        yield [job for budget in self.budgets for job in self._retrainings(budget)]

    def found(self, method: str, budget: str) -> Path:
        """The result file of the search by that method within a budget."""
        return self.work / f"{_stem(method, budget)}-found.json"

    def selected(self, method: str, budget: str) -> Path:
        """The file with the finalists of that search."""
        return self.work / f"{_stem(method, budget)}-selected.json"

    def _retrainings(self, budget: str) -> Iterator[Job]:
        """Retrains the result of every method, and the widest uniform scaling if there is one."""
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

    def _retraining(self, method: str, stem: str, *which: str) -> Job:
        """The retraining of a structure; its result is STEM.json."""
        return self._job(
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

    def _net(self, name: str, *more: str) -> Job:
        return self._job(
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

    def _search(self, method: str, budget: str) -> Job:
        path, (net, *more) = self.found(method, budget), METHODS[method]
        return self._job(
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

    def _selection(self, method: str, budget: str) -> Job:
        path = self.selected(method, budget)
        return self._job(
            path.name,
            "select",
            "--found",
            str(self.found(method, budget)),
            "-o",
            str(path),
            *self.common,
            *self.selecting,
        )

    def _job(self, file: str, step: str, *more: str) -> Job:
        return Job(self.work / file, (step, "--space", self.space, *more))


def _stem(method: str, budget: str) -> str:
    """The name of a result's file."""
    return f"{method}-{budget.replace('=', '-').removesuffix('%')}"


class JobRunner:
    """Runs jobs as processes of this machine, `count` at a time, with their output in log files."""

    def __init__(self, count: int) -> None:
        self._count = count

    def evaluate(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, int]]:
        """(job, exit status) in the order of completion; no process is left behind."""
        queue, running = list(jobs), dict[subprocess.Popen[bytes], Job]()
        try:
            while queue or running:
                while queue and len(running) < self._count:
                    running[_begun(queue[0])] = queue[0]
                    del queue[0]
                time.sleep(POLL)
                for process in [each for each in running if each.poll() is not None]:
                    yield running.pop(process), process.returncode
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def log_of(job: Job) -> Path:
    """The file with the output of a job."""
    return job.output.with_suffix(".log")


def make_run() -> Callable[[Job], int]:
    """For the workers of a cluster: a function that runs a job and returns its exit status."""
    return lambda job: _begun(job).wait()


def _begun(job: Job) -> subprocess.Popen[bytes]:
    """The process of a job; its output goes to the job's log file."""
    with log_of(job).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "prune", *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
