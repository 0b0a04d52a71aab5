"""`dscim demo`: runs real images through the shipped network on the simulated SoC."""

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dscim.arrays import Int64
from dscim.console import Report
from dscim.files import save_json
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.cli import layers
from dscim.host.cli.arithmetic_options import soc_for
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command, check_within, option
from dscim.host.cli.target_options import TargetOptions, open_device
from dscim.host.device.run import NetworkRun, Pool
from dscim.host.device.target import SIMULATORS
from dscim.host.link.base import Link
from dscim.host.network import predictions
from dscim.host.network.shipped import EXACT, SHORT, TUNED, shipped_images, shipped_network

STOCHASTIC = ProductSpec(or_width=16, length=256)
"""ds-cim1 at L = 256."""

RUNS = (
    (TUNED, STOCHASTIC),
    (SHORT, dataclasses.replace(STOCHASTIC, length=64)),
    (EXACT, dataclasses.replace(STOCHASTIC, exact=True)),
)
"""Networks, and the arithmetic that each is for."""


@dataclass(frozen=True, kw_only=True)
class Options(TargetOptions, ReportOptions):
    """The options of `dscim demo`."""

    images: int = option("N", "number of the shipped images to run", default=8)
    simulators: int | None = option(
        "M", "number of simulators that run at once (default: one per core)"
    )


def run(options: Options) -> int:
    """Runs the network with DS-CIM1 at two lengths and exactly; exit status 0 when all agree."""
    report = report_of(options)
    networks = [shipped_network(name) for name, _ in RUNS]
    images, labels = shipped_images(options.images)
    count = _simulators(options)
    spec = soc_for(STOCHASTIC)
    runs: list[NetworkRun] = []
    links: list[Link] = []
    start = time.monotonic()
    with (
        _saved(options, runs, links, labels),
        Pool.open(count, lambda: open_device(options, spec, report)) as pool,
    ):
        links += [device.link for device in pool.devices]
        report.say(
            f"{len(images)} images on {count} x {options.target}, macro of "
            f"{spec.macro.rows} x {spec.macro.columns}, spec {spec.hash:08x}"
        )
        for place, (network, (_, arithmetic)) in enumerate(zip(networks, RUNS, strict=True), 1):
            report.say(f"\nRun {place} of {len(RUNS)}: {network.name}, {describe(arithmetic)}")
            runs.append(NetworkRun(pool.devices, network, arithmetic, images))
            layers.carry_out(runs[-1], report)
    report.say("")
    _classes(runs, labels, report)
    running = sum(layer.seconds for work in runs for layer in work.layers)
    report.say(
        f"\n{running / len(images) / len(runs):.2f} s per image on the {options.target} "
        f"target, {time.monotonic() - start:.1f} s in all"
    )
    return 0 if layers.conclude(runs, report) else FAILED


def _simulators(options: Options) -> int:
    """The number of devices, at most one per image."""
    count = options.simulators
    if count is None:
        count = len(os.sched_getaffinity(0)) if options.target in SIMULATORS else 1
    check_within("--simulators", count, 1, 64)
    return min(count, options.images)


@contextmanager
def _saved(
    options: Options, runs: list[NetworkRun], links: list[Link], labels: Int64
) -> Iterator[None]:
    """Writes --json at the end, also after a failure; links: those of the devices."""
    try:
        yield
    finally:
        if any(work.layers for work in runs):
            result: dict[str, Any] = {
                "target": options.target,
                "labels": labels.tolist(),
                "outputs_compared": sum(work.compared for work in runs),
                "all_agree": len(runs) == len(RUNS) and all(work.holds for work in runs),
                "links": [dataclasses.asdict(link.statistics) for link in links],
                "runs": [layers.to_json(work, labels) for work in runs],
            }
            save_json(options.json, result)


def _classes(runs: list[NetworkRun], labels: Int64, report: Report) -> None:
    """Prints the class that each run gives every image, the accuracies and the cycles."""
    names = runs[0].network.classes
    results = [predictions(work.outputs) for work in runs if work.outputs is not None]
    titles = [describe(work.arithmetic) for work in runs]
    rows = [
        (
            str(image),
            names[label],
            *(_class(names, int(classes[image]), int(label)) for classes in results),
        )
        for image, label in enumerate(labels)
    ]
    rows.append(
        ("", "accuracy", *(f"{100 * (classes == labels).mean():.2f} %" for classes in results))
    )
    if any(work.counters.cycles_busy for work in runs):
        cycles = (work.counters.cycles_busy / len(labels) for work in runs)
        rows.append(("", "cycles per image", *(f"{count:,.0f}" for count in cycles)))
    report.table([">image", "label", *titles], rows)


def _class(names: tuple[str, ...], number: int, label: int) -> str:
    return names[number] if number == label else f"{names[number]} (wrong)"


COMMAND = Command(Options, run, "demo --target ref --images 1")
