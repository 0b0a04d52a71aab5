"""`dscim dev breakdown`: the cells of a board's device by the module that they belong to."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import SocSpec
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, argument, option
from dscim.host.cli.setup_options import SetupOptions, setup_for

COLUMNS = ("module", ">LUT4", ">%", ">FF", ">block RAM", ">multipliers")
COUNTED = ("lut4", "flip_flops", "block_ram", "multipliers")


@dataclass(frozen=True, kw_only=True)
class Options(SetupOptions, ReportOptions):
    """The options of `dscim dev breakdown`."""

    board: str = argument("BOARD", "name of a board of `dscim boards`")
    spec: Path | None = option(
        "FILE", "JSON file of a SocSpec, or report.json of a build: the device to synthesise"
    )
    depth: int = option("N", "levels of modules: the rows of the table", default=3, within=(1, 20))
    least: int = option(
        "N", "print rows of modules with at least N LUT4s, or block RAM", default=50
    )


def run(options: Options) -> int:
    """Synthesises the device once, in minutes, and prints its modules as a tree."""
    report = report_of(options)
    setup = setup_for(options.board, options)
    if options.spec is not None:
        setup = dataclasses.replace(setup, spec=_read_spec(options.spec))
    from dscim.host.fpga.cells.breakdown import METHOD, break_down  # noqa: PLC0415 - Migen

    with report.progress() as tick:
        found = break_down(setup, report.detail, tick)
    total = found.total()
    tree = list(found.tree(options.depth))
    report.table(
        COLUMNS,
        [
            _row(f"{'  ' * path.count('/')}{path.rpartition('/')[2]}", cells, total["lut4"])
            for path, cells in tree
            if cells["lut4"] >= options.least or cells["block_ram"]
        ]
        + [_row("the device", total, total["lut4"])],
    )
    report.say(METHOD.format(share=100 * found.named / max(1, total["lut4"])))
    save_json(
        options.json,
        {
            "board": setup.board.name,
            "spec": setup.spec.to_json(),
            "total": _counts(total),
            "named": found.named,
            "modules": {path: _counts(found.total(path)) for path in sorted(found.cells)},
            "own": {path: _counts(cells) for path, cells in sorted(found.cells.items())},
        },
    )
    return 0


def _counts(cells: Any) -> dict[str, int]:
    return {name: cells[name] for name in COUNTED}


def _row(name: str, cells: Any, tables: int) -> tuple[str, ...]:
    share = f"{100 * cells['lut4'] / max(1, tables):.1f}"
    return (name, f"{cells['lut4']}", share, *(f"{cells[kind]}" for kind in COUNTED[1:]))


def _read_spec(path: Path) -> SocSpec:
    """The SocSpec of a file; UserError if it has none."""
    try:
        content = json.loads(path.read_text())
        return SocSpec.from_json(content.get("spec", content))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"'{path}' does not have a SocSpec as JSON: {error}.") from error


COMMAND = Command(Options, run, "dev breakdown colorlight_i5")
