"""Study `length`: accuracy and cycles over the stream length, network by network."""

import dataclasses
import json
from collections.abc import Iterator
from functools import partial
from importlib import resources
from typing import Any

from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec, default_macro
from dscim.host.compile.cycles import product_cycles
from dscim.host.compile.packing import best_packing, packed_layer
from dscim.host.network import Network, load
from dscim.host.research.calibrate.lengths import cycles
from dscim.host.research.studies.study import Cell, Column, Published, Row, Rows, Study

TABLES = {
    "Fashion-MNIST, ResNet-8": ("fashion-resnet8", "fashion-resnet8"),
    "CIFAR-10 (JPEG), ResNet-8": ("cifar10-resnet8", "cifar10-resnet8"),
    "CIFAR-10 (JPEG), ResNet-8, sequence table wide": ("cifar10-resnet8-wide", "cifar10-resnet8"),
    "CIFAR-10 (JPEG), MLPerf Tiny ResNet-8": ("mlperf-resnet8", None),
    "250 photographs, MobileNetV2": ("imagenet-mobilenetv2", None),
}
"""By network: its measured table in host/data, and the shipped network, if any."""

COPIES = 64
"""Copies in the paper's array."""

PAPER = {"ds-cim1": (90.00, 93.08, 94.45), "ds-cim2": (89.46, 92.46, 94.31)}
"""ResNet18 on CIFAR-10 at L = 64, 128, 256."""


def cells(quick: bool) -> list[Cell]:
    """One cell per table; quick and full are the same."""
    return [Cell(name, partial(_network, name)) for name in TABLES]


def _network(name: str) -> Iterator[Row]:
    file, shipped = TABLES[name]
    folder = resources.files("dscim.host") / "data"
    table = json.loads((folder / f"{file}-table.json").read_text())
    network = None
    if shipped:
        with resources.as_file(folder / f"{shipped}-int8.npz") as path:
            network = load(path)
    for row in table["rows"]:
        spec = ProductSpec.from_json(row["settings"])
        yield {
            "network": name,
            "images": table["images"],
            "variant": "exact INT8"
            if spec.exact
            else {16: "ds-cim1", 64: "ds-cim2"}[spec.or_width],
            "length": None if spec.exact else spec.length,
            **{field: row.get(field) for field in ("as_is", "calibrated", "fine_tuned")},
            **(_cycles(network, spec) if network else {}),
            "file": f"{file}-table.json",
        }


def _cycles(network: Network, spec: ProductSpec) -> Row:
    """Cycles per image of the products of all layers.

    They are those of the default device's engine, of its macro alone, and of the paper's array of
    64 copies.
    """
    macro = default_macro(spec.or_width, spec.sequence)
    device = SocSpec(macro=macro)
    layers = [layer for _, layer in network.layers(spec)]
    short = ProductSpec(16, 16)
    products = sum(
        cycles(dataclasses.replace(packed_layer(layer, best_packing(device, layer)), product=short))
        for layer in layers
    ) // default_macro(short.or_width, short.sequence).cycles(short)
    found = {"engine_cycles": sum(product_cycles(device, layer) for layer in layers)}
    if not spec.exact:
        array = MacroSpec(or_width=spec.or_width, form="array", lanes=COPIES)
        found |= {
            "macro_cycles": products * macro.cycles(spec),
            "array_cycles": products * array.cycles(spec),
        }
    return found


def figure(drawing: Any, rows: Rows) -> None:
    """Accuracy over the stream length, one panel per variant, with the paper's values."""
    for panel, variant in zip(drawing.subplots(1, 2, sharey=True), PAPER, strict=True):
        for place, name in enumerate(TABLES):
            mine = [row for row in rows if (row["network"], row["variant"]) == (name, variant)]
            for field, line in (("calibrated", "--o"), ("fine_tuned", "-s")):
                shown = sorted(
                    (row["length"], 100 * row[field]) for row in mine if row[field] is not None
                )
                if shown:
                    panel.plot(
                        *zip(*shown, strict=True),
                        line,
                        color=f"C{place}",
                        markersize=4,
                        label=f"{name}, {field.replace('_', '-')}",
                    )
            exact = next(row for row in rows if row["network"] == name)
            panel.axhline(100 * exact["as_is"], color=f"C{place}", linewidth=0.6, linestyle=":")
        panel.plot(
            (64, 128, 256),
            PAPER[variant],
            "k*-",
            markersize=11,
            label="paper, ResNet18 on CIFAR-10",
        )
        panel.set(
            title=variant,
            xscale="log",
            xlabel="stream length L",
            xticks=(64, 128, 256, 1024),
            xticklabels=("64", "128", "256", "1024"),
            ylabel="accuracy (%); dotted: exact INT8",
        )
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    drawing.legend(
        *panel.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7
    )


STUDY = Study(
    name="length",
    title="Accuracy and cycles over the stream length",
    question="The zoo's networks as quantised, calibrated (no labels, no training) and fine-tuned, "
    "sequence counter unless another is named, signed mode split. Accuracies are read from "
    "host/data/*-table.json, which `dscim dev accuracy` measured on all test images "
    "(host/data/README.md has the command). Cycles are computed for the whole "
    "engine by its cycle model, for the default macro, and for the paper's array with 64 "
    "copies, on the same products. Where a macro cannot compute that many samples at once, "
    "device and macro take one per cycle. The networks are smaller than the paper's "
    "ResNet18.",
    published=tuple(
        Published(f"ResNet18 on CIFAR-10, {variant}, L = {length}", value, "%", "secondary source")
        for variant, values in PAPER.items()
        for length, value in zip((64, 128, 256), values, strict=True)
    ),
    minutes=(0.1, 0.1),
    seeds={},
    columns=(
        Column("network", "network"),
        Column("variant", "product"),
        Column("length", "L"),
        Column("images", "images"),
        Column("as_is", "as is", ".2%"),
        Column("calibrated", "calibrated", ".2%"),
        Column("fine_tuned", "fine-tuned", ".2%"),
        Column("engine_cycles", "engine cycles", ","),
        Column("macro_cycles", "macro cycles", ","),
        Column("array_cycles", "64 copies", ","),
    ),
    cells=cells,
    figure=figure,
)
