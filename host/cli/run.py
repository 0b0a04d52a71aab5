"""`dscim run`: executes a network on a target and compares each layer with the reference."""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.arrays import Int8, Int64
from dscim.errors import UserError
from dscim.files import check_writable, load_int8, load_labels, save_json
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.cli import layers
from dscim.host.cli.arithmetic_options import ArithmeticOptions, product_spec, soc_for
from dscim.host.cli.common_options import LimitOptions, ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command, argument, option, switch
from dscim.host.cli.target_options import TargetOptions, open_device, say_link, target_option
from dscim.host.device.run import NetworkRun
from dscim.host.golden.emulator import why_no_kernel
from dscim.host.network import Evaluator, Network, check_images, file_hash, load

REPORT_IMAGES = 1000
"""The maximum number of images for --report, which runs them once per layer."""

LOSS_COLUMNS = (
    "layer",
    ">SNR (dB)",
    ">score with it exact",
    ">share of the loss",
    "what helps",
)


@dataclass(frozen=True, kw_only=True)
class Options(LimitOptions, ArithmeticOptions, TargetOptions, ReportOptions):
    """The options of `dscim run`."""

    network: Path = argument("NETWORK", "network file (.npz)")
    inputs: Path = argument("INPUTS.npy", "(N, H, W, C) int8, the network's own input integers")
    labels: Path | None = option("Y.npy", "class numbers, (N,), for measuring the accuracy")
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
    network = load(options.network)
    images, labels = _inputs(options, network)
    check_writable(options.json)
    arithmetic = product_spec(options, network.arithmetic)
    if options.report and arithmetic.exact:
        raise UserError(
            "--report shows what DS-CIM loses relative to the exact product; leave out --exact, or "
            "give a --length if the network is for the exact product."
        )
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
    options: Options,
    network: Network,
    arithmetic: ProductSpec,
    images: Int8,
    labels: Int64 | None,
) -> int:
    """Runs only the emulator, which is the reference itself, so nothing is compared."""
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
    report.say(
        "computed by the emulator; --compare runs the device's own steps on ref and compares them"
    )
    return 0


def _report_losses(
    options: Options,
    network: Network,
    arithmetic: ProductSpec,
    images: Int8,
    labels: Int64 | None,
    result: dict[str, Any],
) -> None:
    """With --report, prints what each layer loses, and adds it to the JSON."""
    if not options.report:
        return
    from dscim.host.research.losses import loss_report  # noqa: PLC0415 - few runs need it

    report = report_of(options)
    images, labels = images[:REPORT_IMAGES], None if labels is None else labels[:REPORT_IMAGES]
    with report.progress() as step:
        losses = loss_report(network, arithmetic, images, labels, step)
    rows = [
        (
            layer.name,
            f"{layer.snr:.1f}",
            f"{100 * layer.alone:.1f} %",
            "-" if layer.share is None else f"{100 * layer.share:.0f} %",
            layer.advice,
        )
        for layer in losses.layers
    ]
    report.table(LOSS_COLUMNS, rows)
    report.say(
        f"{losses.measured} on {len(images)} images: {100 * losses.score:.2f} % with DS-CIM, "
        f"{100 * losses.exact:.2f} % with the exact product"
    )
    if {"calibrate", "finetune"} & set(network.provenance):
        report.say(
            "This network was tuned for DS-CIM, not for its exact product, so a layer made exact "
            "may score lower."
        )
    save_json(options.json, {**result, "report": {"images": len(images), **losses.to_json()}})


def _inputs(options: Options, network: Network) -> tuple[Int8, Int64 | None]:
    """The first --limit images, and their labels."""
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


COMMAND = Command(Options, run, "run net.npz x.npy --labels y.npy --length 64 --limit 2")
