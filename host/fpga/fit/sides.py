"""Macros side by side on one FPGA: their sizes and their speeds."""

import dataclasses

from dscim.gateware.specs import ProductSpec
from dscim.host.fpga.fit.alone import Placed
from dscim.host.fpga.fit.design import Design
from dscim.host.fpga.fit.measured import Measured
from dscim.host.fpga.fit.size import SizeModel

COLUMNS = (
    "macro",
    "LUT4 from",
    ">LUT4",
    ">FF",
    ">multipliers",
    ">Fmax, MHz",
    ">cycles",
    ">products/cycle",
    ">per 1000 LUT4",
    ">10^9 products/s",
)
"""Titles of the columns; '>' aligns right."""


@dataclasses.dataclass(frozen=True)
class Side:
    """The size and speed of a macro.

    source: where the LUT4 count comes from: "Yosys", or "model" if the macro was not synthesised.
    flip_flops: None for an estimate. megahertz: None if it was not placed and routed.
    cycles: for one product of all rows and columns. products_per_cycle: products of two integers,
    at full speed.
    """

    name: str
    source: str
    lut4: int
    flip_flops: int | None
    multipliers: int
    megahertz: float | None
    cycles: int
    products_per_cycle: float

    @property
    def per_kilo_lut(self) -> float:
        """Products per cycle and 1000 LUT4."""
        return 1000 * self.products_per_cycle / self.lut4

    @property
    def giga_products(self) -> float | None:
        """10^9 products per second; None if the clock is unknown."""
        return None if self.megahertz is None else self.megahertz * self.products_per_cycle / 1000


def side(
    name: str, design: Design, product: ProductSpec, model: SizeModel, placed: list[Placed]
) -> Side:
    """The size and speed of a macro, from the tables if it is there, else estimated."""
    row: Measured | None = next((row for row in model.rows if row.design == design), None)
    reached = next((one.megahertz for one in placed if one.design == design), None)
    macro = design.macro
    cycles = macro.cycles(product)
    estimate = model.estimate(design) if row is None else None
    return Side(
        name,
        "model" if row is None else "Yosys",
        estimate.lut4 if estimate else row.lut4 if row else 0,
        row.flip_flops if row else None,
        estimate.multipliers if estimate else row.multipliers if row else 0,
        reached,
        cycles,
        macro.rows * macro.columns / cycles,
    )


def cells(one: Side) -> tuple[str, ...]:
    """A row of the table with the titles COLUMNS; '-' for an unknown value."""
    return (
        one.name,
        one.source,
        f"{one.lut4}",
        _known(one.flip_flops, "d"),
        f"{one.multipliers}",
        _known(one.megahertz, ".1f"),
        f"{one.cycles}",
        f"{one.products_per_cycle:g}",
        f"{one.per_kilo_lut:.2f}",
        _known(one.giga_products, ".2f"),
    )


def _known(value: float | None, kind: str) -> str:
    return "-" if value is None else format(value, kind)
