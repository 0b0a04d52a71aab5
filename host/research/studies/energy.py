"""Study `energy`: what switches, component by component, on the operands of a layer."""

import dataclasses
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.golden.reference import product, weight_matrix, windows
from dscim.host.network import Evaluator
from dscim.host.network.shipped import TUNED, shipped_images, shipped_network
from dscim.host.research.studies.activity import COPIES, Meter, Operands
from dscim.host.research.studies.designs import DESIGNS
from dscim.host.research.studies.study import (
    Cell,
    Column,
    Inputs,
    Published,
    Row,
    Rows,
    Study,
    yosys,
)

LAYER = "stage2.second"
ROWS, COLUMNS = 128, 32
PRODUCTS = (4, 12)

PITCH = 160.0
"""Area of a transistor with its share of wires, in node^2: 0.125 um^2 at 28 nm."""

OPERATIONS = 2 * ROWS * COLUMNS
"""A product's multiplications and additions."""

BITS = 64
"""1b x 1b operations per INT8 operation."""

PARTS = {
    "generator": "PRNG",
    "activation SNG": "SNG a",
    "weight SNG": "SNG w",
    "AND/OR": "AND/OR",
    "counters": "count",
    "multipliers": "mult.",
    "adders": "add",
    "clock": "clock",
}
"""The components, and their columns' titles."""

LFSR = SequenceSpec("lfsr")

WAYS: dict[str, tuple[str, str, ProductSpec, int]] = {
    "DS-CIM1, L = 64": ("DS-CIM1, any points", "array", ProductSpec(16, 64, LFSR), 1),
    "DS-CIM1, L = 256": ("DS-CIM1, any points", "array", ProductSpec(16, 256, LFSR), 4),
    "DS-CIM2, L = 64": ("DS-CIM2, any points", "array", ProductSpec(64, 64, LFSR), 1),
    "DS-CIM2, L = 256": ("DS-CIM2, any points", "array", ProductSpec(64, 256, LFSR), 4),
    "DS-CIM1, fixed": ("DS-CIM1, fixed points", "fixed", ProductSpec(16, 64), 1),
    "DS-CIM2, fixed": ("DS-CIM2, fixed points", "fixed", ProductSpec(64, 64), 1),
    "parallel": ("exact INT8, parallel", "parallel", ProductSpec(exact=True), 1),
    "serial": ("exact INT8, bit-serial", "serial", ProductSpec(exact=True), 8),
}
"""Title, design, arithmetic, cycles per product with 64 copies."""

QUICK = ("DS-CIM2, L = 64", "DS-CIM2, fixed", "parallel")


@cache
def operands(products: int) -> tuple[Operands, int]:
    """The operands of a layer's first row tile, and the layer's activation shift.

    The layer is LAYER of the shipped ResNet-8, on consecutive windows of an image.
    """
    network = shipped_network(TUNED)
    node, layer = next(
        (node, layer) for node, layer in network.layers(network.arithmetic) if node.name == LAYER
    )
    image, _ = shipped_images(1)
    x = Evaluator(network, threads=1).nodes(image)[node.inputs[0]]
    rows = windows(x, layer).reshape(-1, layer.depth)
    middle = len(rows) // 2  # not the padded border
    tile = Operands(
        np.ascontiguousarray(rows[middle : middle + products, :ROWS]),
        weight_matrix(node.weights)[:ROWS, :COLUMNS],
        layer.input_zero,
    )
    return tile, layer.product.activation_shift


def snr(spec: ProductSpec, tile: Operands) -> float | None:
    """SNR of the products with the best gain, in dB; None for exact products, or if all are 0."""
    exact = product(tile.x, tile.w, ProductSpec(exact=True), tile.zero_point).astype(float)
    found = product(tile.x, tile.w, spec, tile.zero_point).astype(float)
    if spec.exact or not found.any():
        return None
    gain = (found * exact).sum() / (found**2).sum()
    return float(10 * np.log10((exact**2).sum() / ((gain * found - exact) ** 2).sum()))


def cells(quick: bool, inputs: Inputs) -> list[Cell]:
    """Each design at its lengths."""
    products = PRODUCTS[not quick]
    return [
        Cell(
            f"{way}, {products} products, {inputs}, Yosys {yosys('energy')}",
            partial(_measured, way, products, inputs),
        )
        for way in (QUICK if quick else WAYS)
    ]


def _measured(way: str, products: int, inputs: Inputs) -> Iterator[Row]:
    title, design, spec, cycles = WAYS[way]
    tile, shift = operands(products)
    if not spec.exact:
        spec = dataclasses.replace(spec, activation_shift=shift)
    meter = Meter()
    DESIGNS[design](meter, spec, tile)
    share = {part: meter.pins.get(part, 0.0) / products / (ROWS * COLUMNS) for part in PARTS}
    pins = sum(share.values())
    transistors = sum(meter.transistors.values())
    yield {
        "design": title,
        "length": None if spec.exact else spec.length,
        "cycles": cycles,
        "copies": 1 if spec.exact else COPIES,
        "layer": LAYER,
        "products": products,
        "yosys": yosys("energy"),
        "snr": snr(spec, tile),
        **share,
        "pins": pins,
        "transistors": transistors,
        **_absolute(pins, transistors, cycles, inputs),
    }


