"""The table of accuracies: one network by every arithmetic, as it is, calibrated, fine-tuned.

    python -m dscim.host.research.accuracy NETWORK --train X.npy --test X.npy --labels Y.npy
                                  [--tuned FILE ...] [--limit N] [--table NAME] [--json F]

Calibration sees the training inputs alone, without labels. A fine-tuned network file stands in
the row of the arithmetic that it was tuned for. What was not run is left open.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, load_int8, load_labels, save_json
from dscim.gateware.specs import TABLES, ProductSpec, SpecError, describe, table_sequence
from dscim.host.network import Evaluator, Network, file_hash, load, predictions
from dscim.host.research.calibrate import calibrate

ARITHMETICS = tuple(
    ProductSpec(or_width, length)
    for or_width, lengths in ((16, (64, 128, 256, 1024)), (64, (64, 128, 256)))
    for length in lengths
)
"""DS-CIM1 and DS-CIM2 at the lengths of the table."""

COLUMNS = ("arithmetic", ">as is", ">calibrated", ">fine-tuned")


def accuracy(network: Network, arithmetic: ProductSpec, images: Int8, labels: Int64) -> float:
    """The share, 0 to 1, of images (N, H, W, C) whose label (N,) the network names."""
    said = predictions(Evaluator(network, arithmetic).outputs(images))
    return float((said == labels).mean())


@dataclasses.dataclass(frozen=True)
class Table:
    """What the rows are about: a network, the files of those tuned from it, and the inputs.

    train: for calibration. known: rows made before for the same network and inputs, by arithmetic.
    """

    network: Network
    tuned: list[Path]
    train: Int8
    images: Int8
    labels: Int64
    known: dict[ProductSpec, dict[str, Any]]

    def exact(self) -> dict[str, Any]:
        """The row of the exact product."""
        return self._row(
            dataclasses.replace(self.network.arithmetic, exact=True, activation_shift=0)
        )

    def row(self, arithmetic: ProductSpec) -> dict[str, Any]:
        """The row of a stochastic product, accuracies 0 to 1."""
        row = self._row(arithmetic)
        if "calibrated" not in row:
            ready = calibrate(self.network, self.train, arithmetic)
            row["calibrated"] = accuracy(ready, arithmetic, self.images, self.labels)
        for path in self.tuned:
            other, digest = load(path), file_hash(path)
            if other.arithmetic == arithmetic and row.get("fine_tuned_sha256") != digest:
                row |= {
                    "fine_tuned": accuracy(other, arithmetic, self.images, self.labels),
                    "fine_tuned_file": path.name,
                    "fine_tuned_sha256": digest,
                }
        return row

    def _row(self, arithmetic: ProductSpec) -> dict[str, Any]:
        """What is known of a row, at least the network as it is."""
        known = self.known.get(arithmetic)
        return (
            dict(known)
            if known
            else {
                "settings": arithmetic.to_json(),
                "as_is": accuracy(self.network, arithmetic, self.images, self.labels),
            }
        )


def main() -> int:
    """Prints the table, and writes it as JSON when asked; returns the exit status."""
    try:
        _table(_options(), Report())
    except (UserError, SpecError) as error:
        print(f"dscim: {error}", file=sys.stderr)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dscim dev accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", type=Path, metavar="NETWORK", help="for the exact product")
    for name, text in (
        ("train", "inputs for calibration"),
        ("test", "inputs to report on"),
        ("labels", "their class numbers"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=text)
    parser.add_argument("--tuned", type=Path, nargs="*", default=[], help="fine-tuned networks")
    parser.add_argument("--calibration", type=int, default=256, help="inputs (default 256)")
    parser.add_argument("--limit", type=int, help="only the first N test inputs")
    parser.add_argument("--table", choices=list(TABLES), help="sequence table instead of counter")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _table(options: argparse.Namespace, report: Report) -> None:
    if min(options.calibration, options.limit or 1) < 1 or options.limit == 0:
        raise UserError("--calibration and --limit leave no input; give 1 or more.")
    check_writable(options.json)
    axes = ("N", "H", "W", "C")
    network = load(options.network)
    for path in options.tuned:
        load(path)  # a wrong file is told at once
    images = load_int8(options.test, "a network's input", axes)
    labels = load_labels(options.labels, len(images))[: options.limit]
    train = load_int8(options.train, "a network's input", axes)[: options.calibration]
    images = images[: options.limit]
    facts = {
        "network": network.name,
        "network_sha256": file_hash(options.network),
        "calibration_inputs": len(train),
        "images": len(images),
        "inputs_sha256": _digest(train, images, labels),
    }
    table = Table(network, options.tuned, train, images, labels, _known(options.json, facts))
    found = [table.exact()]
    arithmetics = [
        dataclasses.replace(one, sequence=table_sequence(options.table)) if options.table else one
        for one in ARITHMETICS
    ]
    for place, arithmetic in enumerate(arithmetics, 1):
        began = time.monotonic()
        found.append(table.row(arithmetic))
        save_json(options.json, facts | {"rows": found})
        report.say(
            f"[{place}/{len(arithmetics)}] {describe(arithmetic)}: {time.monotonic() - began:.0f} s"
        )
    report.table(
        COLUMNS,
        [
            (
                describe(ProductSpec.from_json(row["settings"])),
                *(
                    f"{100 * row[name]:.2f} %" if name in row else "-"
                    for name in ("as_is", "calibrated", "fine_tuned")
                ),
            )
            for row in found
        ],
    )


def _digest(*arrays: npt.NDArray[np.generic]) -> str:
    """One SHA-256 of all of them."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _known(path: Path | None, facts: dict[str, Any]) -> dict[ProductSpec, dict[str, Any]]:
    """The rows of an earlier run on the same network and inputs, by their arithmetic."""
    if path is None or not path.exists():
        return {}
    try:
        earlier = json.loads(path.read_text())
        if any(earlier.get(name) != value for name, value in facts.items()):
            return {}
        return {ProductSpec.from_json(row["settings"]): row for row in earlier["rows"]}
    except (ValueError, TypeError, LookupError, AttributeError, SpecError) as error:
        raise UserError(f"'{path}' is no table to go on with: move it away.") from error


if __name__ == "__main__":
    sys.exit(main())
