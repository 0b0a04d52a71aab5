"""`dscim prune train`: trains the PruningNet of a space, each batch with a random structure."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, output_file, switch
from dscim.host.cli.prune_options import (
    DataOptions,
    SeededScheduleOptions,
    SpaceOptions,
    data_of,
    need_torch,
    schedule_of,
)
from dscim.host.research.prune import space
from dscim.host.research.prune.plans import plan_of


@dataclass(frozen=True, kw_only=True)
class Options(SpaceOptions, DataOptions, SeededScheduleOptions, ReportOptions):
    """The options of `dscim prune train`."""

    output: Path = output_file(
        "NET.pt",
        "PruningNet to write, saved after each epoch; the same command resumes from it",
        short="-o",
    )
    shared: bool = switch("train the baseline: weights are shared, not generated")
    plot: Path | None = output_file("FILE", "draw the loss per epoch, as .png, .svg or .pdf")


def run(options: Options) -> int:
    """Trains, or resumes from the last epoch."""
    need_torch(options.threads)
    from dscim.host.research.prune.images import parts_of  # noqa: PLC0415
    from dscim.host.research.prune.learn import pruning_net  # noqa: PLC0415
    from dscim.host.research.training.checkpoint import restore  # noqa: PLC0415
    from dscim.host.research.training.loop import Callbacks  # noqa: PLC0415
    from dscim.host.research.training.together import rank, together  # noqa: PLC0415

    report, where = report_of(options), space(options.space)
    schedule = schedule_of(options, plan_of(where.name).pruning)
    name, folder, held_out, pixels = data_of(options, where)
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
            pixels,
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


COMMAND = Command(
    Options, run, "prune train --space cifar10-mobilenet-v1 --output net.pt --epochs 1"
)
