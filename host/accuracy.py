"""The table of accuracies: one network by every arithmetic, as it is, calibrated, fine-tuned.

    python -m dscim.host.accuracy NETWORK --train X.npy --test X.npy --labels Y.npy
                                  [--tuned FILE ...] [--limit N] [--json F]

Calibration sees the training inputs alone, without labels. A fine-tuned network file stands in
the row of the arithmetic that it was tuned for. What was not run is left open.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

from dscim.gateware.specs import ProductSpec, SpecError
from dscim.host.calibrate import calibrate
from dscim.host.cli.files import check_writable, load_int8, load_labels, save_json
from dscim.host.cli.layers import Labels
from dscim.host.cli.options import describe
from dscim.host.cli.report import Report
from dscim.host.device import Int8
from dscim.host.errors import UserError
from dscim.host.network import Evaluator, Network, file_hash, load, predictions

ARITHMETICS = tuple(ProductSpec(or_width, length) for or_width, lengths in (
    (16, (1024, 256, 128, 64)), (64, (256, 128, 64))) for length in lengths)
"""DS-CIM1 and DS-CIM2 at the lengths of the table."""

COLUMNS = ("arithmetic", ">as is", ">calibrated", ">fine-tuned")


def accuracy(network: Network, arithmetic: ProductSpec, images: Int8, labels: Labels) -> float:
    """The share, 0 to 1, of images (N, H, W, C) whose label (N,) the network names."""
    said = predictions(Evaluator(network, arithmetic).outputs(images))
    return float((said == labels).mean())


def rows(network: Network, tuned: list[Network], train: Int8, images: Int8, labels: Labels,
         report: Report) -> list[dict[str, Any]]:
    """One row for the exact product and one for each of ARITHMETICS, accuracies 0 to 1."""
    exact = dataclasses.replace(network.arithmetic, exact=True, activation_shift=0)
    made: list[dict[str, Any]] = [
        {"settings": exact.to_json(), "as_is": accuracy(network, exact, images, labels)}]
    for place, arithmetic in enumerate(ARITHMETICS, 1):
        began = time.monotonic()
        row: dict[str, Any] = {"settings": arithmetic.to_json()}
        row["as_is"] = accuracy(network, arithmetic, images, labels)
        ready = calibrate(network, train, arithmetic)
        row["calibrated"] = accuracy(ready, arithmetic, images, labels)
        for other in tuned:
            if other.arithmetic == arithmetic:
                row["fine_tuned"] = accuracy(other, arithmetic, images, labels)
        report.say(f"[{place}/{len(ARITHMETICS)}] {describe(arithmetic)}: "
                   f"{time.monotonic() - began:.0f} s")
        made.append(row)
    return made


def main() -> int:
    """Prints the table, and writes it as JSON when asked; returns the exit status."""
    try:
        _table(_options(), Report())
    except (UserError, SpecError) as error:
        print(f"dscim: {error}", file=sys.stderr)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dscim.host.accuracy", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path, metavar="NETWORK", help="for the exact product")
    for name, text in (("train", "inputs for calibration"), ("test", "inputs to report on"),
                       ("labels", "their class numbers")):
        parser.add_argument(f"--{name}", type=Path, required=True, help=text)
    parser.add_argument("--tuned", type=Path, nargs="*", default=[], help="fine-tuned networks")
    parser.add_argument("--calibration", type=int, default=256, help="inputs (default 256)")
    parser.add_argument("--limit", type=int, help="only the first N test inputs")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _table(options: argparse.Namespace, report: Report) -> None:
    if min(options.calibration, options.limit or 1) < 1 or options.limit == 0:
        raise UserError("--calibration and --limit leave no input; give 1 or more.")
    check_writable(options.json)
    axes = ("N", "H", "W", "C")
    network, tuned = load(options.network), [load(path) for path in options.tuned]
    images = load_int8(options.test, "a network's input", axes)
    labels = load_labels(options.labels, len(images))[:options.limit]
    train = load_int8(options.train, "a network's input", axes)[:options.calibration]
    images = images[:options.limit]
    found = rows(network, tuned, train, images, labels, report)
    report.table(COLUMNS, [(
        describe(ProductSpec.from_json(row["settings"])),
        *(f"{100 * row[name]:.2f} %" if name in row else "-"
          for name in ("as_is", "calibrated", "fine_tuned"))) for row in found])
    save_json(options.json, {
        "network": network.name, "network_sha256": file_hash(options.network),
        "tuned_sha256": {path.name: file_hash(path) for path in options.tuned},
        "calibration_inputs": len(train), "images": len(images), "rows": found})


if __name__ == "__main__":
    sys.exit(main())
