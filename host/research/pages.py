"""The tables of pages, made from the results that are kept: python -m dscim.host.research.pages.

    python -m dscim.host.research.pages README.md host/research/studies/README.md [--write]

What stands between `<!-- KIND NAME -->` and `<!-- end -->` is made from JSON: of kind `study` from
host/data/study-*.json, `table` from boards/reports and host/fpga/fit/*.json, `pruned` from
host/data/pruned-*.json. Without --write a page that differs fails.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from dscim.errors import UserError
from dscim.files import save_bytes
from dscim.host.fpga.fit import results as builds
from dscim.host.research.prune import results as pruned
from dscim.host.research.studies import results as studies

KINDS: dict[str, Callable[[str], str]] = {
    "study": studies.shown,
    "table": builds.shown,
    "pruned": pruned.shown,
}
"""What makes the Markdown of a block of that kind, by its name."""

BLOCK = re.compile(rf"(<!-- ({'|'.join(KINDS)}) ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(text: str) -> str:
    """`text` with every block as the kept results give it; UserError for one without results."""
    return BLOCK.sub(lambda found: f"{found[1]}{KINDS[found[2]](found[3])}{found[4]}", text)


def main() -> int:
    """Checks or writes the blocks of pages; 1 where one differs, 2 for a misuse."""
    parser = argparse.ArgumentParser(
        prog="python -m dscim.host.research.pages", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("pages", type=Path, nargs="+", metavar="PAGE")
    parser.add_argument("--write", action="store_true", help="write the blocks instead")
    options = parser.parse_args()
    try:
        differ = [page for page in options.pages if _differs(page, options.write)]
    except (UserError, OSError) as error:
        print(f"dscim: {error}", file=sys.stderr)
        return 2
    for page in differ:
        print(
            f"dscim: the tables in '{page}' are not those of the kept results; run with --write.",
            file=sys.stderr,
        )
    return 1 if differ else 0


def _differs(page: Path, write: bool) -> bool:
    """Whether the page's blocks are others than they should be, and stay so."""
    text = page.read_text()
    made = rendered(text)
    if write and made != text:
        save_bytes(page, made.encode())
    return made != text and not write


if __name__ == "__main__":
    sys.exit(main())
