"""Options that say who evaluates tasks: this process, others, or a cluster's."""

import argparse
from typing import TypeVar

from dscim.errors import UserError
from dscim.host.research.parallel import Cluster, Make, Workers
from dscim.host.research.parallel.processes import Result, Task

Group = TypeVar("Group", bound=argparse._ActionsContainer)


def add_parallel(group: Group) -> None:
    """Adds --workers and --scheduler."""
    group.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes; the result is the same for any number (default 1)",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="by the workers of this Dask scheduler: tcp://HOST:PORT, or its --scheduler-file",
    )


def check_parallel(options: argparse.Namespace) -> None:
    """UserError for fewer workers than one."""
    if options.workers < 1:
        raise UserError(f"--workers {options.workers} is below 1.")


def evaluator(
    make: Make[Task, Result], options: argparse.Namespace
) -> Workers[Task, Result] | Cluster[Task, Result]:
    """What the options ask for, to be used in a `with`."""
    if options.scheduler is None:
        return Workers(make, options.workers)
    return Cluster(make, options.scheduler)
