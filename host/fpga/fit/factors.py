"""The factors of the size model: fitted to synthesised designs, else rough estimates.

A fit has the least squares of relative errors. Where no designs were measured, ROUGH has the
orders of magnitude that follow from the circuit; `measured` says which of both a factor is.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float64
from dscim.boards.memories import block_rams
from dscim.gateware.specs import Spec
from dscim.host.fpga.fit import terms
from dscim.host.fpga.fit.design import Design
from dscim.host.fpga.fit.measured import Measured


@dataclasses.dataclass(frozen=True)
class Fitted(Spec):
    """Factors of some terms. measured: fitted to `designs` designs; else they are rough."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    designs: int = 0

    @property
    def measured(self) -> bool:
        """Whether they are fitted to synthesised designs."""
        return self.designs > 0

    def times(self, values: Float64) -> float:
        """The sum of the terms, each times its factor."""
        return float(values @ np.array(self.values))


@dataclasses.dataclass(frozen=True)
class Factors:
    """All factors. macros: tables by kind of macro. around: tables of the rest of a device, but of
    the depthwise unit, which has factors of its own.

    multipliers: those of a layer's set-up, and per channel requantised in a cycle.
    link_blocks: block RAMs of the links with the UART alone, and in addition with Ethernet.
    """

    macros: Mapping[terms.Kind, Fitted]
    around: Fitted
    multipliers: Fitted
    link_blocks: Fitted
    depthwise: Fitted

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `from_json` makes equal factors."""
        return {
            "macros": {kind: fitted.to_json() for kind, fitted in self.macros.items()},
            **{name: getattr(self, name).to_json() for name in SHARED},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Factors":
        """The factors that `to_json` wrote."""
        macros = {kind: Fitted.from_json(one) for kind, one in data["macros"].items()}
        return cls(macros, **{name: Fitted.from_json(data[name]) for name in SHARED})


SHARED = ("around", "multipliers", "link_blocks", "depthwise")

MULTIPLIERS = ("device", "requant_lanes")
LINKS = ("device", "Ethernet")

_SELECTED = Fitted(terms.SELECTED, (1.5, 1.5, 4.0, 4.0, 20.0, 3.0, 500.0, 40.0, 400.0))
_ARRAY = Fitted(terms.OTHER, (15.0, 10.0, 20.0, 80.0, 400.0))
_EXACT = Fitted(terms.OTHER, (10.0, 1.0, 30.0, 60.0, 300.0))

ROUGH = Factors(
    {
        **{
            f"selected, G = {width}, {sequence}": _SELECTED
            for width in (16, 64)
            for sequence in ("counter", "table")
        },
        "selected, G = 16, lfsr": Fitted(terms.ONE_POINT, (2.0, 30.0, 80.0, 400.0)),
        "array, G = 16, counter": _ARRAY,
        "array, G = 64, counter": _ARRAY,
        "exact, G = 16, counter": _EXACT,
        "exact, G = 16, counter, no multipliers": Fitted(
            terms.OTHER, (110.0, 1.0, 30.0, 60.0, 300.0)
        ),
    },
    Fitted(terms.AROUND, (14676.0, 60.0, 700.0, 250.0, 60.0, 7900.0)),
    Fitted(MULTIPLIERS, (13.0, 6.0)),
    Fitted(LINKS, (3.0, 9.0)),
    Fitted(terms.DEPTHWISE, (1500.0, 540.0, 80.0)),
)
"""Estimates: no design was synthesised for them, but the constant around the macro is such that the
build of the colorlight_i5 comes out. Those of the depthwise unit follow from units alone."""


def fit(rows: Sequence[Measured]) -> Factors:
    """The factors of these designs; those of ROUGH where there are fewer designs than factors."""
    alone = [row for row in rows if row.design.device is None]
    devices = [row for row in rows if row.design.device is not None]
    macros = dict(ROUGH.macros)
    for kind in dict.fromkeys(terms.kind(row.design) for row in alone):
        own = [row for row in alone if terms.kind(row.design) == kind]
        names = terms.names(own[0].design)
        fitted = _fit(names, [(terms.inside(row.design), row.lut4) for row in own])
        if fitted is not None:
            macros[kind] = fitted
    known = [
        row for row in devices if all(terms.kind(one) in macros for one in alone_of(row.design))
    ]
    rest = [
        row.lut4
        - sum(macros[terms.kind(one)].times(terms.inside(one)) for one in alone_of(row.design))
        for row in known
    ]
    around = _fit(
        terms.AROUND,
        [
            (terms.around(row.design), lut4)
            for row, lut4 in zip(known, rest, strict=True)
            if not row.design.spec.depthwise
        ],
    )
    units = [
        (
            terms.depthwise(row.design),
            lut4 - (around or ROUGH.around).times(terms.around(row.design)),
        )
        for row, lut4 in zip(known, rest, strict=True)
        if row.design.spec.depthwise
    ]
    multipliers = [
        (
            np.array([1.0, row.design.spec.requant_lanes]),
            row.multipliers - terms.macro_multipliers(row.design),
        )
        for row in devices
    ]
    links = [
        (
            np.array([1.0, float(row.design.ethernet)]),
            row.block_ram - block_rams(row.design.spec),
        )
        for row in devices
    ]
    return Factors(
        macros,
        around or ROUGH.around,
        _fit(MULTIPLIERS, multipliers) or ROUGH.multipliers,
        _fit(LINKS, links) or ROUGH.link_blocks,
        _fit(terms.DEPTHWISE, units) or ROUGH.depthwise,
    )


def alone_of(design: Design) -> Iterable[Design]:
    """Each macro of a design, alone, with the words of the device's window."""
    for macro in design.macros:
        yield dataclasses.replace(design, macro=macro, device=None, words=design.words)


def _fit(
    names: tuple[str, ...], points: Sequence[tuple[npt.NDArray[np.float64], float]]
) -> Fitted | None:
    """Least squares of relative errors, without negative factors: no part saves tables.

    None if the points do not determine the factors.
    """
    if not points:
        return None
    matrix = np.array([terms_of for terms_of, _ in points])
    values = np.array([max(1.0, value) for _, value in points])
    if np.linalg.matrix_rank(matrix) < len(names):
        return None
    found = non_negative(matrix / values[:, None], np.ones(len(points)))
    return Fitted(names, tuple(round(float(factor), 6) for factor in found), len(points))


def non_negative(matrix: Float64, values: Float64) -> Float64:
    """The factors >= 0 with the least squares |matrix @ factors - values| (Lawson and Hanson)."""
    count = matrix.shape[1]
    free = np.zeros(count, bool)
    factors = np.zeros(count)
    for _ in range(10 * count):
        slope = matrix.T @ (values - matrix @ factors)
        slope[free] = -np.inf
        if slope.max() <= 1e-9 * np.abs(matrix).max():
            break
        free[slope.argmax()] = True
        while True:
            trial = np.zeros(count)
            trial[free] = np.linalg.lstsq(matrix[:, free], values, rcond=None)[0]
            wrong = free & (trial <= 0)
            if not wrong.any():
                break
            step = (factors[wrong] / np.maximum(factors[wrong] - trial[wrong], 1e-30)).min()
            factors = factors + step * (trial - factors)
            free &= factors > 1e-12
            factors[~free] = 0
        factors = trial
    return factors
