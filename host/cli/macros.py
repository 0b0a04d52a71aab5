"""`dscim macros`: compares DS-CIM and exact macros on an ECP5."""

import dataclasses
from dataclasses import dataclass

from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command
from dscim.host.fpga.cells.contenders import compared, read_table

COLUMNS = (
    "macro",
    ">products/cycle",
    ">LUT4",
    ">FF",
    ">multipliers",
    ">LUT4 per product and cycle",
    ">products/cycle per 1000 LUT4",
)


@dataclass(frozen=True, kw_only=True)
class Options(ReportOptions):
    """The options of `dscim macros`."""


def run(options: Options) -> int:
    """Prints one line per macro."""
    report, sizes = report_of(options), read_table()
    rows, facts = [], []
    for contender in compared():
        size = sizes.get(contender.name)
        products = contender.products_per_cycle
        if size is None:
            rows.append([contender.name, f"{products:,}", *["-"] * 5])
            continue
        rows.append(
            [
                contender.name,
                f"{products:,}",
                f"{size.lut4:,}",
                f"{size.flip_flops:,}",
                f"{size.multipliers:,}",
                f"{size.lut4 / products:.1f}",
                f"{1000 * products / size.lut4:.1f}",
            ]
        )
        facts.append(
            {
                "name": contender.name,
                "products_per_cycle": products,
                **dataclasses.asdict(size),
                "products_per_cycle_and_1000_lut4": 1000 * products / size.lut4,
            }
        )
    report.say("Macros of 128 x 32 alone on an ECP5, with everything that they contain")
    report.table(COLUMNS, rows)
    report.say(
        "Sizes by Yosys, extrapolated from a few columns, without place and route; '-': not "
        "measured. products/cycle: at the largest n that is built, 64 points per cycle and group. "
        "DS-CIM products are approximate: n samples behave like operands of log2 n bits. INT4 "
        "products are exact, but a network must be retrained for 4-bit operands and usually loses "
        "accuracy; how much is not measured here."
    )
    save_json(options.json, facts)
    return 0


COMMAND = Command(Options, run, "macros")
