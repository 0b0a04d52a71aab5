"""`dscim run --report`: the table of what each layer loses."""

from typing import Any

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.network import Network
from dscim.host.research.losses import loss_report

IMAGES = 1000
"""Images that the report is made on, at most: each layer runs them again."""

COLUMNS = ("layer", ">SNR (dB)", ">score, it alone exact", ">share of the loss", "what helps it")


def check(wanted: bool, arithmetic: ProductSpec) -> None:
    """Raises UserError where a report is wanted of a product that loses nothing."""
    if wanted and arithmetic.exact:
        raise UserError(
            "--report tells what DS-CIM loses against the exact product; leave out "
            "--exact, or name a --length for a network that has none of its own."
        )


def say(
    network: Network, arithmetic: ProductSpec, images: Int8, labels: Int64 | None, report: Report
) -> dict[str, Any]:
    """Prints the report and returns it as JSON values."""
    images, labels = images[:IMAGES], None if labels is None else labels[:IMAGES]
    with report.progress() as step:
        found = loss_report(network, arithmetic, images, labels, step)
    report.table(
        COLUMNS,
        [
            (
                layer.name,
                f"{layer.snr:.1f}",
                f"{100 * layer.alone:.1f} %",
                "-" if layer.share is None else f"{100 * layer.share:.0f} %",
                layer.advice,
            )
            for layer in found.layers
        ],
    )
    report.say(
        f"{found.measured} {100 * found.score:.2f} % by DS-CIM, "
        f"{100 * found.exact:.2f} % by the exact product, of {len(images)} images"
    )
    if {"calibrate", "finetune"} & set(network.provenance):
        report.say(
            "This network was tuned for DS-CIM: its exact product is not what it was tuned "
            "to, and a layer made exact may score lower."
        )
    return {"images": len(images), **found.to_json()}
