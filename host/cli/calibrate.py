"""`dscim calibrate`: integers that lose least by DS-CIM, from a few inputs without labels."""

import argparse
import dataclasses
import time
from pathlib import Path

from dscim.arrays import Int8
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, load_int8, save_json
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.cli.options import add_arithmetic, add_report, product_spec, report_of
from dscim.host.golden.emulator import why_no_kernel
from dscim.host.network import Evaluator, Network, Weighted, file_hash, load, predictions, save
from dscim.host.research.calibrate import LayerReport, calibrate
from dscim.host.research.calibrate.lengths import network_cycles
from dscim.host.research.calibrate.network import IMAGES, check, usable

COLUMNS = ("layer", ">L", ">activation shift", ">input scale", ">SNR (dB)")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim calibrate`."""
    parser.add_argument(
        "network", type=Path, metavar="NETWORK", help="a network file (.npz) for the exact product"
    )
    parser.add_argument(
        "inputs",
        type=Path,
        metavar="INPUTS.npy",
        help="(N, H, W, C) int8, the network's own input integers; 64 to 512 of "
        "them, none that it is tested on",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="the calibrated network file",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=IMAGES,
        metavar="N",
        help=f"only the first N inputs (default {IMAGES})",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="of the pixels that are looked at (default 0)",
    )
    parser.add_argument(
        "--cycles",
        type=int,
        metavar="C",
        help="cycles of the macro for an image: layers get streams longer than "
        "--length where it matters, as far as these allow",
    )
    add_arithmetic(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Calibrates; exit status 0 when the new network is written."""
    report = report_of(options)
    network = load(options.network)
    images = load_int8(options.inputs, "a network's input", ("N", "H", "W", "C"))
    if options.limit < 1:
        raise UserError(f"--limit {options.limit} leaves no input; give 1 or more.")
    check_writable(options.output)
    check_writable(options.json)
    arithmetic = product_spec(options, dataclasses.replace(network.arithmetic, exact=False))
    images = check(network, images, arithmetic)[: usable(network, min(len(images), options.limit))]
    report.say(
        f"{network.name} for {describe(arithmetic)}: {len(images)} inputs, seed {options.seed}"
    )
    if why_no_kernel():
        report.say(str(why_no_kernel()))
    started = time.monotonic()
    made = _calibrated(network, images, arithmetic, options, report)
    seconds = time.monotonic() - started
    save(made, options.output)
    layers = made.provenance["calibrate"]["layers"]
    report.table(
        COLUMNS,
        [
            (
                layer["name"],
                str(layer["length"]),
                str(layer["activation_shift"]),
                f"{layer['input_scale']:.2f}",
                f"{layer['snr']:.1f}",
            )
            for layer in layers
        ],
    )
    exact = dataclasses.replace(arithmetic, exact=True, activation_shift=0)
    wanted = predictions(Evaluator(network, exact).outputs(images))
    agreement = {
        name: float((predictions(Evaluator(each, arithmetic).outputs(images)) == wanted).mean())
        for name, each in (("before", network), ("after", made))
    }
    report.say(
        f"agrees with the exact network on {100 * agreement['after']:.1f} % of these "
        f"inputs, {100 * agreement['before']:.1f} % before; {seconds:.0f} s"
    )
    spent = network_cycles(made, arithmetic)
    report.say(
        f"{spent} cycles of the macro an image, {network_cycles(network, arithmetic)} before"
    )
    report.say(f"written to {options.output}")
    save_json(
        options.json,
        {
            "network_sha256": file_hash(options.network),
            "output_sha256": file_hash(options.output),
            "settings": arithmetic.to_json(),
            "images": len(images),
            "seed": options.seed,
            "agreement": agreement,
            "cycles": spent,
            "layers": layers,
            "seconds": seconds,
        },
    )
    return 0


def _calibrated(
    network: Network,
    images: Int8,
    arithmetic: ProductSpec,
    options: argparse.Namespace,
    report: Report,
) -> Network:
    """The calibrated network, with progress layer by layer."""
    total = len(network.nodes_of(Weighted))
    done = 0
    with report.progress() as step:
        step("layers", 0, total)

        def say(layer: LayerReport) -> None:
            nonlocal done
            done += 1
            step("layers", done, total)
            report.detail(
                f"[{done}/{total}] {layer.name}: shift {layer.activation_shift}, "
                f"input scale {layer.input_scale:.2f}, {layer.snr:.1f} dB"
            )

        return calibrate(
            network, images, arithmetic, seed=options.seed, cycles=options.cycles, say=say
        )
