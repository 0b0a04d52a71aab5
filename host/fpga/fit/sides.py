"""Macros side by side on one FPGA: what they take, how much they do."""

import dataclasses

from dscim.gateware.specs import MacroSpec, ProductSpec
from dscim.host.fpga.fit.alone import Placed
from dscim.host.fpga.fit.design import Design
from dscim.host.fpga.fit.measure import Measured
from dscim.host.fpga.fit.size import SizeModel

COLUMNS = (
    "macro",
    "tables from",
    ">LUT4",
    ">FF",
    ">multipliers",
    ">Fmax, MHz",
    ">cycles",
    ">products/cycle",
    ">for 1000 LUT4",
    ">10^9 products/s",
)
"""Of the table of sides; '>' aligns to the right."""


@dataclasses.dataclass(frozen=True)
class Side:
    """A macro: what it takes and does.

    source: where the tables come from: "Yosys", or "model" where it was not synthesised.
    flip_flops: None for an estimate. megahertz: None where it was not placed and routed.
    products_per_cycle: of two integers, at full speed.
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
        """Products a cycle for a thousand tables."""
        return 1000 * self.products_per_cycle / self.lut4

    @property
    def giga_products(self) -> float | None:
        """10**9 products a second."""
        return None if self.megahertz is None else self.megahertz * self.products_per_cycle / 1000


def contenders(rows: int, columns: int) -> list[tuple[str, Design, ProductSpec]]:
    """DS-CIM1 and DS-CIM2 in both forms at the paper's longest and shortest stream, and the exact
    macro in the schedule of the first, and of all rows at once; each by its name."""
    one, two = ProductSpec(16, 256), ProductSpec(64, 64)
    exact = ProductSpec(16, 256, exact=True)
    integers = MacroSpec(rows, columns, form="exact", lanes=1)
    return [
        ("DS-CIM1, selected, 16 samples a cycle, L = 256", Design(MacroSpec(rows, columns)), one),
        (
            "DS-CIM1, the paper's array, 1 point a cycle, L = 256",
            Design(MacroSpec(rows, columns, form="array", lanes=1)),
            one,
        ),
        (
            "DS-CIM2, selected, 4 samples a cycle, L = 64",
            Design(MacroSpec(rows, columns, 64, lanes=4)),
            two,
        ),
        (
            "DS-CIM2, the paper's array, 1 point a cycle, L = 64",
            Design(MacroSpec(rows, columns, 64, "array", 1)),
            two,
        ),
        ("exact INT8, the schedule of DS-CIM1", Design(integers), exact),
        ("exact INT8, that schedule, no multipliers", Design(integers, multipliers=False), exact),
    ]


def side(
    name: str, design: Design, product: ProductSpec, model: SizeModel, placed: list[Placed]
) -> Side:
    """What is known of a contender."""
    row: Measured | None = next((row for row in model.rows if row.design == design), None)
    reached = next((one.megahertz for one in placed if one.design == design), None)
    macro = design.macro
    cycles = 1 if design.parallel else macro.cycles(product)
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
    """A side in the columns of COLUMNS; '-' for what is not known."""
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
