"""A pruning experiment's table for pages, from the JSON of `dscim prune report --target sim`."""

import json
from importlib import resources
from typing import Any

from dscim.errors import UserError
from dscim.markdown import markdown

METHODS = {
    "full": "full network",
    "search": "evolutionary search",
    "random": "random search",
    "shared": "search by shared weights",
    "uniform": "uniform scaling",
}
"""The methods in the table's order, and their titles."""

HEAD = (
    "budget, cycles",
    "method",
    ">finalists",
    ">MMACs",
    ">cycles",
    ">counted",
    ">accuracy",
    ">deviation",
    ">seeds",
    ">INT8",
    ">DS-CIM1, L = 256",
)


def shown(name: str) -> str:
    """The table of host/data/pruned-NAME.json, the largest budget first; UserError without it.

    finalists: structures of the search that were trained to select one. accuracy: mean over the
    seeds, of the float network; INT8 and DS-CIM: of the first seed's network.
    """
    path = resources.files("dscim.host") / "data" / f"pruned-{name}.json"
    if not path.is_file():
        raise UserError(
            f"There are no results of pruning {name!r} to show; run `dscim prune "
            f"report --space {name} ... --json host/data/pruned-{name}.json`."
        )
    found, order = json.loads(path.read_text())["results"], list(METHODS)
    budgets = {_stem(each): each["budget"]["cycles"] for each in found if each["budget"]}
    rows = [(budgets.get(_stem(each)), each) for each in found]
    rows.sort(
        key=lambda row: (-(row[0] or row[1]["costs"]["cycles"]), order.index(row[1]["method"]))
    )
    return markdown(HEAD, [_row(budget, each) for budget, each in rows])


def _stem(each: dict[str, Any]) -> str:
    """The part of a file's name that the results of one budget share: METHOD-BUDGET.json."""
    return str(each["file"].partition("-")[2])


def _row(budget: int | None, each: dict[str, Any]) -> list[str]:
    finalists = each.get("search", {}).get("selection", {}).get("finalists", "-")
    return [
        f"{budget:,}" if budget else "-",
        METHODS[each["method"]],
        str(finalists),
        f"{each['costs']['macs'] / 1e6:.2f}",
        f"{each['costs']['cycles']:,}",
        f"{each['counted']['cycles']:,}",
        f"{100 * each['mean']:.2f} %",
        f"{100 * each['deviation']:.2f}",
        str(len(each["seeds"])),
        f"{100 * each['int8']:.2f} %",
        f"{100 * each['dscim']:.2f} %",
    ]
