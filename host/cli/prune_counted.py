"""Pruned networks on a target: every layer equal to the reference, cycles as predicted."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from dscim.console import Report
from dscim.errors import UserError
from dscim.host.cli.options import open_device, soc_for
from dscim.host.device import Device
from dscim.host.device.run import NetworkRun
from dscim.host.network import Network, load
from dscim.host.research.prune import Space
from dscim.host.research.prune.table import load as load_table

SEED = 1
"""Of the image that is run: cycles do not depend on it."""

TOLERANCE = 0.02
"""By which part counted cycles may be off the predicted ones."""


def count(
    results: list[dict[str, Any]], where: Space, options: argparse.Namespace, report: Report
) -> bool:
    """Runs the network of each result on the target, and adds "counted" to the result.

    Prints a line each. True where all layers are equal, all cycles within TOLERANCE of what the
    table predicts, and none above its budget.
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
    image = np.random.default_rng(SEED).integers(-128, 128, (1, *network.shape))
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
    counted, wanted = each["counted"], each["costs"]["cycles"]
    equal = (
        f"{counted['layers']} layers equal to the reference"
        if counted["holds"]
        else f"{counted['outputs_differing']} outputs differ from the reference"
    )
    return (
        f"{Path(each['file']).stem}: {counted['cycles']} cycles counted, {wanted} predicted "
        f"({100 * (counted['cycles'] / wanted - 1):+.2f} %); {equal}"
    )


def _good(each: dict[str, Any]) -> bool:
    counted, wanted = each["counted"], each["costs"]["cycles"]
    limit = each.get("budget", {}).get("cycles", counted["cycles"])
    return (
        counted["holds"]
        and abs(counted["cycles"] - wanted) <= TOLERANCE * wanted
        and counted["cycles"] <= limit
    )
