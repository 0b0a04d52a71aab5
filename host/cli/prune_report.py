"""`dscim prune report`: compares searched structures with their baselines."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_json
from dscim.host.cli.arithmetic_options import soc_for
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command, choice, output_file
from dscim.host.cli.prune_make import MakeOptions, make
from dscim.host.cli.target_options import TargetOptions, open_device, target_option
from dscim.host.device import Device
from dscim.host.device.run import NetworkRun
from dscim.host.network import Network, load
from dscim.host.research.prune import Space, space
from dscim.host.research.prune.budget import MEASURES
from dscim.host.research.prune.table import load as load_table

NO_TARGET = "none"
"""The default of --target: networks are not run, and so no cycles are counted."""

IMAGE_SEED = 1
"""The seed of the image that runs on a target; cycles do not depend on the image."""

TOLERANCE = 0.02
"""The largest relative difference between counted and predicted cycles."""

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


@dataclass(frozen=True, kw_only=True)
class Options(MakeOptions, TargetOptions, ReportOptions):
    """The options of `dscim prune report`."""

    measure: str = choice(MEASURES, "cost on the plot's horizontal axis", default="cycles")
    plot: Path | None = output_file(
        "FILE", "plot accuracy against the measure with the Pareto front, as .png or .svg"
    )
    target: str = target_option(NO_TARGET)


def run(options: Options) -> int:
    """Prints the table and the search's gain over each baseline; --make runs what is missing."""
    report, where = report_of(options), space(options.space)
    if options.make:
        make(options, report)
    results = _results(options.work, where.name)
    report.table(COLUMNS, [_row(each) for each in results])
    gains = list(_gains(results))
    for gain in gains:
        report.say(
            f"{gain['budget']}: search {100 * gain['gain']:+.2f} points against {gain['against']}"
        )
    holds = options.target == NO_TARGET or _count(results, where, options, report)
    if options.plot:
        _plot(results, options, options.plot)
    save_json(options.json, {"space": where.name, "results": results, "gains": gains})
    return 0 if holds else FAILED


def _results(work: Path, name: str) -> list[dict[str, Any]]:
    """The results of the retrainings in a folder, the cheapest first."""
    results = []
    for path in sorted(work.glob("*.json")):
        try:
            data = json.loads(path.read_text())
        except ValueError as error:
            raise UserError(f"'{path}' is not JSON: {error}.") from error
        if isinstance(data, dict) and data.get("space") == name and "method" in data:
            results.append(data | {"file": path.name})
    if not results:
        raise UserError(
            f"'{work}' has no result of `dscim prune retrain` for {name}; run it, or give --make."
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


def _gains(results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The search's gain in mean accuracy over each baseline with the same budget.

    Results with the same budget have the same end of their name: METHOD-BUDGET.json.
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


def _plot(results: list[dict[str, Any]], options: Options, path: Path) -> None:
    from dscim.host.research.prune.plots import front  # noqa: PLC0415

    methods: dict[str, list[tuple[float, float, float]]] = {}
    for each in results:
        if options.measure not in each["costs"]:
            raise UserError(f"'{each['file']}' has no {options.measure}; retrain with --costs.")
        methods.setdefault(each["method"], []).append(
            (each["costs"][options.measure], each["mean"], each["deviation"])
        )
    front(methods, MEASURES[options.measure], options.space, path)


def _count(results: list[dict[str, Any]], where: Space, options: Options, report: Report) -> bool:
    """Runs the network of each result on the target, prints a line, and adds "counted" to it.

    True if all layers are equal, all cycles are within TOLERANCE of the prediction, and none exceed
    their budget.
    """
    if any("cycles" not in each["costs"] for each in results):
        raise UserError("--target needs predicted cycles; retrain with --costs.")
    table = options.work / "table.json"
    networks = [load(options.work / each["file"].replace(".json", ".npz")) for each in results]
    spec = load_table(table, where).spec if table.exists() else soc_for(networks[0].arithmetic)
    with open_device(options, spec, report) as device, report.progress() as step:
        for done, (each, network) in enumerate(zip(results, networks, strict=True), 1):
            each["counted"] = _counted(device, network)
            report.say(_line(each))
            step("networks", done, len(results))
    return all(_good(each) for each in results)


def _counted(device: Device, network: Network) -> dict[str, Any]:
    """A run of one image: its cycles, and whether every layer equals the reference."""
    image = np.random.default_rng(IMAGE_SEED).integers(-128, 128, (1, *network.shape))
    run = NetworkRun([device], network, network.arithmetic, image.astype(np.int8))
    for _ in run.execute(lambda *_: None):
        pass
    return {
        "cycles": run.counters.cycles_busy,
        "layers": len(run.layers),
        "outputs_compared": run.compared,
        "outputs_differing": run.differing,
        "holds": run.holds,
    }


def _line(each: dict[str, Any]) -> str:
    counted, predicted = each["counted"], each["costs"]["cycles"]
    equal = (
        f"{counted['layers']} layers equal to the reference"
        if counted["holds"]
        else f"{counted['outputs_differing']} outputs differ from the reference"
    )
    return (
        f"{Path(each['file']).stem}: {counted['cycles']} cycles counted, {predicted} predicted "
        f"({100 * (counted['cycles'] / predicted - 1):+.2f} %); {equal}"
    )


def _good(each: dict[str, Any]) -> bool:
    counted, predicted = each["counted"], each["costs"]["cycles"]
    limit = each.get("budget", {}).get("cycles", counted["cycles"])
    return (
        counted["holds"]
        and abs(counted["cycles"] - predicted) <= TOLERANCE * predicted
        and counted["cycles"] <= limit
    )


COMMAND = Command(Options, run, "prune report --space cifar10-mobilenet-v1 --work results")
