"""Options that most commands have: the report, the seed, a limit, and who computes."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dscim.console import Report
from dscim.files import STDOUT
from dscim.host.cli.options import option, output_file, output_paths, switch

if TYPE_CHECKING:
    from dscim.host.research.parallel import Cluster, Make, Workers
    from dscim.host.research.parallel.processes import Result, Task


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is printed and written."""

    GROUP = "report"
    json: Path | None = output_file("FILE", "write the results as JSON; - is standard output")
    quiet: bool = switch("print only errors")
    verbose: bool = switch("print more details")


def report_of(options: ReportOptions) -> Report:
    """The report that prints as much as the options say.

    It prints on standard error if an output of the command is `-`, standard output.
    """
    aside = STDOUT in output_paths(options).values()
    return Report(quiet=options.quiet, verbose=options.verbose, aside=aside)


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """The seed of random data."""

    seed: int | None = option(
        "S", "seed of the random data, 0 or more (default: a new one)", within=(0, None)
    )


def seed_of(options: SeedOptions) -> int:
    """The seed of the options, else a new one."""
    return secrets.randbits(31) if options.seed is None else options.seed


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """How many inputs are used."""

    limit: int | None = option("N", "use only the first N inputs", within=(1, None))


@dataclass(frozen=True, kw_only=True)
class ParallelOptions:
    """Where tasks are evaluated: in this process, in several, or on a cluster."""

    workers: int = option(
        "N",
        "number of processes; the result is the same for any number",
        default=1,
        within=(1, None),
    )
    scheduler: str | None = option(
        "ADDRESS",
        "compute on the workers of this Dask scheduler: tcp://HOST:PORT, or its scheduler file",
    )


def evaluator(
    make: "Make[Task, Result]", options: ParallelOptions
) -> "Workers[Task, Result] | Cluster[Task, Result]":
    """The processes or the cluster of the options, for use in a `with`."""
    from dscim.host.research.parallel import Cluster, Workers  # noqa: PLC0415 - few verbs need it

    if options.scheduler is None:
        return Workers(make, options.workers)
    return Cluster(make, options.scheduler)
