"""The size of a device before it is built: a model fitted to synthesised designs.

Four-input tables of a macro are a sum over its cells, groups and columns, with factors for each
kind of macro. Those of the engine, which grows with the columns, and of the links are added. The
factors are a least squares fit to the table of `dscim dev sizes`. nextpnr needs more for the ends
of carry chains; this is one factor, from the builds with reports in the project. Block RAM is
counted memory by memory, multipliers unit by unit.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from dscim.arrays import Float64
from dscim.boards.memories import block_rams, macro_blocks
from dscim.errors import UserError
from dscim.host.fpga.fit.design import Design, read_builds
from dscim.host.fpga.fit.measure import COMMAND, Measured, read_table

Kind = tuple[str, int, int, str, bool, bool]

LANE_MULTIPLIERS, SETUP_MULTIPLIERS = 12, 5
"""Multipliers per channel requantised in a cycle, including its adds; for a layer's set-up."""


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of a design in four-input tables, 18-kbit blocks and 18 x 18-bit multipliers."""

    lut4: int
    block_ram: int
    multipliers: int


class SizeModel:
    """Estimates sizes.

    rows: synthesised designs. builds: designs that were built, with the number of their tables. By
    default, both are those of the project.
    """

    def __init__(
        self,
        rows: Sequence[Measured] | None = None,
        builds: Sequence[tuple[Design, int]] | None = None,
    ) -> None:
        self.rows = read_table() if rows is None else list(rows)
        self._builds = list(read_builds() if builds is None else builds)

    def estimate(self, design: Design) -> Size:
        """The size of `design`: for a device in its bitstream, for a macro alone as synthesised.

        UserError for a kind of macro that was never synthesised.
        """
        size = self.synthesised(design)
        return (
            size
            if design.device is None
            else dataclasses.replace(size, lut4=round(size.lut4 * self.packing))
        )

    def without(self, design: Design) -> "SizeModel":
        """The model without the build of `design`."""
        return SizeModel(self.rows, [build for build in self._builds if build[0] != design])

    @cached_property
    def packing(self) -> float:
        """Tables in a bitstream per table of Yosys; 1 if nothing was built."""
        ratios = [lut4 / self.synthesised(design).lut4 for design, lut4 in self._builds]
        return float(np.mean(ratios)) if ratios else 1.0

    def synthesised(self, design: Design) -> Size:
        """The size that Yosys is expected to report; UserError as for `estimate`."""
        macros = design.device.macros if design.device else (design.macro,)
        lut4 = sum(
            self._macro(dataclasses.replace(design, macro=macro, device=None)) for macro in macros
        )
        if design.device is None:
            return Size(round(lut4), macro_blocks(design.macro), _multipliers(design))
        lut4 += float(_around(design) @ self._around_factors)
        return Size(
            round(lut4),
            block_rams(design.device) + round(self._link_blocks(design)),
            _multipliers(design),
        )

    @property
    def knows_ethernet(self) -> bool:
        """True if a device with Ethernet was measured; otherwise estimates leave it out."""
        return any(row.design.ethernet for row in self._devices)

    def _macro(self, design: Design) -> float:
        factors = self._macro_factors.get(_kind(design))
        if factors is None:
            raise UserError(
                f"There is no estimate for {design.name}: no macro of this kind was synthesised; "
                f"add one to `wanted` and run `{COMMAND}`."
            )
        return float(_inside(design) @ factors)

    @cached_property
    def _macro_factors(self) -> dict[Kind, Float64]:
        """The factors of `_inside`, by kind of macro."""
        alone = [row for row in self.rows if row.design.device is None]
        kinds = {_kind(row.design) for row in alone}
        return {
            kind: _fit(
                [row for row in alone if _kind(row.design) == kind], _inside, lambda row: row.lut4
            )
            for kind in kinds
        }

    @cached_property
    def _devices(self) -> list[Measured]:
        return [row for row in self.rows if row.design.device is not None]

    @cached_property
    def _around_factors(self) -> Float64:
        """The factors of `_around`."""

        def around(row: Measured) -> float:
            assert row.design.device is not None
            return row.lut4 - sum(
                self._macro(dataclasses.replace(row.design, macro=macro, device=None))
                for macro in row.design.device.macros
            )

        return _fit(self._devices, _around, around)

    def _link_blocks(self, design: Design) -> float:
        """Blocks that the links take, with or without Ethernet, from the measured devices."""
        like = [
            row.block_ram - block_rams(row.design.device)
            for row in self._devices
            if row.design.device and row.design.ethernet == design.ethernet
        ]
        return float(np.median(like)) if like else 0.0


def _multipliers(design: Design) -> int:
    macros = design.device.macros if design.device else (design.macro,)
    cells = sum(
        macro.columns * (macro.rows if design.parallel else macro.groups)
        for macro in macros
        if macro.form == "exact"
    )
    around = (
        SETUP_MULTIPLIERS + LANE_MULTIPLIERS * design.device.requant_lanes if design.device else 0
    )
    return (cells if design.multipliers else 0) + around


def _kind(design: Design) -> Kind:
    """The properties that decide which set of factors applies."""
    macro = design.macro
    return (
        macro.form,
        macro.or_width,
        macro.lanes,
        macro.sequence.kind,
        design.parallel,
        design.multipliers,
    )


def _inside(design: Design) -> Float64:
    """The terms of a macro's tables; a single group needs no selection logic."""
    groups, columns = design.macro.groups, design.macro.columns
    return np.array([groups * columns, groups, columns, 1.0, float(groups == 1)])


def _around(design: Design) -> Float64:
    """The terms of the tables around the macros."""
    assert design.device is not None
    return np.array(
        [1.0, design.device.macro.columns, design.device.requant_lanes, float(design.ethernet)]
    )


def _fit(
    rows: list[Measured], features: Callable[[Design], Float64], value: Callable[[Measured], float]
) -> Float64:
    """The factors with the least squares of relative errors."""
    matrix = np.array([features(row.design) for row in rows])
    values = np.array([value(row) for row in rows])
    return np.linalg.lstsq(matrix / values[:, None], np.ones(len(rows)), rcond=None)[0]
