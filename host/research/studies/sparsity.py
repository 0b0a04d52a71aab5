"""Study `sparsity`: the error of OR accumulation over the share of zero activations."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dscim.host.research.studies.ors import FULL, ROWS, WAYS, estimates, way_cells
from dscim.host.research.studies.study import Cell, Column, Row, Rows, Study

SEED = 6
VECTORS = (32, 512)
ZEROS = (0, 50, 75, 90, 95, 98)
VARIANTS = {"ds-cim1": (16, 256), "ds-cim2": (64, 64)}
"""OR width and stream length."""


def cells(quick: bool) -> list[Cell]:
    """Each kind of accumulation over the share of zeros."""
    return way_cells(_way, VARIANTS, VECTORS[not quick])


def _way(name: str, variant: str, vectors: int) -> Iterator[Row]:
    or_width, length = VARIANTS[variant]
    for zeros in ZEROS:
        rng = np.random.default_rng([SEED, zeros, or_width])
        a, w = rng.integers(0, 256, (2, vectors, ROWS))
        a = np.where(rng.random(a.shape) < zeros / 100, 0, a)
        exact = (a * w).sum(axis=1)
        found = estimates(WAYS[name], a, w, or_width, length, rng)
        yield {
            "way": name,
            "variant": variant,
            "length": length,
            "zeros": zeros,
            "rmse": float(100 * np.sqrt(np.mean((found - exact) ** 2)) / (ROWS * FULL)),
            "bias": float(100 * np.mean(found - exact) / (ROWS * FULL)),
            "exact": float(100 * np.sqrt(np.mean(exact.astype(float) ** 2)) / (ROWS * FULL)),
            "vectors": vectors,
            "seed": SEED,
        }


def figure(drawing: Any, rows: Rows) -> None:
    """RMSE over the share of zeros, one line per kind; dotted: the exact sum itself."""
    for panel, variant in zip(drawing.subplots(1, 2, sharey=True), VARIANTS, strict=True):
        for style, name in zip(("C3-o", "C1-s", "C0-^"), WAYS, strict=True):
            mine = [row for row in rows if (row["way"], row["variant"]) == (name, variant)]
            panel.plot(
                [row["zeros"] for row in mine], [row["rmse"] for row in mine], style, label=name
            )
        panel.plot(
            [row["zeros"] for row in mine],
            [row["exact"] for row in mine],
            "k:",
            label="the exact sum itself",
        )
        panel.set(
            title=f"{variant}, L = {VARIANTS[variant][1]}",
            yscale="log",
            xlabel="zero activations (%)",
            ylabel="RMSE (% of 128 x 65536)",
        )
        panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


STUDY = Study(
    name="sparsity",
    title="OR accumulation of sparse operands",
    question="128 rows of unsigned 8-bit operands, a share of the activations zero, random points. "
    "A plain OR needs sparse operands; DS-CIM does not.",
    published=(),
    minutes=(0.2, 2),
    seeds={"operands and points": SEED},
    columns=(
        Column("way", "way"),
        Column("variant", "variant"),
        Column("length", "L"),
        Column("zeros", "zeros %"),
        Column("rmse", "RMSE %", ".3f"),
        Column("bias", "bias %", ".3f"),
        Column("exact", "exact sum, rms %", ".2f"),
    ),
    cells=cells,
    figure=figure,
)
