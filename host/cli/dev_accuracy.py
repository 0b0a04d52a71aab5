"""`dscim dev accuracy`: a network in every arithmetic, as it is, calibrated and fine-tuned.

Calibration uses only the training inputs, without labels. The accuracy of a fine-tuned network is
in the row of the arithmetic that it was tuned for. A value that was not computed is shown as '-'.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dscim.files import load_int8, load_labels, save_json
from dscim.gateware.specs import TABLES, ProductSpec, describe
from dscim.host.cli.common_options import LimitOptions, ReportOptions, report_of
from dscim.host.cli.options import Command, argument, choice, option
from dscim.host.network import file_hash, load
from dscim.host.research.accuracy import Table, arithmetics, digest, known_rows

COLUMNS = ("arithmetic", ">as is", ">calibrated", ">fine-tuned")


@dataclass(frozen=True, kw_only=True)
class Options(LimitOptions, ReportOptions):
    """The options of `dscim dev accuracy`."""

    network: Path = argument("NETWORK", "network file (.npz) for the exact product")
    train: Path = option("X.npy", "inputs for calibration, (N, H, W, C) int8")
    test: Path = option("X.npy", "inputs on which accuracy is measured, (N, H, W, C) int8")
    labels: Path = option("Y.npy", "class numbers of the test inputs, (N,)")
    tuned: Sequence[Path] = option("NETWORK", "fine-tuned network files", nargs="*", default=())
    calibration: int = option(
        "N", "use only the first N training inputs", default=256, within=(1, None)
    )
    table: str | None = choice(TABLES, "use this sequence table instead of the counter")


def run(options: Options) -> int:
    """Prints the table; --json keeps finished rows, from which the same command resumes."""
    report = report_of(options)
    axes = ("N", "H", "W", "C")
    network = load(options.network)
    for path in options.tuned:
        load(path)  # reports a wrong file at once
    images = load_int8(options.test, "a network's input", axes, report.note)
    labels = load_labels(options.labels, len(images))[: options.limit]
    train = load_int8(options.train, "a network's input", axes, report.note)[: options.calibration]
    images = images[: options.limit]
    facts = {
        "network": network.name,
        "network_sha256": file_hash(options.network),
        "calibration_inputs": len(train),
        "images": len(images),
        "inputs_sha256": digest(train, images, labels),
    }
    known = known_rows(options.json, facts)
    table = Table(network, list(options.tuned), train, images, labels, known)
    rows = [table.exact()]
    chosen = arithmetics(options.table)
    with report.progress() as step:
        for place, arithmetic in enumerate(chosen, 1):
            began = time.monotonic()
            rows.append(table.row(arithmetic))
            save_json(options.json, facts | {"rows": rows}, partial=place < len(chosen))
            report.say(
                f"[{place}/{len(chosen)}] {describe(arithmetic)}: {time.monotonic() - began:.0f} s"
            )
            step("arithmetics", place, len(chosen))
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
            for row in rows
        ],
    )
    return 0


COMMAND = Command(
    Options,
    run,
    "dev accuracy net.npz --train train.npy --test x.npy --labels y.npy --limit 4",
)
