"""`dscim prune cost`: what a structure costs on paper."""

import argparse
from pathlib import Path

from dscim.files import check_writable, save_json
from dscim.host.cli.options import add_report, report_of
from dscim.host.cli.prune_options import add_space, add_structure, structure_of
from dscim.host.research.prune import macs, operations, parameters, space
from dscim.host.research.prune.table import load


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim prune cost`."""
    add_space(parser)
    add_structure(parser)
    parser.add_argument(
        "--costs",
        type=Path,
        metavar="TABLE.json",
        help="a table of `dscim prune table`: its cycles are told too",
    )
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the cost in one line; with --verbose the widths, with --json every operation."""
    check_writable(options.json)
    report, where = report_of(options), space(options.space)
    structure = structure_of(options, where)
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
