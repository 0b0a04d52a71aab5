"""The tables of pages, generated from stored results.

The text between `<!-- KIND NAME -->` and `<!-- end -->` is generated from JSON: kind `study` from
host/data/study-*.json, `table` from boards/reports and host/fpga/fit/*.json, `pruned` from
host/data/pruned-*.json; kind `operators` from the declarations of the importers.
"""

import re
from collections.abc import Callable

from dscim.host.fpga.fit import results as builds
from dscim.host.research import operators
from dscim.host.research.prune import results as pruned
from dscim.host.research.studies import results as studies

KINDS: dict[str, Callable[[str], str]] = {
    "study": studies.shown,
    "table": builds.shown,
    "pruned": pruned.shown,
    "operators": operators.shown,
}
"""For each kind of block, the function from the block's name to its Markdown."""

BLOCK = re.compile(rf"(<!-- ({'|'.join(KINDS)}) ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(text: str) -> str:
    """`text` with every block generated again; UserError for a block without stored results."""
    return BLOCK.sub(lambda found: f"{found[1]}{KINDS[found[2]](found[3])}{found[4]}", text)
