"""The result of synthesising a design."""

import dataclasses

from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.fit.design import Design


@dataclasses.dataclass(frozen=True)
class Measured:
    """The result of synthesising a design.

    cells: number of cells by kind. seconds: time of the synthesis. yosys: its name and version.
    """

    design: Design
    cells: dict[str, int]
    seconds: float
    yosys: str

    @property
    def lut4(self) -> int:
        """LUT4, as nextpnr counts them, with those of carries and distributed RAM."""
        return FAMILIES["ecp5"].table_count(self.cells)

    @property
    def flip_flops(self) -> int:
        """Registers of one bit."""
        return self.cells.get("TRELLIS_FF", 0)

    @property
    def block_ram(self) -> int:
        """Blocks of 18 kbit."""
        return self.cells.get("DP16KD", 0)

    @property
    def multipliers(self) -> int:
        """Multipliers of 18 x 18 bits."""
        return self.cells.get("MULT18X18D", 0)
