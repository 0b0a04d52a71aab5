"""`dscim dev tables`: computes the shipped threshold tables of gateware/specs/tables.py."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, argument
from dscim.host.research.studies.tables import MADE_FOR, lines


@dataclass(frozen=True, kw_only=True)
class Options(ReportOptions):
    """The options of `dscim dev tables`."""

    names: Sequence[str] = argument(
        "NAME", f"tables to compute: {', '.join(MADE_FOR)} (default: all)", nargs="*", default=()
    )


def run(options: Options) -> int:
    """Prints the tables as Python text; minutes per table."""
    report = report_of(options)
    text = []
    for line in lines(options.names or list(MADE_FOR)):
        text.append(line)
        report.say(line)
        sys.stdout.flush()
    save_json(options.json, text)
    return 0


COMMAND = Command(Options, run, "dev tables gaussian")
