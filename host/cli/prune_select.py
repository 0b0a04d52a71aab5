"""`dscim prune select`: a few structures of a search, trained for real; the best goes on.

They are trained half as long as `dscim prune retrain` does it, unless --epochs says otherwise.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.host.cli.options import add_report, report_of
from dscim.host.cli.parallel_options import add_parallel, check_parallel, evaluator
from dscim.host.cli.prune_options import (
    add_data,
    add_schedule,
    add_space,
    data_of,
    need_torch,
    numbers,
    read_found,
    schedule_of,
)
from dscim.host.research.prune import Space, Structure, space
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.plans import plan_of

SEEDS = (101, 102)
"""Of the trainings by default: none of those that a report retrains with."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim prune select`."""
    add_space(parser)
    parser.add_argument(
        "--found",
        type=Path,
        required=True,
        metavar="FOUND.json",
        help="what `dscim prune search` found",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="SELECTED.json",
        help="the finalists, the best first, for `dscim prune retrain --found`; "
        "SELECTED.jsonl and checkpoints beside it keep what is trained, and "
        "the same command goes on from there",
    )
    group = parser.add_argument_group("finalists")
    group.add_argument(
        "--finalists",
        type=int,
        default=4,
        metavar="N",
        help="structures that are trained (default 4); 1: the best by its "
        "fitness, without training",
    )
    group.add_argument(
        "--apart",
        type=int,
        metavar="D",
        help="least sum of differences of ratio ids between any two of them "
        "(default: twice the genes)",
    )
    group.add_argument(
        "--training-seeds",
        type=numbers,
        default=SEEDS,
        metavar="S,S,...",
        help="a training for each; their mean accuracy on the held-out images "
        f"counts (default {','.join(map(str, SEEDS))})",
    )
    add_parallel(group)
    add_data(parser)
    add_schedule(parser, "the space's plan for `retrain`, half its epochs", seeded=False)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Trains the finalists, or goes on; prints them, the best first."""
    report, where = report_of(options), space(options.space)
    for path in (options.output, options.json):
        check_writable(path)
    check_parallel(options)
    given = read_found(options.found, where)
    apart = 2 * where.genes if options.apart is None else options.apart
    if options.finalists < 1 or apart < 1 or not options.training_seeds:
        raise UserError(
            f"--finalists {options.finalists} and --apart {apart} must be 1 or more, "
            "--training-seeds name one or more."
        )
    need_torch(options)
    from dscim.host.research.prune.finalists import finalists  # noqa: PLC0415
    from dscim.host.research.training.together import rank, together  # noqa: PLC0415

    known = {where.decode(tuple(each["encoding"])): each for each in given["found"]}
    chosen = finalists(list(known), options.finalists, apart)
    trial = _trial(options, where)
    with together():
        trained = _trained(chosen, trial, options, report) if len(chosen) > 1 else {}
        if rank():  # not the first of torchrun's processes
            return 0
    result = given | {
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
    chosen: list[Structure], trial: Any, options: argparse.Namespace, report: Report
) -> dict[Structure, float]:
    """The held-out accuracy of each finalist, trained or known.

    Of torchrun's processes each trains its share of every batch, and the first one keeps it.
    """
    from dscim.host.research.training.together import count, rank, wait  # noqa: PLC0415

    if count() > 1 and (options.workers > 1 or options.scheduler):
        raise UserError(
            "torchrun's processes train every finalist together; leave --workers and "
            "--scheduler out."
        )
    report = Report(quiet=True) if rank() else report
    cache = Cache(options.output.with_suffix(".jsonl"), {"trial": trial.facts()})
    known = {each: cache.known[each] for each in chosen if each in cache.known}
    wait()  # nobody writes while others still read
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


def _trial(options: argparse.Namespace, where: Space) -> Any:
    from dscim.host.research.prune.finalists import Trial  # noqa: PLC0415

    name, folder, held_out, given = data_of(options, where)
    if held_out < 1:
        raise UserError(f"--held-out {held_out} leaves no image to compare finalists by.")
    seeds = tuple(options.training_seeds)
    scratch = plan_of(where.name).scratch
    shorter = dataclasses.replace(scratch, epochs=(scratch.epochs + 1) // 2, seed=seeds[0])
    schedule = schedule_of(options, shorter)
    return Trial(
        where.name,
        name,
        folder,
        held_out,
        given,
        schedule,
        seeds,
        options.output.absolute().with_suffix(""),
        options.threads,
        options.readers,
    )
