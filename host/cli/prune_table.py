"""`dscim prune table`: cycles of every operation over its widths, from the engine's cycle model."""

import argparse
import dataclasses
from pathlib import Path

from dscim.files import check_writable, save_json
from dscim.gateware.specs import describe
from dscim.host.cli.options import (
    add_arithmetic,
    add_macro,
    add_report,
    product_spec,
    report_of,
    soc_for,
)
from dscim.host.cli.prune_options import add_space
from dscim.host.research.prune import operations, space
from dscim.host.research.prune.onchip import memory
from dscim.host.research.prune.table import build

COLUMNS = ("operation", ">least cycles", ">most cycles")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim prune table`."""
    add_space(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="TABLE.json", help="the cost table"
    )
    add_arithmetic(parser)
    add_macro(parser)
    for name, what in (
        ("activation_words", "words of 8 bytes of the activation memory"),
        ("weight_rows", "rows of the weight memory"),
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=what)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Builds the table; prints each operation's least and most."""
    check_writable(options.output)
    check_writable(options.json)
    report, where = report_of(options), space(options.space)
    product = product_spec(options)
    spec = dataclasses.replace(
        soc_for(product, options),
        **{
            name: getattr(options, name)
            for name in ("activation_words", "weight_rows")
            if getattr(options, name) is not None
        },
    )
    with report.progress() as step:
        table = build(where, spec, product, step)
    table.save(options.output)
    rows = [
        (entry.name, f"{entry.cycles.min()}", f"{entry.cycles.max()}") for entry in table.entries
    ]
    least, most = table.total(where, where.least), table.total(where, where.full)
    report.table(COLUMNS, [*rows, ("all", f"{least}", f"{most}")])
    held = [memory(spec, operations(where, each)) for each in (where.least, where.full)]
    report.say(
        f"{where.name} on {describe(product)}: {least} to {most} cycles an image, "
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
