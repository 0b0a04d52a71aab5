"""Study `beyond`: lower error with the same hardware, by point sets optimised for the operands."""

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from dscim.gateware.specs import TABLES, ProductSpec, SequenceSpec, table_sequence
from dscim.gateware.specs.sequence import bit_reverse
from dscim.host.research.studies import moments
from dscim.host.research.studies.operands import DISTRIBUTIONS, Distribution, axes
from dscim.host.research.studies.points import Form, PointSet, best_points, error_of, form_of
from dscim.host.research.studies.study import Aim, Cell, Column, Published, Row, Rows, Study

ROWS = 128
SEED = 11
BEGINNINGS = (2, 20)
"""Descents from random starts per optimisation, quick and full."""

CASES = ((16, 64), (16, 128), (16, 256), (16, 1024), (64, 64), (64, 128), (64, 256))
"""(G, L)."""

SHIFTS = {"uniform": 1, "Gaussian": 1, "post-ReLU": 0}
"""The shift e with which the activations of each distribution fill the range best."""


@dataclasses.dataclass(frozen=True)
class Idea:
    """A way to choose points.

    built: the gateware computes it as a table, with the gain folded into requantisation. The
    shipped tables have separate rows, which the aims refer to.
    gain: False: a hit counts a power of two. bits: of a comparator; None: those of the region.
    offset: signed mode offset. exact: functions of one operand alone are subtracted exactly.
    heavy: every second point counts twice. pairing: the optimised thresholds are paired in the
    counter's order.
    """

    name: str
    built: bool = True
    gain: bool = True
    bits: int | None = None
    offset: bool = False
    exact: bool = False
    heavy: bool = False
    pairing: bool = False


IDEAS = (
    Idea("points, power-of-two gain", gain=False),
    Idea("points, free gain"),
    Idea("thresholds of those, counter's pairing", pairing=True),
    Idea("every second point counts twice", built=False, heavy=True),
    Idea("comparators of 7 bits", built=False, bits=7),
    Idea("offset, points", built=False, offset=True),
    Idea("offset, points, main effects exact", built=False, offset=True, exact=True),
)


def cells(quick: bool) -> list[Cell]:
    """The built sequences over all lengths, then each idea at the lengths of the aims."""
    beginnings = BEGINNINGS[0 if quick else 1]
    return [Cell("the sequences that are built", _built)] + [
        Cell(
            f"{idea}, {operands.name}, G = {or_width}, L = {length}, {beginnings}",
            partial(_optimised, idea, operands, or_width, length, beginnings),
        )
        for operands in DISTRIBUTIONS
        for or_width, length in ((16, 256), (64, 64))
        for idea in IDEAS
        if length > or_width or not (idea.pairing or idea.heavy)
    ]


def _row(operands: Distribution, spec: ProductSpec, idea: str, error: float, scaled: float) -> Row:
    """error, scaled: rms in product units, plain and under the best gain and bias."""
    return {
        "operands": operands.name,
        "variant": "ds-cim1" if spec.or_width == 16 else "ds-cim2",
        "length": spec.length,
        "idea": idea,
        "signed": spec.signed,
        "shift": spec.activation_shift,
        "built": True,
        "rmse": moments.percent(error, ROWS),
        "snr": moments.snr(operands, ROWS, error),
        "scaled_rmse": moments.percent(scaled, ROWS),
        "scaled_snr": moments.snr(operands, ROWS, scaled),
    }


def _built() -> Iterator[Row]:
    """The built sequences: the counter at its best activation shift, and the tables."""
    for operands in DISTRIBUTIONS:
        for or_width, length in CASES:
            counters = (
                ProductSpec(or_width, length, SequenceSpec(), "split", shift) for shift in range(4)
            )
            yield min(
                (_of(operands, spec, "counter, best e") for spec in counters),
                key=lambda row: float(row["rmse"]),
            )
            for name in TABLES:
                spec = ProductSpec(
                    or_width, length, table_sequence(name), "split", SHIFTS[operands.name]
                )
                yield _of(operands, spec, f"table {name}")


def _of(operands: Distribution, spec: ProductSpec, idea: str) -> Row:
    each, groups = moments.moments(spec, operands), ROWS // spec.or_width
    return _row(
        operands, spec, idea, moments.rms(groups, each), moments.scaled_rms(groups, each)[0]
    )


def _optimised(
    idea: Idea, operands: Distribution, or_width: int, length: int, beginnings: int
) -> Iterator[Row]:
    """The least error of `idea` for one distribution."""
    spec = ProductSpec(
        or_width,
        length,
        SequenceSpec(),
        *(("offset", 0) if idea.offset else ("split", SHIFTS[operands.name])),
    )
    bits = idea.bits or 8 - spec.operand_shift
    form = form_of(*axes(spec, operands, bits=bits), 1 << bits, centred=idea.exact)
    rng = np.random.default_rng([SEED, length, IDEAS.index(idea)])
    found = optimised(form, spec, idea, beginnings, rng)
    error = (
        error_of(form, _in_counter_order(found.points), found.decode)
        if idea.pairing
        else found.error
    )
    rms = float(np.sqrt(ROWS * error))
    yield _row(operands, spec, idea.name, rms, rms) | {
        "built": idea.built,
        "seed": SEED,
        "points": found.points.T.tolist(),
        "gain": float(found.decode[0]) / (1 << spec.decode_shift),
    }


