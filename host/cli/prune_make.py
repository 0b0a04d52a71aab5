"""`dscim prune report --make`: runs the commands of an experiment whose results are missing."""

import argparse
import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.host.cli.entry import STOPPED
from dscim.host.cli.options import option, switch
from dscim.host.cli.prune_options import SpaceOptions, limits_of, parse_limit
from dscim.host.research.parallel import Cluster
from dscim.host.research.prune import space
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.experiment import Experiment, Job, JobRunner, log_of, make_run
from dscim.host.research.prune.table import load

PARTS = 5
"""Parts of an experiment: table, PruningNets, searches, selections, retrainings."""

BUDGETS = ("cycles=50%", "cycles=25%")


def words(text: str) -> tuple[str, ...]:
    """The words of a command line."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of options: {error}") from None


def _further(step: str) -> Any:
    """A field with more options for the commands of a step."""
    return option("TEXT", f"more options for {step}, in one quoted word", default=(), type=words)


@dataclass(frozen=True, kw_only=True)
class MakeOptions(SpaceOptions):
    """A folder of results, and how to produce those that are missing."""

    GROUP = "results"
    work: Path = option(
        "FOLDER", "folder of the results of `dscim prune retrain`, and of everything --make writes"
    )
    make: bool = switch("first produce missing results: train, search, select and retrain")
    budget: list[str] | None = option(
        "NAME=LIMIT",
        "budget for --make (default: cycles=50% and cycles=25%); may be repeated",
        action="append",
    )
    training_seeds: str = option("S,S,...", "seeds for --make's retrainings", default="1,2,3")
    jobs: int = option(
        "N", "number of commands that --make runs at the same time", default=1, within=(1, None)
    )
    scheduler: str | None = option(
        "ADDRESS",
        "run the commands on the workers of this Dask scheduler, which must see the same folders",
    )
    data_options: tuple[str, ...] = _further("all steps that use data")
    train_options: tuple[str, ...] = _further("`prune train`")
    search_options: tuple[str, ...] = _further("`prune search`")
    select_options: tuple[str, ...] = _further("`prune select`")
    retrain_options: tuple[str, ...] = _further("`prune retrain`")


def make(options: MakeOptions, report: Report) -> None:
    """Runs every command whose result is missing, up to `jobs` at the same time.

    UserError names the command that failed, with the last line of its output.
    """
    budgets = tuple(options.budget or BUDGETS)
    for budget in budgets:
        parse_limit(budget)
    try:
        options.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder --work '{options.work}' cannot be created: {error.strerror}."
        ) from error
    what = Experiment(
        options.space,
        options.work.absolute(),
        budgets,
        options.training_seeds,
        options.data_options,
        options.train_options,
        options.search_options,
        options.select_options,
        options.retrain_options,
    )
    with ExitStack() as stack:
        runner: JobRunner | Cluster[Job, int] = JobRunner(options.jobs)
        if options.scheduler is not None:
            runner = stack.enter_context(Cluster(make_run, options.scheduler))
        step = stack.enter_context(report.progress())
        for number, wave in enumerate(what.waves(), 1):
            left = [job for job in wave if not job.output.exists()]
            for job in left:
                report.detail("dscim prune " + " ".join(job.arguments))
            for done, (job, status) in enumerate(runner.evaluate(left), 1):
                _judge(job, status)
                report.say(f"'{job.output}' written")
                step(f"commands, part {number} of {PARTS}", done, len(left))
            if number == 1:
                _check(options.space, budgets, what.table)


def _check(name: str, budgets: tuple[str, ...], table: Path) -> None:
    """UserError for a budget that cannot be met, before anything is trained."""
    where = space(name)
    costs = load(table, where)
    for budget in budgets:
        Budget(where, limits_of([budget], where, costs), costs)


def _judge(job: Job, status: int) -> None:
    """UserError where a command failed; KeyboardInterrupt where it was stopped."""
    if status == STOPPED:
        raise KeyboardInterrupt
    if status or not job.output.exists():
        last = log_of(job).read_text(errors="replace").strip().rpartition("\n")[2]
        raise UserError(
            f"`dscim prune {job.arguments[0]}` for '{job.output}' failed: {last} "
            f"(full output in '{log_of(job)}'); the same command resumes from there."
        )
