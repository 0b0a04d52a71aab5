"""The README's tables of builds and macros, made from what is kept of them.

    python -m dscim.host.fit.readme README.md [--write]

What stands between `<!-- table NAME -->` and `<!-- end -->` is made from boards/reports/*.json,
and from sizes.json and placed.json of this folder. Without --write a block that differs fails.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dscim.host.bitstream.reports import COLUMNS, read_reports, row
from dscim.host.cli.files import save_bytes
from dscim.host.errors import UserError
from dscim.host.fit.alone import read_placed
from dscim.host.fit.sides import COLUMNS as SIDES
from dscim.host.fit.sides import cells, contenders, side
from dscim.host.fit.size import SizeModel
from dscim.host.fit.table import built

BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def _builds() -> Table:
    return COLUMNS, [row(facts) for facts in read_reports()]


def _estimates() -> Table:
    """Estimated beside built."""
    rows = built(SizeModel())
    return ("build", ">LUT4", ">estimated", ">off", ">block RAM", ">estimated", ">multipliers",
            ">estimated"), [
        (f"`{one.name}`", f"{one.lut4}", f"{one.estimate.lut4}", f"{100*one.off:+.1f} %",
         f"{one.block_ram}", f"{one.estimate.block_ram}", f"{one.multipliers}",
         f"{one.estimate.multipliers}") for one in rows]


def _macros() -> Table:
    """Those of `dscim macros` in its default size."""
    model, placed = SizeModel(), read_placed()
    return SIDES, [cells(side(*contender, model, placed)) for contender in contenders(128, 4)]


TABLES: dict[str, Callable[[], Table]] = {
    "builds": _builds, "estimates": _estimates, "macros": _macros}
"""By the block's name."""


def rendered(text: str) -> str:
    """`text` with every block as it is made now; UserError for an unknown one."""
    def block(found: re.Match[str]) -> str:
        if found[2] not in TABLES:
            raise UserError(f"There is no table {found[2]!r}; choose one of {', '.join(TABLES)}.")
        return f"{found[1]}{_markdown(*TABLES[found[2]]())}{found[3]}"
    return BLOCK.sub(block, text)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rules = ["---:" if title.startswith(">") else "---" for title in head]
    lines = [[title.lstrip(">") for title in head], rules, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Checks or writes the blocks of a file; 1 where they differ."""
    parser = argparse.ArgumentParser(prog="python -m dscim.host.fit.readme",
                                     description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", action="store_true", help="write the blocks instead")
    options = parser.parse_args()
    try:
        text = options.file.read_text()
        made = rendered(text)
        if options.write:
            save_bytes(options.file, made.encode())
    except (UserError, OSError) as error:
        print(f"dscim: {error}", file=sys.stderr)
        return 2
    if made != text and not options.write:
        print(f"dscim: the tables in '{options.file}' are not those of the reports; run with "
              "--write.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
