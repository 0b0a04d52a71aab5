"""The tables of pages, made from the results that are kept.

What is between `<!-- KIND NAME -->` and `<!-- end -->` is made from JSON: kind `study` from
host/data/study-*.json, `table` from boards/reports and host/fpga/fit/*.json, `pruned` from
host/data/pruned-*.json.
"""

import re
from collections.abc import Callable

from dscim.host.fpga.fit import results as builds
from dscim.host.research.prune import results as pruned
from dscim.host.research.studies import results as studies

KINDS: dict[str, Callable[[str], str]] = {
    "study": studies.shown,
    "table": builds.shown,
    "pruned": pruned.shown,
}
"""What makes the Markdown of a block of each kind, from the block's name."""

BLOCK = re.compile(rf"(<!-- ({'|'.join(KINDS)}) ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(text: str) -> str:
    """`text` with every block made from the kept results; UserError for one without results."""
    return BLOCK.sub(lambda found: f"{found[1]}{KINDS[found[2]](found[3])}{found[4]}", text)
