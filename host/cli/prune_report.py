"""`dscim prune report`: searched structures beside their baselines; makes what is missing."""

import argparse
import json
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import add_report, add_target, report_of
from dscim.host.cli.prune_counted import count
from dscim.host.cli.prune_make import add_make, make
from dscim.host.cli.prune_options import add_space
from dscim.host.research.prune import space
from dscim.host.research.prune.budget import MEASURES

NO_TARGET = "none"
"""Networks are not run; on a target they are, layer by layer, and their cycles counted."""

COLUMNS = (
    "method",
    "encoding",
    ">MACs",
    ">cycles",
    ">accuracy",
    ">deviation",
    ">seeds",
    ">INT8",
    ">DS-CIM",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim prune report`."""
    add_space(parser)
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the results of `dscim prune retrain`, and everything that is made",
    )
    add_make(parser)
    parser.add_argument(
        "--measure", choices=list(MEASURES), default="cycles", help="of the plot (default cycles)"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="accuracy against the measure with the Pareto front, as .png or .svg",
    )
    add_target(parser, NO_TARGET)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Makes what is missing, prints the table, and says by how much the search is better."""
    report, where = report_of(options), space(options.space)
    for path in (options.plot, options.json):
        check_writable(path)
    if options.make:
        make(options, report)
    results = _results(options.work, where.name)
    report.table(COLUMNS, [_row(each) for each in results])
    gains = list(_gains(results))
    for gain in gains:
        report.say(
            f"{gain['budget']}: search {100 * gain['gain']:+.2f} points against {gain['against']}"
        )
    holds = options.target == NO_TARGET or count(results, where, options, report)
    if options.plot:
        _plot(results, options)
    save_json(options.json, {"space": where.name, "results": results, "gains": gains})
    return 0 if holds else FAILED


def _results(work: Path, name: str) -> list[dict[str, Any]]:
    """The results of retrainings in a folder, the cheapest first."""
    results = []
    for path in sorted(work.glob("*.json")):
        try:
            data = json.loads(path.read_text())
        except ValueError as error:
            raise UserError(f"'{path}' is no JSON: {error}.") from error
        if isinstance(data, dict) and data.get("space") == name and "method" in data:
            results.append(data | {"file": path.name})
    if not results:
        raise UserError(
            f"'{work}' holds no result of `dscim prune retrain` for {name}; run it, or give --make."
        )
    return sorted(
        results,
        key=lambda each: (each["costs"].get("cycles", each["costs"]["macs"]), each["method"]),
    )


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        each["method"],
        ",".join(map(str, each["encoding"])),
        f"{each['costs']['macs'] / 1e6:.2f} M",
        str(each["costs"].get("cycles", "-")),
        f"{100 * each['mean']:.2f} %",
        f"{100 * each['deviation']:.2f}",
        str(len(each["seeds"])),
        f"{100 * each['int8']:.2f} %",
        f"{100 * each['dscim']:.2f} %",
    )


def _gains(results: list[dict[str, Any]]) -> Any:
    """By how much the search's mean is above each baseline's of the same budget.

    Results of one budget have names that end alike: METHOD-BUDGET.json.
    """
    by_file = {each["file"]: each for each in results}
    for each in results:
        method, dash, budget = each["file"].partition("-")
        if method != "search" or not dash:
            continue
        for baseline in ("uniform", "random", "shared"):
            other = by_file.get(f"{baseline}-{budget}")
            if other is not None:
                yield {
                    "budget": budget.removesuffix(".json"),
                    "against": baseline,
                    "gain": each["mean"] - other["mean"],
                }


def _plot(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    from dscim.host.research.prune.plots import front  # noqa: PLC0415

    methods: dict[str, list[tuple[float, float, float]]] = {}
    for each in results:
        if options.measure not in each["costs"]:
            raise UserError(
                f"'{each['file']}' does not say its {options.measure}; retrain with --costs."
            )
        methods.setdefault(each["method"], []).append(
            (each["costs"][options.measure], each["mean"], each["deviation"])
        )
    front(methods, MEASURES[options.measure], options.space, options.plot)
