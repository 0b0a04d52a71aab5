"""`dscim prune search`: the best structure within hard budgets, by its predicted accuracy."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.gateware.specs import ProductSpec
from dscim.host.cli.options import add_report, report_of
from dscim.host.cli.parallel_options import add_parallel, check_parallel, evaluator
from dscim.host.cli.prune_budget import add_budget, limits_of, limits_text
from dscim.host.cli.prune_options import add_data, add_space, data_of, need_torch
from dscim.host.network import file_hash
from dscim.host.research.prune import Space, space
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.search import Found, Settings, evolve, sample
from dscim.host.research.prune.table import CostTable, load

SHOWN = 5
"""Structures that are printed."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim prune search`."""
    add_space(parser)
    parser.add_argument(
        "--net",
        type=Path,
        required=True,
        metavar="NET.pt",
        help="a PruningNet that `dscim prune train` made",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOUND.json",
        help="what was found; FOUND.jsonl beside it keeps every evaluation, and "
        "the same command goes on from it",
    )
    add_budget(parser)
    parser.add_argument(
        "--random", action="store_true", help="the baseline: random structures, as many evaluations"
    )
    add_data(parser)
    _add_settings(parser)
    _add_fitness(parser)
    add_report(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("search")
    for field in dataclasses.fields(Settings):
        group.add_argument(
            f"--{field.name}",
            type=type(field.default),
            default=field.default,
            help=f"default {field.default}",
        )
    add_parallel(group)


def _add_fitness(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("fitness")
    group.add_argument(
        "--validation",
        type=int,
        metavar="N",
        help="held-out images that structures are compared by (default: all)",
    )
    group.add_argument(
        "--batches",
        type=int,
        default=8,
        help="batches of 128 images for the batch norms (default 8)",
    )
    group.add_argument(
        "--emulator",
        action="store_true",
        help="the accuracy of the integers by DS-CIM, not of the float network",
    )
    group.add_argument(
        "--length",
        type=int,
        metavar="L",
        help="stream length for --emulator (default: the table's, else 256)",
    )
    parser.set_defaults(threads=1)


def run(options: argparse.Namespace) -> int:
    """Searches, or goes on; prints the best."""
    report, where = report_of(options), space(options.space)
    for path in (options.output, options.json):
        check_writable(path)
    table = load(options.costs, where) if options.costs else None
    settings = Settings(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(Settings)}
    )
    budget = Budget(where, limits_of(options.budget, where, table), table)
    check_parallel(options)
    need_torch(options)
    measure = _measure(options, where, table)
    facts = {"fitness": measure.facts(), "net_sha256": file_hash(options.net)}
    cache = Cache(options.output.with_suffix(".jsonl"), facts)
    report.say(
        f"{where.name} within {limits_text(budget)}, seed {settings.seed}, "
        f"{len(cache.known)} evaluations known"
    )
    count = settings.population * settings.iterations
    with report.progress() as step, evaluator(measure, options) as workers:
        found = (
            sample(budget, count, settings.seed, workers, cache, step)
            if options.random
            else evolve(budget, settings, workers, cache, step)
        )
    result = _result(found, budget, where) | {
        "settings": dataclasses.asdict(settings),
        "random": options.random,
        **facts,
    }
    save_json(options.output, result)
    save_json(options.json, result)
    report.table(
        ("encoding", ">accuracy", *(f">{name}" for name in budget.costs(where.full))),
        [
            (
                ",".join(map(str, each["encoding"])),
                f"{100 * each['fitness']:.2f} %",
                *(str(value) for value in each["costs"].values()),
            )
            for each in result["found"][:SHOWN]
        ],
    )
    report.say(f"{len(found)} structures evaluated; written to {options.output}")
    return 0


def _measure(options: argparse.Namespace, where: Space, table: CostTable | None) -> Any:
    from dscim.host.research.prune.fitness import Measure  # noqa: PLC0415
    from dscim.host.research.prune.learn import load_pruning_net  # noqa: PLC0415

    load_pruning_net(where, options.net)  # what is wrong with it is said at once
    name, folder, held_out, _ = data_of(options, where)
    validation = held_out if options.validation is None else options.validation
    if not 1 <= validation <= held_out:
        raise UserError(f"--validation {validation} is not 1 up to the {held_out} held-out images.")
    if options.batches < 1:
        raise UserError(f"--batches {options.batches} is below 1.")
    return Measure(
        where.name,
        options.net.absolute(),
        name,
        folder,
        held_out,
        validation,
        options.batches,
        product=_product(options, table) if options.emulator else None,
    )


def _product(options: argparse.Namespace, table: CostTable | None) -> ProductSpec:
    """The arithmetic of --emulator: that of the table, where there is one."""
    product = table.product if table else ProductSpec(length=options.length or 256)
    if options.length not in (None, product.length):
        raise UserError(
            f"--length {options.length} is not the {product.length} that the cycles "
            f"of '{options.costs}' are for; build a table with --length."
        )
    return product


def _result(found: list[Found], budget: Budget, where: Space) -> dict[str, Any]:
    """What was found, as JSON: every structure, the best first."""
    return {
        "space": where.name,
        "budget": budget.limits,
        "full": budget.costs(where.full),
        "uniform": _uniform(budget, where),
        "found": [
            {
                "encoding": where.encode(each.structure),
                "fitness": each.fitness,
                "iteration": each.iteration,
                "costs": budget.costs(each.structure),
            }
            for each in found
        ],
    }


def _uniform(budget: Budget, where: Space) -> dict[str, Any] | None:
    """The widest uniform scaling within the budget; None where there is none."""
    try:
        structure = budget.uniform()
    except UserError:
        return None
    return {"encoding": where.encode(structure), "costs": budget.costs(structure)}
