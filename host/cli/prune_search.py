"""`dscim prune search`: searches for the structure with the best predicted accuracy in a budget."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import ProductSpec
from dscim.host.cli.common_options import ParallelOptions, ReportOptions, evaluator, report_of
from dscim.host.cli.options import Command, option, output_file, switch
from dscim.host.cli.prune_options import (
    DataOptions,
    SpaceOptions,
    costs_option,
    data_of,
    limits_of,
    need_torch,
)
from dscim.host.network import file_hash
from dscim.host.research.prune import Space, space
from dscim.host.research.prune.budget import MEASURES, Budget
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.search import Found, Settings, evolve, sample
from dscim.host.research.prune.table import CostTable, load

SHOWN = 5
"""The number of structures to print."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions(ParallelOptions):
    """The constants of the search, by their names in `Settings`, and where tasks are evaluated."""

    GROUP = "search"
    population: int = option("N", "structures per iteration", default=Settings.population)
    iterations: int = option("N", "number of iterations", default=Settings.iterations)
    parents: int = option(
        "N", "number of best structures that an iteration starts from", default=Settings.parents
    )
    mutations: int = option(
        "N", "maximum mutated structures per iteration", default=Settings.mutations
    )
    crossovers: int = option(
        "N", "maximum crossed structures per iteration", default=Settings.crossovers
    )
    rate: float = option("P", "probability that a mutation changes a gene", default=Settings.rate)
    seed: int = option("S", "seed of all random choices", default=Settings.seed)


@dataclass(frozen=True, kw_only=True)
class FitnessOptions:
    """How the accuracy of a structure is predicted."""

    GROUP = "fitness"
    validation: int | None = option(
        "N", "number of held-out images for comparing structures (default: all)"
    )
    batches: int = option(
        "N",
        "number of batches of 128 images for recalibrating the batch norms",
        default=8,
        within=(1, None),
    )
    emulator: bool = switch(
        "measure the accuracy of the integer network with DS-CIM, not of the float network"
    )
    length: int | None = option(
        "L", "stream length in samples for --emulator (default: the table's, else 256)"
    )


@dataclass(frozen=True, kw_only=True)
class Options(SpaceOptions, DataOptions, SearchOptions, FitnessOptions, ReportOptions):
    """The options of `dscim prune search`."""

    net: Path = option("NET.pt", "PruningNet of `dscim prune train`")
    output: Path = output_file(
        "FOUND.json",
        "structures to write; FOUND.jsonl in the same folder stores every evaluation, from which "
        "the same command resumes",
        short="-o",
    )
    budget: list[str] = option(
        "NAME=LIMIT",
        f"limit of {', '.join(MEASURES)}: a number, or 50% of the full network; may be repeated",
        action="append",
    )
    costs: Path | None = costs_option("for budgets of cycles and memory")
    random: bool = switch("run the baseline: the same number of random structures")


def run(options: Options) -> int:
    """Searches, or resumes; prints the best."""
    report, where = report_of(options), space(options.space)
    table = load(options.costs, where) if options.costs else None
    settings = Settings(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(Settings)}
    )
    budget = Budget(where, limits_of(options.budget, where, table), table)
    need_torch(threads=1)
    measure = _measure(options, where, table)
    limits = ", ".join(f"{limit} {MEASURES[name]}" for name, limit in budget.limits.items())
    facts = {"fitness": measure.facts(), "net_sha256": file_hash(options.net)}
    cache = Cache(options.output.with_suffix(".jsonl"), facts)
    report.say(
        f"{where.name} within {limits}, seed {settings.seed}, {len(cache.known)} evaluations known"
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


def _measure(options: Options, where: Space, table: CostTable | None) -> Any:
    from dscim.host.research.prune.fitness import Measure  # noqa: PLC0415
    from dscim.host.research.prune.learn import load_pruning_net  # noqa: PLC0415

    load_pruning_net(where, options.net)  # reports a wrong file before the search starts
    name, folder, held_out, _ = data_of(options, where)
    validation = held_out if options.validation is None else options.validation
    if not 1 <= validation <= held_out:
        raise UserError(f"--validation {validation} is not 1 up to the {held_out} held-out images.")
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


def _product(options: Options, table: CostTable | None) -> ProductSpec:
    """The arithmetic of --emulator: that of the cost table, if there is one."""
    product = table.product if table else ProductSpec(length=options.length or 256)
    if options.length not in (None, product.length):
        raise UserError(
            f"--length {options.length} is not {product.length}, the length that the "
            f"cycles of '{options.costs}' are for; build a table with --length."
        )
    return product


def _result(found: list[Found], budget: Budget, where: Space) -> dict[str, Any]:
    """The structures as JSON, the best first."""
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
    """The widest uniform scaling within the budget; None if there is none."""
    try:
        structure = budget.uniform()
    except UserError:
        return None
    return {"encoding": where.encode(structure), "costs": budget.costs(structure)}


COMMAND = Command(
    Options,
    run,
    "prune search --space cifar10-mobilenet-v1 --net net.pt --budget macs=50% --output found.json",
)
