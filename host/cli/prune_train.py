"""`dscim prune train`: the PruningNet of a space, a random structure for every batch."""

import argparse
import dataclasses
from pathlib import Path

from dscim.files import check_writable, save_json
from dscim.host.cli.options import add_report, report_of
from dscim.host.cli.prune_options import (
    add_data,
    add_schedule,
    add_space,
    data_of,
    need_torch,
    schedule_of,
)
from dscim.host.research.prune import space
from dscim.host.research.prune.plans import plan_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim prune train`."""
    add_space(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="NET.pt",
        help="the PruningNet, saved each epoch; the same command goes on from it",
    )
    parser.add_argument(
        "--shared", action="store_true", help="the baseline: weights are shared, not generated"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="the loss by epoch, as .png, .svg or .pdf"
    )
    add_data(parser)
    add_schedule(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Trains, or goes on from the last epoch."""
    need_torch(options)
    from dscim.host.research.prune.images import parts_of  # noqa: PLC0415
    from dscim.host.research.prune.learn import pruning_net  # noqa: PLC0415
    from dscim.host.research.training.checkpoint import restore  # noqa: PLC0415
    from dscim.host.research.training.loop import Callbacks  # noqa: PLC0415
    from dscim.host.research.training.together import rank, together  # noqa: PLC0415

    for path in (options.output, options.plot, options.json):
        check_writable(path)
    report, where = report_of(options), space(options.space)
    schedule = schedule_of(options, plan_of(where.name).pruning)
    name, folder, held_out, given = data_of(options, where)
    parts = parts_of(name, folder, where, held_out)
    source = "shared" if options.shared else "generated"
    report.say(
        f"PruningNet of {where.name}, {source} weights, {len(parts.labels)} images of "
        f"{name}, {held_out} held out"
    )
    with together(), report.progress() as step:
        pruning_net(
            where,
            source,
            parts,
            schedule,
            given,
            options.output,
            Callbacks(report.say, step),
            options.readers,
        )
        if rank():
            return 0
    history = restore(options.output)["history"]
    if options.plot:
        from dscim.host.research.prune.plots import losses  # noqa: PLC0415

        losses(history, f"PruningNet of {where.name}", options.plot)
    report.say(
        f"'{options.output}' written: loss {history[-1]['loss']:.4f}, CPU hours "
        f"{sum(entry['cpu_seconds'] for entry in history) / 3600:.3f}"
    )
    save_json(
        options.json,
        {
            "space": where.name,
            "source": source,
            "dataset": name,
            "held_out": held_out,
            "schedule": dataclasses.asdict(schedule),
            "history": history,
        },
    )
    return 0