def _absolute(pins: float, transistors: int, cycles: int, inputs: Inputs) -> Row:
    """Absolute estimates from the model's inputs, per INT8 operation and per 1b x 1b operation."""
    joule = pins * 0.5 * inputs.capacitance * 1e-15 * inputs.voltage**2 * ROWS * COLUMNS
    area = transistors * PITCH * inputs.node**2 * 1e-12  # mm^2
    watt, density = (
        OPERATIONS / joule * 1e-12,
        OPERATIONS * inputs.megahertz * 1e6 / cycles / area * 1e-12,
    )
    settings = dataclasses.asdict(inputs)
    return {
        "tops_per_watt": watt,
        "tops_per_mm2": density,
        "tops_per_watt_1b": BITS * watt,
        "tops_per_mm2_1b": BITS * density,
        "model": {name: value for name, value in settings.items() if name != "liberty"},
    }


def figure(drawing: Any, rows: Rows) -> None:
    """Pins per product of two numbers by component: all, and enlarged around the exact designs."""
    shown = list(rows)[::-1]
    names = [row["design"] + (f", L = {row['length']}" if row["length"] else "") for row in shown]
    exact = [row["pins"] for row in rows if row["length"] is None]
    panels = drawing.subplots(1, 2, sharey=True)
    for panel, most in zip(panels, (None, 1.2 * max(exact)), strict=True):
        bottom = np.zeros(len(shown))
        for part in PARTS:
            values = np.array([row[part] for row in shown])
            panel.barh(names, values, left=bottom, label=part)
            bottom += values
        for place, row in enumerate(shown):
            if most is None or row["pins"] < most:
                panel.text(bottom[place], place, f" {row['pins']:,.0f}", va="center", fontsize=8)
        panel.set_xlim(0, most or 1.2 * max(row["pins"] for row in rows))
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3, axis="x")
    panels[0].set_xlabel("pins toggled per product (model)")
    panels[1].set_xlabel("the same, enlarged")
    drawing.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8
    )


def adapted(inputs: Inputs) -> Study:
    """The study with a user's inputs of the model."""
    return dataclasses.replace(STUDY, cells=partial(_with, inputs))


def _with(inputs: Inputs, quick: bool) -> list[Cell]:
    return cells(quick, inputs)


STUDY = Study(
    name="energy",
    title="What switches",
    question="The parts of a macro of 128 x 32 with 64 copies, synthesised to static CMOS gates by "
    "Yosys and simulated without delays on consecutive windows of stage2.second of the "
    "shipped ResNet-8. Toggles are weighted with the input pins that a net drives (plus one "
    "for each pin's wire and one for the driver); the clock of a flip-flop counts four pins. "
    "Few toggles can mean few hits, so the SNR of the same products is shown. Weights stay "
    "constant; memory accesses, zero-point corrections, glitches, clock trees and leakage "
    "are left out: the model compares designs component by component. TOPS/W and TOPS/mm2 "
    "follow from the inputs --node, --voltage, --capacitance and --megahertz, whose defaults "
    "are assumptions that were not fitted. The node, clock and conditions of the paper's "
    "figures are unknown here, so only the order of magnitude can be compared, and only "
    "between a logic core without memory accesses and a whole macro.",
    published=(
        Published("DS-CIM2, 1b x 1b, most likely at L = 64", 3566.1, "TOPS/W"),
        Published("DS-CIM2, 1b x 1b, most likely at L = 64", 363.7, "TOPS/mm2"),
        Published("the same as INT8, a 64th", 55.7, "TOPS/W", "computed"),
        Published("the same as INT8, a 64th", 5.68, "TOPS/mm2", "computed"),
    ),
    minutes=(0.5, 3),
    seeds={},
    needs=partial(yosys, "energy"),
    columns=(
        Column("design", "design"),
        Column("length", "L"),
        Column("cycles", "cycles"),
        Column("snr", "SNR, dB", ".1f"),
        *(Column(part, title, ",.1f") for part, title in PARTS.items()),
        Column("pins", "pins", ",.1f"),
        Column("transistors", "transistors", ","),
        Column("tops_per_watt", "TOPS/W", ",.1f"),
        Column("tops_per_mm2", "TOPS/mm2", ",.2f"),
        Column("tops_per_watt_1b", "1b TOPS/W", ",.0f"),
        Column("tops_per_mm2_1b", "1b TOPS/mm2", ",.0f"),
    ),
    cells=partial(_with, Inputs()),
    figure=figure,
    adapted=adapted,
)
