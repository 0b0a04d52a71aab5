"""`dscim prune retrain`: trains a structure from scratch, exports it as an integer network."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import describe
from dscim.host.cli.arithmetic_options import ArithmeticOptions, product_spec
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.data_options import whole_numbers
from dscim.host.cli.options import Command, option, output_file
from dscim.host.cli.prune_options import (
    DataOptions,
    ScheduleOptions,
    SpaceOptions,
    costs_option,
    data_of,
    decoded,
    encoding_option,
    need_torch,
    read_found,
    schedule_of,
)
from dscim.host.research.prune import Space, Structure, space
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.plans import plan_of
from dscim.host.research.prune.table import load


@dataclass(frozen=True, kw_only=True)
class WhichOptions:
    """The structure: that of an encoding, or the best of a search."""

    ONE_OF = True
    encoding: tuple[int, ...] | None = encoding_option()
    found: Path | None = option("FOUND.json", "take the best structure of this search")


@dataclass(frozen=True, kw_only=True)
class Options(
    SpaceOptions, WhichOptions, DataOptions, ScheduleOptions, ArithmeticOptions, ReportOptions
):
    """The options of `dscim prune retrain`."""

    output: Path = output_file(
        "NAME.npz",
        "network file for DS-CIM to write; the same folder gets NAME-int8.npz, NAME.pt2, "
        "NAME.onnx, NAME.json, and a checkpoint for each seed",
        short="-o",
    )
    training_seeds: tuple[int, ...] = option(
        "S,S,...", "one training per seed", type=whole_numbers, default=(1,)
    )
    method: str = option("NAME", "how the structure was found, for the report", default="search")
    costs: Path | None = costs_option("for adding the cycles to the result")
    test: int = option("N", "use only the first N test images", default=10_000, within=(1, None))


def run(options: Options) -> int:
    """Retrains, or resumes from the last epoch."""
    where = space(options.space)
    structure, origin = _structure(options, where)
    if options.output.suffix != ".npz" or not options.training_seeds:
        raise UserError(
            f"--output {options.output} must end in .npz, and --training-seeds needs at least one."
        )
    need_torch(options.threads)
    from dscim.host.research.prune.retrain import Retraining  # noqa: PLC0415
    from dscim.host.research.training.loop import Callbacks  # noqa: PLC0415
    from dscim.host.research.training.together import together  # noqa: PLC0415

    report = report_of(options)
    table = load(options.costs, where) if options.costs else None
    costs = Budget(where, {}, table).costs(structure)
    product = product_spec(options)
    if table is not None and table.product != product:
        raise UserError(
            f"'{options.costs}' has the cycles of {describe(table.product)}, not of "
            f"{describe(product)}; build a table with the same options."
        )
    name, folder, _, pixels = data_of(options, where)
    schedule = schedule_of(options, plan_of(where.name).scratch)
    report.say(
        f"{where.name} {','.join(map(str, where.encode(structure)))}: "
        + ", ".join(f"{value} {key}" for key, value in costs.items())
    )
    with together(), report.progress() as step:
        done = Retraining(
            where,
            structure,
            name,
            folder,
            pixels,
            schedule,
            options.training_seeds,
            options.test,
            product,
            options.readers,
        ).run(options.output, Callbacks(report.say, step))
    if not done:  # not the first of torchrun's processes
        return 0
    result = {
        "space": where.name,
        "method": options.method,
        "encoding": where.encode(structure),
        "costs": costs,
        **origin,
        "schedule": dataclasses.asdict(schedule),
        **done,
    }
    save_json(options.output.with_suffix(".json"), result)
    save_json(options.json, result)
    _say_result(done, options, report)
    return 0


def _say_result(done: dict[str, Any], options: Options, report: Report) -> None:
    """Prints the accuracies of a retraining, in float and of the first seed in integers."""
    report.say(
        f"float {100 * done['mean']:.2f} % (deviation {100 * done['deviation']:.2f}, "
        f"{len(done['seeds'])} seeds); first seed: INT8 {100 * done['int8']:.2f} %, "
        f"{describe(product_spec(options))} {100 * done['dscim']:.2f} %, calibrated; "
        f"'{options.output}' written"
    )


def _structure(options: Options, where: Space) -> tuple[Structure, dict[str, Any]]:
    """The structure of --encoding or --found, and how it was found, as JSON values.

    The latter is the budget, and for a search its settings and those of `dscim prune select`.
    """
    if not options.found:
        return decoded(options.encoding or (), where), {"budget": {}}
    search = read_found(options.found, where)
    return where.decode(tuple(search["found"][0]["encoding"])), {
        "budget": search["budget"],
        "search": {
            name: search[name]
            for name in ("settings", "random", "fitness", "selection")
            if name in search
        },
    }


COMMAND = Command(
    Options,
    run,
    "prune retrain --space cifar10-mobilenet-v1 --found selected.json --output net.npz",
)
