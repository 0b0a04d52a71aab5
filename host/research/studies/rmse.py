"""Study `rmse`: how far a product of 128 rows is from the exact one."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from dscim.gateware.specs import MAXIMAL_TAPS, VARIANTS, ProductSpec, SequenceSpec
from dscim.host.research.studies import moments
from dscim.host.research.studies.moments import Moments, group_moments
from dscim.host.research.studies.operands import DISTRIBUTIONS, UNIFORM, Distribution, axes
from dscim.host.research.studies.study import Cell, Column, Published, Row, Rows, Study

ROWS = 128
LENGTHS = (64, 128, 256, 512, 1024)
MODES = (("offset", 0), *(("split", shift) for shift in range(4)))
SEED = 7
DRAWS = (40, 1000)
"""Number of random pairs of LFSRs, quick and full."""

BEST = {
    (16, 256): ((0x95, 212), (0x95, 187)),
    (16, 128): ((0x96, 116), (0x96, 54)),
    (16, 64): ((0xC6, 102), (0xB8, 196)),
    (64, 64): ((0x8E, 56), (0xFA, 201)),
    (64, 128): ((0xA6, 49), (0xA6, 218)),
    (64, 256): ((0x96, 250), (0x96, 36)),
}
"""The best (taps, seed) of both axes that a search found, in offset, by (G, L)."""


def cells(quick: bool) -> list[Cell]:
    """All cells; those of random LFSRs take most of the time."""
    found = [Cell("independent random points, theory", _theory)]
    for operands in DISTRIBUTIONS:
        found.append(Cell(f"counter, {operands.name}", partial(_counter, operands)))
    found.append(Cell("best LFSRs", _best))
    draws = DRAWS[0 if quick else 1]
    for or_width in VARIANTS.values():
        for length in LENGTHS:
            found.append(
                Cell(
                    f"{draws} random LFSRs, G = {or_width}, L = {length}",
                    partial(_random, or_width, length, draws),
                )
            )
    return found


def _variant(or_width: int) -> str:
    return next(name for name, width in VARIANTS.items() if width == or_width)


def _theory() -> list[Row]:
    """Random, independent points: a row's bit has the variance of a coin toss."""
    return [
        {
            "operands": "uniform",
            "variant": name,
            "length": length,
            "sequence": "independent points, theory",
            "signed": "offset",
            "rmse": 100 * float(np.sqrt(0.1875 / length / (ROWS / width))),
        }
        for name, width in VARIANTS.items()
        for length in LENGTHS
    ]


def _row(spec: ProductSpec, operands: Distribution, sequence: str) -> Row:
    """One arithmetic on one distribution, with and without the best gain and bias."""
    each, groups = moments.moments(spec, operands), ROWS // spec.or_width
    plain, (scaled, gain) = moments.rms(groups, each), moments.scaled_rms(groups, each)
    return {
        "operands": operands.name,
        "variant": _variant(spec.or_width),
        "length": spec.length,
        "sequence": sequence,
        "signed": spec.signed,
        "shift": spec.activation_shift,
        "rmse": moments.percent(plain, ROWS),
        "snr": moments.snr(operands, ROWS, plain),
        "scaled_rmse": moments.percent(scaled, ROWS),
        "scaled_snr": moments.snr(operands, ROWS, scaled),
        "gain": gain,
    }


def _counter(operands: Distribution) -> Iterator[Row]:
    for or_width in VARIANTS.values():
        for length in LENGTHS:
            for signed, shift in MODES:
                spec = ProductSpec(or_width, length, SequenceSpec(), signed, shift)
                yield _row(spec, operands, "counter")


def _best() -> Iterator[Row]:
    for (or_width, length), pair in BEST.items():
        taps, seeds = zip(*pair, strict=True)
        spec = ProductSpec(or_width, length, SequenceSpec("lfsr", taps, seeds), "offset")
        for operands in DISTRIBUTIONS:
            yield _row(spec, operands, "lfsr, best found") | {
                "taps": list(taps),
                "seeds": list(seeds),
            }


def _random(or_width: int, length: int, draws: int) -> Iterator[Row]:
    """Random LFSRs with different taps, in four interpretations of the paper's measurement.

    The contract has one pair for all groups and compares with the 8-bit product. In the other
    interpretations each group has its own pair, or the reference lacks the bits that a region
    drops, or both.
    """
    rng = np.random.default_rng([SEED, or_width, length])
    sequences = [_random_pair(rng) for _ in range(draws)]
    groups = ROWS // or_width
    for truncated in (False, True):
        found = [
            _of(ProductSpec(or_width, length, sequence, "offset"), truncated)
            for sequence in sequences
        ]
        own = rng.integers(0, draws, (draws, groups))
        for shared in (True, False):
            errors = (
                [moments.rms(groups, each) for each in found]
                if shared
                else [_together([found[k] for k in picks]) for picks in own]
            )
            yield _spread(np.array(errors)) | {
                "operands": "uniform",
                "variant": _variant(or_width),
                "length": length,
                "sequence": f"lfsr, {'one pair' if shared else 'a pair per group'}, "
                f"{'truncated' if truncated else '8-bit'} truth",
                "signed": "offset",
                "shift": 0,
                "draws": draws,
                "seed": SEED,
            }


