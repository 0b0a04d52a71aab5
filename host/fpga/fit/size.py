"""The size of a device before it is built: a model fitted to synthesised designs.

The tables of a macro and those around it are sums of terms, each times a factor: see `terms` and
`factors`. nextpnr needs more tables for the ends of carry chains; this is one factor, from the
builds with reports in the project. Block RAM is counted memory by memory, multipliers unit by unit.
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from dscim.boards.memories import block_rams, macro_blocks
from dscim.errors import UserError
from dscim.host.fpga.fit import terms
from dscim.host.fpga.fit.design import Design, read_builds
from dscim.host.fpga.fit.factors import Factors, Fitted, alone_of, fit
from dscim.host.fpga.fit.measured import Measured
from dscim.host.fpga.fit.store import COMMAND, read_factors, read_table


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of a design in four-input tables, 18-kbit blocks and 18 x 18-bit multipliers."""

    lut4: int
    block_ram: int
    multipliers: int


class SizeModel:
    """Estimates sizes.

    rows: synthesised designs, to which the factors are fitted. builds: designs that were built,
    with the number of their tables. By default, both are those of the project.
    """

    def __init__(
        self,
        rows: Sequence[Measured] | None = None,
        builds: Sequence[tuple[Design, int]] | None = None,
    ) -> None:
        self.rows = read_table() if rows is None else list(rows)
        self.factors: Factors = read_factors() if rows is None else fit(rows)
        self._builds = list(read_builds() if builds is None else builds)

    def estimate(self, design: Design) -> Size:
        """The size of `design`: for a device in its bitstream, for a macro alone as synthesised.

        UserError for a kind of macro without factors.
        """
        size = self.synthesised(design)
        return (
            size
            if design.device is None
            else dataclasses.replace(size, lut4=round(size.lut4 * self.packing))
        )

    def measured(self, design: Design) -> bool:
        """Whether all factors of the estimate are fitted to synthesised designs."""
        parts = [self._macro(one) for one in alone_of(design)]
        if design.device is not None:
            parts += [self.factors.around, self.factors.multipliers, self.factors.link_blocks]
            parts += [self.factors.depthwise] if design.device.depthwise else []
        return all(part.measured for part in parts)

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
        lut4 = sum(self._macro(one).times(terms.inside(one)) for one in alone_of(design))
        blocks, multipliers = macro_blocks(design.macro), terms.macro_multipliers(design)
        if design.device is not None:
            lut4 += self.factors.around.times(terms.around(design))
            lut4 += self.factors.depthwise.times(terms.depthwise(design))
            links = self.factors.link_blocks.times(np.array([1.0, design.ethernet]))
            blocks = block_rams(design.device) + round(links)
            lanes = np.array([1.0, design.device.requant_lanes])
            multipliers += round(self.factors.multipliers.times(lanes))
        return Size(max(0, round(lut4)), blocks, multipliers)

    def _macro(self, design: Design) -> Fitted:
        """The factors of a macro alone."""
        found = self.factors.macros.get(terms.kind(design))
        if found is None:
            raise UserError(
                f"There is no estimate for {design.name}: no macro of this kind was synthesised; "
                f"add one to `wanted` and run `{COMMAND}`."
            )
        return found
