"""`dscim run`: a network on a target, each layer compared with the reference."""

import argparse
from pathlib import Path

from dscim.host.cli import layers
from dscim.host.cli.entry import FAILED
from dscim.host.cli.files import check_writable, load_int8, load_labels, save_json
from dscim.host.cli.options import (
    add_arithmetic,
    add_target,
    describe,
    open_device,
    product_spec,
    soc_for,
)
from dscim.host.cli.report import Report, add_report
from dscim.host.device import Int8
from dscim.host.errors import UserError
from dscim.host.network import Network, check_images, file_hash, load
from dscim.host.run import NetworkRun


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim run`."""
    parser.add_argument("network", type=Path, metavar="NETWORK", help="a network file (.npz)")
    parser.add_argument("inputs", type=Path, metavar="INPUTS.npy",
                        help="(N, H, W, C) int8, the network's own input integers")
    parser.add_argument("--labels", type=Path, metavar="Y.npy",
                        help="(N,) class numbers: prints the accuracy")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N inputs")
    add_arithmetic(parser)
    add_target(parser, "ref")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the network; exit status 0 when every layer's every output agrees."""
    report = Report.of(options)
    network = load(options.network)
    images, labels = _inputs(options, network)
    check_writable(options.json)
    arithmetic = product_spec(options, network.arithmetic)
    spec = soc_for(arithmetic)
    with open_device(options, spec, report) as device:
        report.say(f"{network.name} on {options.target}: {len(images)} images, "
                   f"{describe(arithmetic)}")
        work = NetworkRun(device, network, arithmetic, images)
        try:
            layers.carry_out(work, report)
        finally:
            result = {"target": options.target, "network_sha256": file_hash(options.network),
                      "device": spec.to_json(), **layers.to_json(work, labels)}
            if work.layers:
                save_json(options.json, result)
    if "accuracy" in result:
        report.say(f"accuracy {100 * result['accuracy']:.2f} % of {len(images)} images")
    return 0 if layers.conclude([work], report) else FAILED


def _inputs(options: argparse.Namespace, network: Network) -> tuple[Int8, layers.Labels | None]:
    """Images and labels, as many as --limit says."""
    if options.limit is not None and options.limit < 1:
        raise UserError(f"--limit {options.limit} leaves no input; give 1 or more.")
    images = load_int8(options.inputs, "a network's input", ("N", "H", "W", "C"))
    images = check_images(network, images)[:options.limit]
    if options.labels is None:
        return images, None
    labels = load_labels(options.labels, len(images))
    classes = network.shapes()[network.nodes[-1].name][2]
    if not ((labels >= 0) & (labels < classes)).all():
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise UserError(f"'{options.labels}' holds the label {wrong}, but the network has the "
                        f"classes 0..{classes - 1}.")
    return images, labels
