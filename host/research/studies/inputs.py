"""What a user can give a study's model of circuits."""

import dataclasses
from pathlib import Path

from dscim.errors import UserError

LIMITS = {
    "node": (2, 250, "nm"),
    "voltage": (0.2, 3.0, "V"),
    "capacitance": (0.01, 10.0, "fF"),
    "megahertz": (1, 5000, "MHz"),
}


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Of studies `area` and `energy`; UserError for values that no circuit has.

    liberty:     a Liberty file of cells, whose areas then stand for transistors (area).
    node:        nm; it scales areas: a transistor has PITCH * node^2 (energy).
    voltage:     V. capacitance: fF of a gate's input pin (energy).
    megahertz:   the clock, which TOPS/mm2 needs (energy).
    """

    liberty: Path | None = None
    node: float = 28.0
    voltage: float = 0.9
    capacitance: float = 0.25
    megahertz: float = 500.0

    def __post_init__(self) -> None:
        for name, (low, high, unit) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(
                    f"The model's {name} {value:g} {unit} is outside {low:g}..{high:g} {unit}."
                )
        if self.liberty and not self.liberty.is_file():
            raise UserError(
                f"There is no Liberty file '{self.liberty}'; give one of a standard "
                "cell library (.lib)."
            )
