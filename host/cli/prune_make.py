"""What `dscim prune report --make` makes: the commands of an experiment, as processes."""

import argparse
import shlex
from contextlib import ExitStack
from pathlib import Path

from dscim.console import Report
from dscim.errors import UserError
from dscim.host.cli.entry import STOPPED
from dscim.host.cli.prune_budget import limits_of, parse
from dscim.host.research.parallel import Cluster
from dscim.host.research.prune import space
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.experiment import Experiment, Job, JobRunner, log_of, make_run
from dscim.host.research.prune.table import load

PARTS = 5
"""Of an experiment: the table, the PruningNets, the searches, the choices, the retrainings."""

BUDGETS = ("cycles=50%", "cycles=25%")


def add_make(parser: argparse.ArgumentParser) -> None:
    """Adds --make and its options."""
    group = parser.add_argument_group("making what is missing")
    group.add_argument(
        "--make", action="store_true", help="first train, search and retrain what is not there yet"
    )
    group.add_argument(
        "--budget",
        action="append",
        metavar="NAME=LIMIT",
        help="budgets of --make (default cycles=50%% and cycles=25%%)",
    )
    group.add_argument(
        "--training-seeds",
        default="1,2,3",
        metavar="S,S,...",
        help="of --make's retrainings (default 1,2,3)",
    )
    group.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="commands that --make runs at a time (default 1)",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="--make runs them by the workers of this Dask scheduler, who see the same folders",
    )
    for name, what in (
        ("data", "of all steps with data"),
        ("train", "of `prune train`"),
        ("search", "of `prune search`"),
        ("select", "of `prune select`"),
        ("retrain", "of `prune retrain`"),
    ):
        group.add_argument(
            f"--{name}-options",
            default="",
            metavar="TEXT",
            help=f"further options {what}, in one word, for --make",
        )


def make(options: argparse.Namespace, report: Report) -> None:
    """Runs every command whose result is not there, those that need no other side by side.

    UserError names the command that failed, and what it said last.
    """
    if options.jobs < 1:
        raise UserError(f"--jobs {options.jobs} is below 1.")
    budgets = tuple(options.budget or BUDGETS)
    for budget in budgets:
        parse(budget)
    try:
        options.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--work '{options.work}' can be no folder: {error.strerror}.") from error
    what = Experiment(
        options.space,
        options.work.absolute(),
        budgets,
        options.training_seeds,
        *(
            tuple(shlex.split(getattr(options, f"{name}_options")))
            for name in ("data", "train", "search", "select", "retrain")
        ),
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
                report.say(f"'{job.output}' made")
                step(f"commands, part {number} of {PARTS}", done, len(left))
            if number == 1:
                _check(options.space, budgets, what.table)


def _check(name: str, budgets: tuple[str, ...], table: Path) -> None:
    """Says of a budget that cannot be met before anything is trained."""
    where = space(name)
    costs = load(table, where)
    for budget in budgets:
        Budget(where, limits_of([budget], where, costs), costs)


def _judge(job: Job, status: int) -> None:
    """UserError, or KeyboardInterrupt, where a command did not make what it should."""
    if status == STOPPED:
        raise KeyboardInterrupt
    if status or not job.output.exists():
        said = log_of(job).read_text(errors="replace").strip().rpartition("\n")[2]
        raise UserError(
            f"`dscim prune {job.arguments[0]}` for '{job.output}' failed: {said} "
            f"(all of it in '{log_of(job)}'); the same command goes on from there."
        )
