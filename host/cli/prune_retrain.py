"""`dscim prune retrain`: a structure trained from scratch, in integers, exported."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.gateware.specs import describe
from dscim.host.cli.options import add_arithmetic, add_report, product_spec, report_of
from dscim.host.cli.prune_options import (
    add_data,
    add_schedule,
    add_space,
    data_of,
    need_torch,
    numbers,
    read_found,
    schedule_of,
    structure_of,
)
from dscim.host.research.prune import Space, Structure, space
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.plans import plan_of
from dscim.host.research.prune.table import load


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim prune retrain`."""
    add_space(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--encoding", type=numbers, metavar="ID,ID,...", help="ratio ids; FULL: nothing is pruned"
    )
    which.add_argument("--found", type=Path, metavar="FOUND.json", help="the best of a search")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="NAME.npz",
        help="the network for DS-CIM; beside it NAME-int8.npz, NAME.pt2, "
        "NAME.onnx, NAME.json, and a checkpoint for each seed",
    )
    parser.add_argument(
        "--training-seeds",
        type=numbers,
        default=(1,),
        metavar="S,S,...",
        help="a training for each (default 1)",
    )
    parser.add_argument(
        "--method",
        default="search",
        metavar="NAME",
        help="how the structure was found, for the report (default search)",
    )
    parser.add_argument(
        "--costs",
        type=Path,
        metavar="TABLE.json",
        help="the cost table, so that the result says the cycles",
    )
    parser.add_argument(
        "--test",
        type=int,
        default=10_000,
        metavar="N",
        help="only the first N test images (default 10000)",
    )
    add_data(parser)
    add_schedule(parser, seeded=False)
    add_arithmetic(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Retrains, or goes on from the last epoch."""
    where = space(options.space)
    structure, origin = _structure(options, where)
    if options.output.suffix != ".npz" or options.test < 1 or not options.training_seeds:
        raise UserError(
            f"--output {options.output} must end in .npz, --test {options.test} be 1 "
            "or more, --training-seeds name one or more."
        )
    for path in (options.output, options.json):
        check_writable(path)
    need_torch(options)
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
    name, folder, _, given = data_of(options, where)
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
            given,
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
    report.say(
        f"float {100 * done['mean']:.2f} % (deviation {100 * done['deviation']:.2f}, "
        f"{len(done['seeds'])} seeds); first seed: INT8 {100 * done['int8']:.2f} %, "
        f"{describe(product)} {100 * done['dscim']:.2f} %, calibrated; "
        f"'{options.output}' written"
    )
    return 0


def _structure(options: argparse.Namespace, where: Space) -> tuple[Structure, dict[str, Any]]:
    """The structure that --encoding or --found names, and how it was found: JSON values.

    They are the budget, and of a search its settings and what `dscim prune select` did.
    """
    if not options.found:
        return structure_of(options, where), {"budget": {}}
    given = read_found(options.found, where)
    return where.decode(tuple(given["found"][0]["encoding"])), {
        "budget": given["budget"],
        "search": {
            name: given[name]
            for name in ("settings", "random", "fitness", "selection")
            if name in given
        },
    }
