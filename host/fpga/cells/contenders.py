"""The macros that `dscim macros` compares, and their sizes in the table that ships."""

import dataclasses
import json
from pathlib import Path

from dscim.gateware.specs import MacroSpec

TABLE = Path(__file__).parents[2] / "data" / "macros.json"
BITS = 8
COLUMNS = 32


@dataclasses.dataclass(frozen=True)
class Contender:
    """A macro of 128 rows, built for one number of samples, or exact.

    bits: of the operands. multipliers: those of the FPGA may be used.
    """

    name: str
    spec: MacroSpec
    bits: int = BITS
    multipliers: bool = False

    @property
    def products_per_cycle(self) -> int:
        """Products of two integers per cycle, at the largest n and 32 columns."""
        spec = self.spec
        if spec.form == "exact":
            return spec.groups * spec.lanes * COLUMNS
        return min(spec.rows, spec.groups * spec.lanes // spec.max_samples) * COLUMNS


def compared() -> list[Contender]:
    """DS-CIM at 64 points per cycle and group, and exact macros of the same schedules."""

    def stochastic(or_width: int, samples: int | None) -> Contender:
        spec = MacroSpec(or_width=or_width, samples=samples, signed=("split",))
        variant = {16: "DS-CIM1", 64: "DS-CIM2"}[or_width]
        built = f"n up to {spec.max_samples}" if samples != 1 else "n = 1"
        return Contender(f"{variant}, {built}", spec)

    def exact(bits: int, lanes: int, or_width: int = 16, multipliers: bool = False) -> Contender:
        spec = MacroSpec(or_width=or_width, form="exact", lanes=lanes)
        cycles = or_width // lanes
        name = f"exact INT{bits}, {cycles} cycle{'s' if cycles > 1 else ''}"
        name += ", multipliers" if multipliers else ""
        return Contender(name, spec, bits, multipliers)

    return [
        stochastic(64, 1),
        stochastic(16, 4),
        stochastic(16, 16),
        stochastic(16, None),
        *[exact(bits, lanes) for bits in (8, 4) for lanes in (16, 4, 1)],
        *[exact(bits, 2, 64, True) for bits in (8, 4)],
    ]


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of a macro of 32 columns. flip_flops: registers of one bit."""

    lut4: int
    flip_flops: int
    multipliers: int


def read_table(path: Path = TABLE) -> dict[str, Size]:
    """The measured sizes by name; empty without a table."""
    if not path.exists():
        return {}
    return {
        row["name"]: Size(row["lut4"], row["flip_flops"], row["multipliers"])
        for row in json.loads(path.read_text())["rows"]
    }
