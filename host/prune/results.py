"""What pages show of a pruning experiment, from the JSON of `dscim prune report --target sim`."""

import json
from importlib import resources
from typing import Any

from dscim.host.errors import UserError
from dscim.host.markdown import markdown

METHODS = {"full": "full network", "search": "evolutionary search", "random": "random search",
           "shared": "search by shared weights", "uniform": "uniform scaling"}
"""In the table's order."""

HEAD = ("budget, cycles", "method", ">MMACs", ">cycles", ">counted", ">accuracy", ">deviation",
        ">seeds", ">INT8", ">DS-CIM1, L = 256")


def shown(name: str) -> str:
    """The table of host/data/pruned-NAME.json, from the widest budget on; UserError without it.

    accuracy: mean over the seeds, in float; INT8 and DS-CIM: of the first seed's network.
    """
    path = resources.files("dscim.host") / "data" / f"pruned-{name}.json"
    if not path.is_file():
        raise UserError(f"There are no results of pruning {name!r} to show; run `dscim prune "
                        f"report --space {name} ... --json host/data/pruned-{name}.json`.")
    found, order = json.loads(path.read_text())["results"], list(METHODS)
    return markdown(HEAD, [_row(each) for each in sorted(found, key=lambda each: (
        -_budget(each), order.index(each["method"])))])


def _budget(each: dict[str, Any]) -> int:
    """In cycles; of the full network what it takes."""
    return int(each["budget"].get("cycles", each["costs"]["cycles"]))


def _row(each: dict[str, Any]) -> list[str]:
    return [f"{each['budget']['cycles']:,}" if each["budget"] else "-", METHODS[each["method"]],
            f"{each['costs']['macs'] / 1e6:.2f}", f"{each['costs']['cycles']:,}",
            f"{each['counted']['cycles']:,}", f"{100 * each['mean']:.2f} %",
            f"{100 * each['deviation']:.2f}", str(len(each["seeds"])),
            f"{100 * each['int8']:.2f} %", f"{100 * each['dscim']:.2f} %"]
