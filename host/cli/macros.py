"""`dscim macros`: compares DS-CIM and exact macros on an ECP5."""

import dataclasses
from dataclasses import dataclass

from dscim.files import check_writable, save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, option
from dscim.host.fpga.fit.alone import read_placed
from dscim.host.fpga.fit.sides import COLUMNS, cells, side
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.wanted import contenders


@dataclass(frozen=True, kw_only=True)
class Options(ReportOptions):
    """The options of `dscim macros`."""

    rows: int = option("R", "rows of the macros", default=128)
    columns: int = option("C", "columns of the macros", default=4)


def run(options: Options) -> int:
    """Prints one line per macro."""
    check_writable(options.json)
    report = report_of(options)
    model, placed = SizeModel(), read_placed()
    sides = [
        side(*contender, model, placed) for contender in contenders(options.rows, options.columns)
    ]
    report.say(f"Macros of {options.rows} x {options.columns} alone on an ECP5-85F, speed grade 8")
    report.table(COLUMNS, [cells(one) for one in sides])
    report.say(
        "cycles: for one product of all rows and columns. 'Yosys': synthesised, without place "
        "and route; 'model': estimated from smaller macros; '-': not placed and routed here. "
        "DS-CIM products are approximate."
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


COMMAND = Command(Options, run, "macros --rows 128 --columns 4")
