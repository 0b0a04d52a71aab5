"""`dscim macros`: DS-CIM and exact macros side by side on an ECP5."""

import argparse
import dataclasses

from dscim.files import check_writable, save_json
from dscim.host.cli.options import add_report, report_of
from dscim.host.fpga.fit.alone import read_placed
from dscim.host.fpga.fit.sides import COLUMNS, cells, contenders, side
from dscim.host.fpga.fit.size import SizeModel


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim macros`."""
    parser.add_argument("--rows", type=int, default=128, metavar="R", help="default 128")
    parser.add_argument("--columns", type=int, default=4, metavar="C", help="default 4")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Prints a line a macro."""
    check_writable(options.json)
    report = report_of(options)
    model, placed = SizeModel(), read_placed()
    sides = [
        side(*contender, model, placed) for contender in contenders(options.rows, options.columns)
    ]
    report.say(f"Macros of {options.rows} x {options.columns} alone on an ECP5-85F, speed grade 8")
    report.table(COLUMNS, [cells(one) for one in sides])
    report.say(
        "cycles: of a product of all rows and columns. 'Yosys': synthesised, without place "
        "and route; 'model': estimated from smaller ones; '-': not placed and routed here. "
        "A product of DS-CIM is an estimate, an exact one is exact."
    )
    save_json(
        options.json,
        [
            dataclasses.asdict(one)
            | {
                "products_per_cycle_and_1000_lut4": one.per_kilo_lut,
                "giga_products_per_second": one.giga_products,
            }
            for one in sides
        ],
    )
    return 0