def optimised(
    form: Form, spec: ProductSpec, idea: Idea, beginnings: int, rng: np.random.Generator
) -> PointSet:
    """The best point set of n points, of all gains that `idea` allows."""
    weights = np.ones(spec.samples)
    if idea.heavy:
        weights[1::2] = 2
    if idea.gain:
        return best_points(form, weights, None, beginnings, rng)
    return min(
        (
            best_points(form, weights, float(1 << (spec.decode_shift - shift)), beginnings, rng)
            for shift in range(4)
        ),
        key=lambda found: found.error,
    )


def _in_counter_order(points: Any) -> Any:
    """The same thresholds on both axes, paired by bit reversal."""
    p, q = np.sort(points, axis=1)
    bits = len(p).bit_length() - 1
    return np.stack([p, q[[bit_reverse(u, bits) for u in range(len(p))]]])


def _least(operands: str, variant: str, length: int, field: str, sign: int) -> Any:
    """A function that finds the least value of a field among the shipped sequences.

    sign: 1; -1: it finds the greatest value.
    """

    def measured(rows: Rows) -> float | None:
        values = [
            row[field]
            for row in rows
            if "points" not in row
            and (row["operands"], row["variant"], row["length"]) == (operands, variant, length)
        ]
        return min(values, key=lambda value: sign * value) if values else None

    return measured


def figure(drawing: Any, rows: Rows) -> None:
    """RMSE of the built sequences for uniform operands; SNR for the others."""
    panels = drawing.subplots(1, 3)
    for panel, operands in zip(panels, DISTRIBUTIONS, strict=True):
        uniform = operands.name == "uniform"
        field = "rmse" if uniform else "scaled_snr"
        for variant, line in (("ds-cim1", "-"), ("ds-cim2", "--")):
            for idea, style in (
                ("counter, best e", "C0o"),
                ("table uniform", "C1s"),
                ("table gaussian", "C2^"),
                ("table gaussian-scaled", "C3D"),
            ):
                mine = sorted(
                    (row["length"], row[field])
                    for row in rows
                    if (row["operands"], row["variant"], row["idea"])
                    == (operands.name, variant, idea)
                )
                panel.plot(
                    *zip(*mine, strict=True), style + line, markersize=4, label=f"{variant}, {idea}"
                )
        if uniform:
            panel.plot((256, 64), (0.74, 3.81), "k*", markersize=12, label="paper")
            panel.plot((256, 64), (0.06, 0.36), "kv", label="aim, at most")
            panel.plot([], [], "k^", label="aim, at least")
            panel.set(yscale="log", ylabel="RMSE (% of 128 x 65536)")
        else:
            panel.plot(256, 16, "k^")
            panel.set(ylabel="SNR, scaled (dB)")
        panel.set(
            title=operands.name,
            xscale="log",
            xlabel="stream length L",
            xticks=(64, 256, 1024),
            xticklabels=("64", "256", "1024"),
        )
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    drawing.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7
    )


AIMS = (
    Aim("uniform, DS-CIM1, L = 256", 0.06, "% RMSE", _least("uniform", "ds-cim1", 256, "rmse", 1)),
    Aim("uniform, DS-CIM2, L = 64", 0.36, "% RMSE", _least("uniform", "ds-cim2", 64, "rmse", 1)),
    Aim(
        "Gaussian, DS-CIM1, L = 256, a gain folded into requantisation",
        16,
        "dB",
        _least("Gaussian", "ds-cim1", 256, "scaled_snr", -1),
        at_least=True,
    ),
    Aim(
        "post-ReLU, DS-CIM1, L = 256, a gain folded into requantisation",
        16,
        "dB",
        _least("post-ReLU", "ds-cim1", 256, "scaled_snr", -1),
        at_least=True,
    ),
)

STUDY = Study(
    name="beyond",
    title="Lower error with the same hardware",
    question="With two comparisons per row and point and one OR tree per sign, how low can the "
    "error go? The error of a row is the discrepancy of its points, weighted by the operands' "
    "distribution: a quadratic form, minimised by descent. The rows named table are shipped "
    "sequences; the ideas are each optimised for the row's operands, and `built` says whether "
    "the gateware has them. Scaled: with the best gain and bias of the whole product, "
    "which fold into requantisation; without them a hit counts a power of two. Aims refer "
    "to the shipped sequences.",
    published=(
        Published("DS-CIM1, most likely L = 256", 0.74, "% RMSE"),
        Published("DS-CIM2, most likely L = 64", 3.81, "% RMSE"),
    ),
    minutes=(0.2, 2),
    seeds={"descents": SEED},
    columns=(
        Column("operands", "operands"),
        Column("variant", "variant"),
        Column("length", "L"),
        Column("idea", "sequence or idea"),
        Column("signed", "signed"),
        Column("shift", "e"),
        Column("built", "built"),
        Column("rmse", "RMSE %", ".4f"),
        Column("scaled_rmse", "scaled %", ".4f"),
        Column("snr", "SNR dB", ".2f"),
        Column("scaled_snr", "scaled dB", ".2f"),
    ),
    cells=cells,
    figure=figure,
    aims=AIMS,
)
