"""`dscim calibrate`: adapts a network to DS-CIM, from a few inputs without labels."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.arrays import Int8
from dscim.console import Report
from dscim.files import load_int8, save_json
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.cli.arithmetic_options import ArithmeticOptions, product_spec
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, argument, option, output_file
from dscim.host.golden.emulator import why_no_kernel
from dscim.host.network import Evaluator, Network, Weighted, file_hash, load, predictions, save
from dscim.host.research.calibrate import LayerReport, calibrate
from dscim.host.research.calibrate.lengths import network_cycles
from dscim.host.research.calibrate.network import IMAGES, check, usable

COLUMNS = ("layer", ">L", ">activation shift", ">input scale", ">SNR (dB)")


@dataclass(frozen=True, kw_only=True)
class Options(ArithmeticOptions, ReportOptions):
    """The options of `dscim calibrate`."""

    network: Path = argument("NETWORK", "network file (.npz) for the exact product")
    inputs: Path = argument(
        "INPUTS.npy",
        "(N, H, W, C) int8, the network's own input integers: 64 to 512, none of them test inputs",
    )
    output: Path = output_file("OUT", "calibrated network file to write (.npz)", short="-o")
    limit: int = option("N", "use only the first N inputs", default=IMAGES, within=(1, None))
    seed: int = option("S", "seed of the pixels that are sampled", default=0)
    cycles: int | None = option(
        "C",
        "maximum cycles of the macro per image; within this limit, the layers that benefit most "
        "get streams longer than --length",
    )


def run(options: Options) -> int:
    """Calibrates; exit status 0 when the new network is written."""
    report = report_of(options)
    network = load(options.network)
    images = load_int8(options.inputs, "a network's input", ("N", "H", "W", "C"), report.note)
    arithmetic = product_spec(options, dataclasses.replace(network.arithmetic, exact=False))
    images = check(network, images, arithmetic)[: usable(network, min(len(images), options.limit))]
    report.say(
        f"{network.name} for {describe(arithmetic)}: {len(images)} inputs, seed {options.seed}"
    )
    if why_no_kernel():
        report.say(str(why_no_kernel()))
    started = time.monotonic()
    calibrated = _calibrated(network, images, arithmetic, options, report)
    seconds = time.monotonic() - started
    digest = save(calibrated, options.output)
    layers = calibrated.provenance["calibrate"]["layers"]
    _say_layers(layers, report)
    agreement = _agreement(network, calibrated, arithmetic, images)
    report.say(
        f"agreement with the exact network: {100 * agreement['after']:.1f} % of these "
        f"inputs, {100 * agreement['before']:.1f} % before; {seconds:.0f} s"
    )
    spent = network_cycles(calibrated, arithmetic)
    report.say(
        f"{spent} cycles of the macro per image, {network_cycles(network, arithmetic)} before"
    )
    report.say(f"written to {options.output}")
    save_json(
        options.json,
        {
            "network_sha256": file_hash(options.network),
            "output_sha256": digest,
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


def _say_layers(layers: list[dict[str, Any]], report: Report) -> None:
    """Prints the table of what was chosen for each layer."""
    rows = [
        (
            layer["name"],
            str(layer["length"]),
            str(layer["activation_shift"]),
            f"{layer['input_scale']:.2f}",
            f"{layer['snr']:.1f}",
        )
        for layer in layers
    ]
    report.table(COLUMNS, rows)


def _agreement(
    network: Network, calibrated: Network, arithmetic: ProductSpec, images: Int8
) -> dict[str, float]:
    """The share, 0 to 1, of images (N, H, W, C) classified as by the exact network: by the network
    "before" and "after" calibration."""
    exact = dataclasses.replace(arithmetic, exact=True, activation_shift=0)
    expected = predictions(Evaluator(network, exact).outputs(images))
    return {
        name: float((predictions(Evaluator(each, arithmetic).outputs(images)) == expected).mean())
        for name, each in (("before", network), ("after", calibrated))
    }


def _calibrated(
    network: Network,
    images: Int8,
    arithmetic: ProductSpec,
    options: Options,
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


COMMAND = Command(
    Options, run, "calibrate net.npz train.npy --output calibrated.npz --length 64 --limit 8"
)
