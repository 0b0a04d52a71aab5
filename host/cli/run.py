"""`dscim run`: executes a network on a target and compares each layer with the reference."""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import load_int8, load_labels, save_array, save_json
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.cli import layers
from dscim.host.cli.arithmetic_options import ArithmeticOptions, product_spec, soc_for
from dscim.host.cli.common_options import LimitOptions, ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.losses import report_losses
from dscim.host.cli.options import Command, argument, option, output_file, switch
from dscim.host.cli.target_options import (
    TargetOptions,
    check_trace,
    open_device,
    say_link,
    target_option,
)
from dscim.host.device.run import NetworkRun
from dscim.host.golden.emulator import why_no_kernel
from dscim.host.network import Evaluator, Network, check_images, file_hash, load


@dataclass(frozen=True, kw_only=True)
class Options(LimitOptions, ArithmeticOptions, TargetOptions, ReportOptions):
    """The options of `dscim run`."""

    network: Path = argument("NETWORK", "network file (.npz)")
    inputs: Path = argument("INPUTS.npy", "(N, H, W, C) int8, the network's own input integers")
    labels: Path | None = option("Y.npy", "class numbers, (N,), for measuring the accuracy")
    output: Path | None = output_file("OUT.npy", "outputs to write, (N, H, W, C) int8")
    compare: bool | None = option(
        "",
        "read every layer's output and compare it with the reference (default, except for the "
        "target ref); without it, tensors stay on the device and only the last output is compared",
        default=None,
        action=argparse.BooleanOptionalAction,
    )
    report: bool = switch(
        "report how much each layer loses and what would help; the emulator runs once per layer"
    )
    target: str = target_option("ref")


def run(options: Options) -> int:
    """Runs the network; exit status 0 when every output that was compared agrees."""
    report = report_of(options)
    check_trace(options)
    network = load(options.network)
    images, labels = _inputs(options, network, report)
    arithmetic = product_spec(options, network.arithmetic)
    if options.report and arithmetic.exact:
        raise UserError(
            "--report shows what DS-CIM loses relative to the exact product; leave out --exact, or "
            "give a --length if the network is for the exact product."
        )
    title = f"{network.name} on {options.target}: {len(images)} images, {describe(arithmetic)}"
    facts = {
        "target": options.target,
        "network_sha256": file_hash(options.network),
        "warnings": layers.warn_arithmetic(network, arithmetic, report),
    }
    work: NetworkRun | None = None
    outputs: Int8 | None
    if options.target == "ref" and not _compares(options):
        report.say(title)
        outputs, result = _emulate(network, arithmetic, images, report)
    else:
        work = _execute(options, facts, arithmetic, network, images, labels, report, title)
        outputs, result = work.outputs, layers.to_json(work, labels)
    assert outputs is not None
    result |= layers.classes(outputs, labels)
    if options.output:
        save_array(options.output, outputs)
    layers.say_classes(network, result, report)
    if options.report:
        result["report"] = report_losses(network, arithmetic, images, labels, report)
    save_json(options.json, facts | result)
    if work is None:
        report.say(
            "computed by the emulator; --compare runs the device's own steps on ref and compares "
            "them"
        )
        return 0
    return 0 if layers.conclude([work], report) else FAILED


def _compares(options: Options) -> bool:
    """Whether every layer is read and compared."""
    return options.target != "ref" if options.compare is None else options.compare


def _execute(
    options: Options,
    facts: dict[str, Any],
    arithmetic: ProductSpec,
    network: Network,
    images: Int8,
    labels: Int64 | None,
    report: Report,
    title: str,
) -> NetworkRun:
    """Runs the device's steps; adds device and link to `facts`, and saves what a failure leaves."""
    spec = soc_for(arithmetic)
    with open_device(options, spec, report) as device:
        report.say(title)
        work = NetworkRun([device], network, arithmetic, images, compare=_compares(options))
        facts["device"] = spec.to_json()
        try:
            layers.carry_out(work, report)
        finally:
            facts["link"] = dataclasses.asdict(device.link.statistics)
            if work.layers:
                partial = work.outputs is not None
                save_json(options.json, facts | layers.to_json(work, labels), partial=partial)
        say_link(device.link.statistics, report)
    return work


def _emulate(
    network: Network, arithmetic: ProductSpec, images: Int8, report: Report
) -> tuple[Int8, dict[str, Any]]:
    """Runs only the emulator, which is the reference itself, so nothing is compared."""
    if why_no_kernel():
        report.say(str(why_no_kernel()))
    with report.progress() as step:
        outputs = Evaluator(network, arithmetic).outputs(
            images, lambda done, total: step("images", done, total)
        )
    shapes = network.shapes()
    return outputs, {
        "network": network.name,
        "images": len(images),
        "settings": arithmetic.to_json(),
        "complete": True,
        "layers": [
            {
                "name": node.name,
                "kind": type(node).__name__,
                "input": shapes[node.inputs[0]],
                "output": shapes[node.name],
            }
            for node in network.nodes
        ],
    }


def _inputs(options: Options, network: Network, report: Report) -> tuple[Int8, Int64 | None]:
    """The first --limit images, and their labels."""
    images = load_int8(options.inputs, "a network's input", ("N", "H", "W", "C"), report.note)
    images = check_images(network, images)[: options.limit]
    if options.labels is None:
        return images, None
    labels = load_labels(options.labels, len(images))
    classes = network.shapes()[network.nodes[-1].name][2]
    if not ((labels >= 0) & (labels < classes)).all():
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise UserError(
            f"'{options.labels}' holds the label {wrong}, but the network has the "
            f"classes 0..{classes - 1}."
        )
    return images, labels


COMMAND = Command(Options, run, "run net.npz x.npy --labels y.npy --length 64 --limit 2")
