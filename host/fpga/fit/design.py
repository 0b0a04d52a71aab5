"""A design to synthesise: a macro alone, or a whole device on a board."""

import dataclasses
from pathlib import Path
from typing import Any

from dscim.boards import find_board
from dscim.boards.soc import Address, Setup, elaborate
from dscim.gateware.specs import MacroSpec, SocSpec, Spec
from dscim.host.fpga.bitstream.reports import read_reports

MEASURED_ON = "ecpix5"
"""The board whose part and pins a design uses by default."""


@dataclasses.dataclass(frozen=True)
class Design(Spec):
    """The device on `board`, or only the macro if `device` is None.

    parallel:    the macro is the exact one with a multiplier for every cell: a product takes one
                 cycle.
    multipliers: products may use those of the FPGA; always true for a device.
    ethernet:    the device has Ethernet in addition to its UART.
    """

    macro: MacroSpec
    device: SocSpec | None = None
    parallel: bool = False
    multipliers: bool = True
    ethernet: bool = False
    board: str = MEASURED_ON

    @property
    def name(self) -> str:
        """A short description, unique for each design."""
        macro = self.macro
        kind = "exact, all rows" if self.parallel else macro.form
        if macro.form != "exact":
            kind += f" {macro.lanes}"
        words = f"{macro.rows} x {macro.columns} {kind}, G = {macro.or_width}"
        if not self.multipliers:
            words += ", no multipliers"
        if self.device is not None:
            words = (
                f"{self.board}: {words}{', exact beside' if self.device.exact else ''}"
                f"{', Ethernet' if self.ethernet else ''}, spec {self.device.hash:08x}"
            )
        return words

    def setup(self) -> Setup:
        """The device on its board, at the board's clock."""
        assert self.device is not None
        board = find_board(self.board)
        return Setup(
            board,
            board.devices[0],
            self.device,
            float(board.clock),
            board.baud,
            Address() if self.ethernet else None,
        )

    def sources(self, folder: Path) -> dict[str, Path]:
        """Writes the files for Yosys into `folder`; returns Verilog and memory contents by name."""
        if self.device is None:
            from dscim.host.fpga.cells.area import verilog_of  # noqa: PLC0415  Migen is slow to import

            (folder / "macro.v").write_text(verilog_of(self.macro))
        else:
            elaborate(self.setup(), folder)
        return {path.name: path for path in folder.iterdir() if path.suffix in (".v", ".init")}


def device(macro: MacroSpec, *, ethernet: bool = False, **sizes: Any) -> Design:
    """The design of a device with `macro`; by default it has no exact macro in addition."""
    lanes = min(SocSpec.requant_lanes, macro.columns)
    sizes = {"exact": False, "requant_lanes": lanes, **sizes}
    return Design(macro, SocSpec(macro, **sizes), ethernet=ethernet)


def built(facts: dict[str, Any]) -> Design:
    """The design that a build's report describes."""
    spec = SocSpec.from_json(facts["spec"])
    return Design(spec.macro, spec, ethernet=facts["ip"] is not None, board=facts["board"])


def read_builds() -> list[tuple[Design, int]]:
    """The finished builds for ECP5 parts, each with its number of tables counted by nextpnr."""
    return [
        (built(facts), facts["cells"]["lut4"]["used"])
        for facts in read_reports()
        if facts["part"].startswith("LFE5")
    ]
