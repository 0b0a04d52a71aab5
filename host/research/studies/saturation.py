"""Study `saturation`: why a plain OR of products is wrong, and how regions fix it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dscim.host.research.studies.ors import FULL, ROWS, WAYS, estimates, way_cells
from dscim.host.research.studies.study import Cell, Column, Row, Rows, Study

SEED = 5
VECTORS = (32, 256)
SIZES = (32, 64, 96, 128, 160, 192, 224, 255)
"""Largest operands: the density of ones of the products is about (size / 512) squared."""

VARIANTS = {"ds-cim1": (16, 256), "ds-cim2": (64, 256)}
"""OR width and stream length."""


def cells(quick: bool) -> list[Cell]:
    """Each kind of accumulation over the density of ones."""
    return way_cells(_way, VARIANTS, VECTORS[not quick])


def _way(name: str, variant: str, vectors: int) -> Iterator[Row]:
    or_width, length = VARIANTS[variant]
    for size in SIZES:
        rng = np.random.default_rng([SEED, size, or_width])
        a, w = rng.integers(0, size + 1, (2, vectors, ROWS))
        exact = (a * w).sum(axis=1)
        found = estimates(WAYS[name], a, w, or_width, length, rng)
        expected = exact.mean() / FULL / (ROWS / or_width)
        yield {
            "way": name,
            "variant": variant,
            "length": length,
            "largest": size,
            "density": float(exact.mean() / FULL / ROWS),
            "ones": float(expected),
            "counted": float(found.mean() / FULL / (ROWS / or_width)),
            "theory": _theory(name, float(expected), or_width),
            "rmse": float(100 * np.sqrt(np.mean((found - exact) ** 2)) / (ROWS * FULL)),
            "vectors": vectors,
            "seed": SEED,
        }


def _theory(name: str, ones: float, or_width: int) -> float:
    """Ones per point that the OR of a group counts if its rows have `ones` in total, evenly."""
    if name == "plain OR":
        return float(1 - (1 - ones / or_width) ** or_width)
    return ones if name.startswith("DS-CIM") else ones / or_width


def figure(drawing: Any, rows: Rows) -> None:
    """The count of the OR over the actual number of ones."""
    for panel, variant in zip(drawing.subplots(1, 2), VARIANTS, strict=True):
        mine = [row for row in rows if row["variant"] == variant]
        most = max(row["ones"] for row in mine)
        panel.plot((0, most), (0, most), "k:", label="exact")
        ones = np.linspace(0, most, 100)
        panel.plot(
            ones,
            [_theory("plain OR", each, VARIANTS[variant][0]) for each in ones],
            "C3--",
            linewidth=1,
            label="plain OR, theory",
        )
        for style, name in zip(("C3o", "C1s", "C0^"), WAYS, strict=True):
            chosen = [row for row in mine if row["way"] == name]
            panel.plot(
                [row["ones"] for row in chosen],
                [row["counted"] for row in chosen],
                style,
                label=name,
                markersize=5,
            )
        panel.set(
            title=f"{variant}: OR of {VARIANTS[variant][0]} rows",
            xlabel="ones of a group per point (expected)",
            ylabel="ones decoded from the OR",
        )
        panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


STUDY = Study(
    name="saturation",
    title="1s saturation: what an OR counts",
    question="128 rows of unsigned operands, uniform up to a largest value. An OR gate counts at "
    "most one per sample point: where rows fire independently it saturates as soon as "
    "their ones add up to about one. Regions alone avoid collisions but cut operands "
    "off; remapping shrinks each operand into its row's region, so that the OR counts "
    "every one, and decoding multiplies by the number of regions. Simulated with random "
    "points; the theory is for rows of equal density.",
    published=(),
    minutes=(0.2, 1.5),
    seeds={"operands and points": SEED},
    columns=(
        Column("way", "way"),
        Column("variant", "variant"),
        Column("largest", "largest"),
        Column("density", "density of ones", ".4f"),
        Column("ones", "ones per group", ".2f"),
        Column("counted", "decoded", ".2f"),
        Column("theory", "theory", ".2f"),
        Column("rmse", "RMSE %", ".2f"),
    ),
    cells=cells,
    figure=figure,
)