def _random_pair(rng: np.random.Generator) -> SequenceSpec:
    taps = rng.choice(MAXIMAL_TAPS, 2, replace=False)
    return SequenceSpec("lfsr", tuple(map(int, taps)), tuple(map(int, rng.integers(1, 256, 2))))


def _of(spec: ProductSpec, truncated: bool) -> Moments:
    """As `moments.moments`, without caching the thresholds of a thousand sequences."""
    points = spec.sequence.points(spec.length, spec.or_width)
    region = points // spec.side
    owner = region[:, 0] * spec.root + region[:, 1]
    most = int(np.bincount(owner).max())
    table = np.full((2, spec.or_width, most), 255)
    for row in range(spec.or_width):
        local = points[owner == row] % spec.side
        table[:, row, : len(local)] = local.T
    return group_moments(table, float(1 << spec.decode_shift), *axes(spec, UNIFORM, truncated))


def _together(groups: list[Moments]) -> float:
    """The rms error of groups with separate points."""
    return float(
        np.sqrt(sum(each.spread for each in groups) + sum(each.bias for each in groups) ** 2)
    )


def _spread(errors: Any) -> Row:
    """Median, rms and quantiles of rms errors, in % of full scale."""
    values = moments.percent(errors, ROWS)
    quantiles = {"lowest": 0, "p10": 10, "rmse": 50, "p90": 90, "highest": 100}
    return {"rms": float(np.sqrt(np.mean(values**2)))} | {
        name: float(np.percentile(values, q)) for name, q in quantiles.items()
    }


def figure(drawing: Any, rows: Rows) -> None:
    """RMSE over L for uniform operands, one panel per variant, with the paper's values."""
    panels = drawing.subplots(1, 2, sharey=True)
    for axes_, (name, mark) in zip(
        panels, (("ds-cim1", (256, 0.74)), ("ds-cim2", (64, 3.81))), strict=True
    ):
        mine = [row for row in rows if row["variant"] == name and row["operands"] == "uniform"]
        for label, style, chosen in _lines(mine):
            axes_.plot(
                [row["length"] for row in chosen],
                [row["rmse"] for row in chosen],
                style,
                label=label,
                markersize=4,
            )
        spread = [row for row in mine if row["sequence"] == "lfsr, one pair, 8-bit truth"]
        axes_.fill_between(
            [row["length"] for row in spread],
            [row["p10"] for row in spread],
            [row["p90"] for row in spread],
            alpha=0.2,
            color="C3",
        )
        axes_.plot(*mark, "k*", markersize=13, label="paper, 0.74 % and 3.81 %")
        axes_.set(
            title=name.upper(),
            xscale="log",
            yscale="log",
            xlabel="stream length L",
            xticks=LENGTHS,
            xticklabels=list(map(str, LENGTHS)),
        )
        axes_.minorticks_off()
        axes_.grid(alpha=0.3)
    panels[0].set_ylabel("RMSE (% of 128 x 65536)")
    drawing.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8
    )


def _lines(rows: Rows) -> Iterator[tuple[str, str, Rows]]:
    """Label, style and rows of each line in the figure."""
    for label, style, sequence, mode in (
        ("independent points, theory", "k:", "independent points, theory", None),
        ("lfsr, median and 10-90 % (offset)", "C3-o", "lfsr, one pair, 8-bit truth", None),
        (
            "lfsr, own pairs, truncated truth",
            "C1--o",
            "lfsr, a pair per group, truncated truth",
            None,
        ),
        ("lfsr, best found (offset)", "C4v", "lfsr, best found", None),
        ("counter, offset", "C0-s", "counter", ("offset", 0)),
        ("counter, split", "C2-s", "counter", ("split", 0)),
        ("counter, split, e = 1", "C5-s", "counter", ("split", 1)),
    ):
        yield (
            label,
            style,
            [
                row
                for row in rows
                if row["sequence"] == sequence
                and mode in (None, (row["signed"], row.get("shift", 0)))
            ],
        )


STUDY = Study(
    name="rmse",
    title="The error of a product of 128 rows",
    question="Both variants over the stream length, for uniform, Gaussian (sigma 32) and post-ReLU "
    "operands: RMSE in % of 128 x 65536, and the signed result's SNR. Values are exact "
    "(moments of the rows), not sampled, except for the draws of LFSRs. Scaled: with the "
    "best gain and bias of the whole product, which fold into requantisation.",
    published=(
        Published("DS-CIM1, most likely L = 256", 0.74, "% RMSE"),
        Published("DS-CIM2, most likely L = 64", 3.81, "% RMSE"),
    ),
    minutes=(0.2, 3),
    seeds={"LFSRs": SEED},
    columns=(
        Column("operands", "operands"),
        Column("variant", "variant"),
        Column("length", "L"),
        Column("sequence", "sequence"),
        Column("signed", "signed"),
        Column("shift", "e"),
        Column("rmse", "RMSE %", ".3f"),
        Column("lowest", "lowest", ".3f"),
        Column("highest", "highest", ".3f"),
        Column("rms", "rms", ".3f"),
        Column("snr", "SNR dB", ".1f"),
        Column("scaled_snr", "scaled", ".1f"),
    ),
    cells=cells,
    figure=figure,
    shown=lambda row: row["operands"] == "uniform" or row["length"] == 256,
)
