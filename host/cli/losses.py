"""How `dscim run --report` prints what each layer loses, relative to the exact product."""

from typing import Any

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.gateware.specs import ProductSpec
from dscim.host.network import Network

REPORT_IMAGES = 1000
"""The maximum number of images, because each layer runs them once."""

COLUMNS = (
    "layer",
    ">SNR (dB)",
    ">score with it exact",
    ">share of the loss",
    "what helps",
)


def report_losses(
    network: Network,
    arithmetic: ProductSpec,
    images: Int8,
    labels: Int64 | None,
    report: Report,
) -> dict[str, Any]:
    """Prints what each layer loses and what would help; returns it as JSON."""
    from dscim.host.research.losses import loss_report  # noqa: PLC0415 - few runs need it

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
    report.table(COLUMNS, rows)
    report.say(
        f"{losses.measured} on {len(images)} images: {100 * losses.score:.2f} % with DS-CIM, "
        f"{100 * losses.exact:.2f} % with the exact product"
    )
    if {"calibrate", "finetune"} & set(network.provenance):
        report.say(
            "This network was tuned for DS-CIM, not for its exact product, so a layer made exact "
            "may score lower."
        )
    return {"images": len(images), **losses.to_json()}
