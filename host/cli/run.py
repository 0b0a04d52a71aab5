"""`dscim run`: a network on a target, each layer compared with the reference."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from dscim.arrays import Int8, Int64
from dscim.errors import UserError
from dscim.files import check_writable, load_int8, load_labels, save_json
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.cli import layers, losses
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import (
    add_arithmetic,
    add_report,
    add_target,
    open_device,
    product_spec,
    report_of,
    say_link,
    soc_for,
)
from dscim.host.device.run import NetworkRun
from dscim.host.golden.emulator import why_no_kernel
from dscim.host.network import Evaluator, Network, check_images, file_hash, load


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim run`."""
    parser.add_argument("network", type=Path, metavar="NETWORK", help="a network file (.npz)")
    parser.add_argument(
        "inputs",
        type=Path,
        metavar="INPUTS.npy",
        help="(N, H, W, C) int8, the network's own input integers",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="Y.npy", help="(N,) class numbers: prints the accuracy"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N inputs")
    parser.add_argument(
        "--compare",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="read every layer's output and hold it against the reference "
        "(default, but for the target ref); without, tensors stay on the "
        "device and the last output alone is compared",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="where it loses, layer by layer, and what would help (by the "
        "emulator, which is run once for each layer)",
    )
    add_arithmetic(parser)
    add_target(parser, "ref")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the network; exit status 0 when every output that was compared agrees."""
    report = report_of(options)
    network = load(options.network)
    images, labels = _inputs(options, network)
    check_writable(options.json)
    arithmetic = product_spec(options, network.arithmetic)
    losses.check(options.report, arithmetic)
    title = f"{network.name} on {options.target}: {len(images)} images, {describe(arithmetic)}"
    compare = options.target != "ref" if options.compare is None else options.compare
    if options.target == "ref" and not compare:
        report.say(title)
        return _emulate(options, network, arithmetic, images, labels)
    spec = soc_for(arithmetic)
    with open_device(options, spec, report) as device:
        report.say(title)
        work = NetworkRun([device], network, arithmetic, images, compare=compare)
        try:
            layers.carry_out(work, report)
        finally:
            result = {
                "target": options.target,
                "network_sha256": file_hash(options.network),
                "device": spec.to_json(),
                **layers.to_json(work, labels),
                "link": dataclasses.asdict(device.link.statistics),
            }
            if work.layers:
                save_json(options.json, result)
        say_link(device.link.statistics, report)
    layers.say_accuracy(result, report)
    _report_losses(options, network, arithmetic, images, labels, result)
    return 0 if layers.conclude([work], report) else FAILED


def _emulate(
    options: argparse.Namespace,
    network: Network,
    arithmetic: ProductSpec,
    images: Int8,
    labels: Int64 | None,
) -> int:
    """The emulator alone, which is the reference itself: nothing to compare it with."""
    report = report_of(options)
    if why_no_kernel():
        report.say(str(why_no_kernel()))
    with report.progress() as step:
        outputs = Evaluator(network, arithmetic).outputs(
            images, lambda done, total: step("images", done, total)
        )
    shapes = network.shapes()
    result = {
        "target": "ref",
        "network_sha256": file_hash(options.network),
        "network": network.name,
        "images": len(images),
        "settings": arithmetic.to_json(),
        "complete": True,
        **layers.classes(outputs, labels),
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
    save_json(options.json, result)
    layers.say_accuracy(result, report)
    _report_losses(options, network, arithmetic, images, labels, result)
    report.say("by the emulator; --compare runs the device's own steps on ref and compares them")
    return 0


def _report_losses(
    options: argparse.Namespace,
    network: Network,
    arithmetic: ProductSpec,
    images: Int8,
    labels: Int64 | None,
    result: dict[str, Any],
) -> None:
    """Prints the report that --report asks for, and adds it to the JSON."""
    if options.report:
        found = losses.say(network, arithmetic, images, labels, report_of(options))
        save_json(options.json, {**result, "report": found})


def _inputs(options: argparse.Namespace, network: Network) -> tuple[Int8, Int64 | None]:
    """Images and labels, as many as --limit says."""
    if options.limit is not None and options.limit < 1:
        raise UserError(f"--limit {options.limit} leaves no input; give 1 or more.")
    images = load_int8(options.inputs, "a network's input", ("N", "H", "W", "C"))
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
