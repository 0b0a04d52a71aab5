"""`dscim prune select`: trains a few structures of a search, and ranks them by their accuracy.

Without --epochs, training takes half as long as that of `dscim prune retrain`.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_json
from dscim.host.cli.common_options import ParallelOptions, ReportOptions, evaluator, report_of
from dscim.host.cli.data_options import whole_numbers
from dscim.host.cli.options import Command, option, output_file
from dscim.host.cli.prune_options import (
    DataOptions,
    ScheduleOptions,
    SpaceOptions,
    data_of,
    need_torch,
    read_found,
    schedule_of,
)
from dscim.host.research.prune import Space, Structure, space
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.plans import plan_of

SEEDS = (101, 102)
"""Default seeds of the trainings, different from those of the retrainings of a report."""


@dataclass(frozen=True, kw_only=True)
class FinalistOptions(ParallelOptions):
    """Which structures are trained, and with which seeds."""

    GROUP = "finalists"
    finalists: int = option(
        "N",
        "number of structures to train; 1: take the one with the best fitness, without training",
        default=4,
        within=(1, None),
    )
    apart: int | None = option(
        "D",
        "minimum distance between any two: the sum of the differences of their ratio ids "
        "(default: twice the number of genes)",
        within=(1, None),
    )
    training_seeds: tuple[int, ...] = option(
        "S,S,...",
        "one training per seed; structures are ranked by the mean accuracy on the held-out images",
        type=whole_numbers,
        default=SEEDS,
    )


@dataclass(frozen=True, kw_only=True)
class Options(SpaceOptions, FinalistOptions, DataOptions, ScheduleOptions, ReportOptions):
    """The options of `dscim prune select`."""

    found: Path = option("FOUND.json", "structures of `dscim prune search`")
    output: Path = output_file(
        "SELECTED.json",
        "finalists to write, the best first, for `dscim prune retrain --found`; SELECTED.jsonl and "
        "checkpoints in the same folder store every training, from which the same command resumes",
        short="-o",
    )
    epochs: int | None = option("N", "number of epochs (default: half those of `retrain`)")


def run(options: Options) -> int:
    """Trains the finalists, or resumes; prints them, the best first."""
    report, where = report_of(options), space(options.space)
    found = read_found(options.found, where)
    apart = 2 * where.genes if options.apart is None else options.apart
    if not options.training_seeds:
        raise UserError("--training-seeds has no seed; give one or more.")
    need_torch(options.threads)
    from dscim.host.research.prune.finalists import finalists  # noqa: PLC0415
    from dscim.host.research.training.together import rank, together  # noqa: PLC0415

    known = {where.decode(tuple(each["encoding"])): each for each in found["found"]}
    chosen = finalists(list(known), options.finalists, apart)
    trial = _trial(options, where)
    with together():
        trained = _trained(chosen, trial, options, report) if len(chosen) > 1 else {}
        if rank():  # not the first of torchrun's processes
            return 0
    result = found | {
        "found": [
            known[each] | ({"trained": trained[each]} if trained else {})
            for each in sorted(chosen, key=lambda each: -trained.get(each, 0.0))
        ],
        "selection": {
            "evaluated": len(known),
            "finalists": options.finalists,
            "apart": apart,
            **(trial.facts() if trained else {}),
        },
    }
    save_json(options.output, result)
    save_json(options.json, result)
    report.table(
        ("encoding", ">predicted", ">trained"),
        [
            (
                ",".join(map(str, each["encoding"])),
                f"{100 * each['fitness']:.2f} %",
                f"{100 * each['trained']:.2f} %" if trained else "-",
            )
            for each in result["found"]
        ],
    )
    report.say(f"{len(chosen)} of {len(known)} structures; written to {options.output}")
    return 0


def _trained(
    chosen: list[Structure], trial: Any, options: Options, report: Report
) -> dict[Structure, float]:
    """The held-out accuracy of each finalist, trained or known.

    Each of torchrun's processes trains its share of every batch; the first one stores the result.
    """
    from dscim.host.research.training.together import count, rank, wait  # noqa: PLC0415

    if count() > 1 and (options.workers > 1 or options.scheduler):
        raise UserError(
            "torchrun's processes train every finalist together; leave out --workers and "
            "--scheduler."
        )
    report = Report(quiet=True) if rank() else report
    cache = Cache(options.output.with_suffix(".jsonl"), {"trial": trial.facts()})
    known = {each: cache.known[each] for each in chosen if each in cache.known}
    wait()  # until all have read
    missing = [each for each in chosen if each not in known]
    where = space(options.space)
    report.say(
        f"{len(chosen)} finalists of {where.name}, {trial.recipe.epochs} epochs with "
        f"each of the seeds {','.join(map(str, trial.seeds))}, {trial.held_out} images "
        f"held out, {len(known)} trained before"
    )
    with report.progress() as step, evaluator(trial, options) as workers:
        for done, (structure, right) in enumerate(workers.evaluate(missing), 1):
            known[structure] = right
            if not rank():
                cache.add(structure, right)
            report.say(f"{','.join(map(str, where.encode(structure)))}: {100 * right:.2f} %")
            step("finalists", done, len(missing))
    return known


def _trial(options: Options, where: Space) -> Any:
    from dscim.host.research.prune.finalists import Trial  # noqa: PLC0415

    name, folder, held_out, pixels = data_of(options, where)
    if held_out < 1:
        raise UserError(f"--held-out {held_out} leaves no image to compare finalists on.")
    seeds = tuple(options.training_seeds)
    scratch = plan_of(where.name).scratch
    shorter = dataclasses.replace(scratch, epochs=(scratch.epochs + 1) // 2, seed=seeds[0])
    schedule = schedule_of(options, shorter)
    return Trial(
        where.name,
        name,
        folder,
        held_out,
        pixels,
        schedule,
        seeds,
        options.output.absolute().with_suffix(""),
        options.threads,
        options.readers,
    )


COMMAND = Command(
    Options,
    run,
    "prune select --space cifar10-mobilenet-v1 --found found.json --output selected.json",
)
