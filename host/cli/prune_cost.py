"""`dscim prune cost` and `dscim prune table`: the costs of structures, operations and cycles."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dscim.files import save_json
from dscim.gateware.specs import describe
from dscim.host.cli.arithmetic_options import (
    ArithmeticOptions,
    MacroOptions,
    product_spec,
    soc_for,
)
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, option, output_file
from dscim.host.cli.prune_options import SpaceOptions, costs_option, decoded, encoding_option
from dscim.host.research.prune import macs, operations, parameters, space
from dscim.host.research.prune.onchip import memory
from dscim.host.research.prune.table import build, load

COLUMNS = ("operation", ">min cycles", ">max cycles")


@dataclass(frozen=True, kw_only=True)
class CostOptions(SpaceOptions, ReportOptions):
    """The options of `dscim prune cost`."""

    encoding: tuple[int, ...] = encoding_option()
    costs: Path | None = costs_option("for printing the cycles, too")


def cost(options: CostOptions) -> int:
    """Prints the costs in one line; --verbose adds the widths, --json has every operation."""
    report, where = report_of(options), space(options.space)
    structure = decoded(options.encoding, where)
    done = operations(where, structure)
    cycles = load(options.costs, where).total(where, structure) if options.costs else None
    report.say(
        f"{macs(done) / 1e6:.2f} M MACs, {parameters(done) / 1e6:.3f} M parameters"
        + ("" if cycles is None else f", {cycles:,} cycles")
    )
    report.detail("widths " + ",".join(map(str, where.channels(structure)[1:])))
    save_json(
        options.json,
        {
            "space": where.name,
            "encoding": where.encode(structure),
            "widths": where.channels(structure),
            "macs": macs(done),
            "parameters": parameters(done),
            "cycles": cycles,
            "operations": [
                {
                    "name": each.name,
                    "kind": each.kind.value,
                    "input": each.layer.input,
                    "output": each.layer.output,
                    "macs": macs([each]),
                    "parameters": parameters([each]),
                }
                for each in done
            ],
        },
    )
    return 0


@dataclass(frozen=True, kw_only=True)
class TableOptions(SpaceOptions, ArithmeticOptions, MacroOptions, ReportOptions):
    """The options of `dscim prune table`."""

    output: Path = output_file("TABLE.json", "cost table to write", short="-o")
    activation_words: int | None = option("N", "size of the activation memory, in words of 8 bytes")
    weight_rows: int | None = option("N", "size of the weight memory, in rows")


def table(options: TableOptions) -> int:
    """Builds the table; prints the minimum and maximum of each operation."""
    report, where = report_of(options), space(options.space)
    product = product_spec(options)
    spec = soc_for(product, options)
    if options.activation_words is not None:
        spec = dataclasses.replace(spec, activation_words=options.activation_words)
    if options.weight_rows is not None:
        spec = dataclasses.replace(spec, weight_rows=options.weight_rows)
    with report.progress() as step:
        costs = build(where, spec, product, step)
    costs.save(options.output)
    rows = [
        (entry.name, f"{entry.cycles.min()}", f"{entry.cycles.max()}") for entry in costs.entries
    ]
    least, most = costs.total(where, where.least), costs.total(where, where.full)
    report.table(COLUMNS, [*rows, ("all", f"{least}", f"{most}")])
    held = [memory(spec, operations(where, each)) for each in (where.least, where.full)]
    report.say(
        f"{where.name} on {describe(product)}: {least} to {most} cycles per image, "
        f"{held[0]} to {held[1]} bytes of on-chip memory; written to {options.output}"
    )
    save_json(
        options.json,
        {
            "space": where.name,
            "settings": product.to_json(),
            "device": spec.to_json(),
            "cycles": {"least": least, "full": most},
            "memory": {"least": held[0], "full": held[1]},
        },
    )
    return 0


COST = Command(CostOptions, cost, "prune cost --space cifar10-mobilenet-v1 --encoding FULL")
TABLE = Command(
    TableOptions, table, "prune table --space cifar10-mobilenet-v1 --output table.json --length 64"
)
