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

    words:       words of 8 rows that a macro alone receives per cycle, a power of two; a device
                 has those of its banks.
    multipliers: products may use those of the FPGA; always true for a device.
    ethernet:    the device has Ethernet in addition to its UART.
    """

    macro: MacroSpec
    device: SocSpec | None = None
    words: int = SocSpec.banks
    multipliers: bool = True
    ethernet: bool = False
    board: str = MEASURED_ON

    @property
    def spec(self) -> SocSpec:
        """The device; only if there is one."""
        assert self.device is not None
        return self.device

    @property
    def macros(self) -> tuple[MacroSpec, ...]:
        """The macros of the device, or the macro alone."""
        return (self.macro,) if self.device is None else self.device.macros

    @property
    def name(self) -> str:
        """A short description, unique for each design."""
        macro = self.macro
        words = f"{macro.rows} x {macro.columns} {macro.form} {macro.lanes}, G = {macro.or_width}"
        if macro.sequence.kind != "counter":
            words += f", {macro.sequence.kind}"
        if macro.samples is not None:
            words += f", {macro.samples} samples"
        if self.device is None and self.words != SocSpec.banks:
            words += f", {self.words} words"
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
        board = find_board(self.board)
        return Setup(
            board,
            board.devices[0],
            self.spec,
            float(board.clock),
            board.baud,
            Address() if self.ethernet else None,
        )

    def sources(self, folder: Path) -> dict[str, Path]:
        """Writes the files for Yosys into `folder`; returns Verilog and memory contents by name."""
        if self.device is None:
            from dscim.host.fpga.cells.area import verilog_of  # noqa: PLC0415  Migen is slow to import

            (folder / "macro.v").write_text(verilog_of(self.macro, self.words))
        else:
            elaborate(self.setup(), folder)
        return {path.name: path for path in folder.iterdir() if path.suffix in (".v", ".init")}


def device(macro: MacroSpec, *, ethernet: bool = False, **sizes: Any) -> Design:
    """The design of a device with `macro`; by default it has no exact macro in addition."""
    banks = sizes.get("banks", SocSpec.banks)
    lanes = min(SocSpec.requant_lanes, macro.columns, 2 * banks)
    sizes = {"exact": False, "requant_lanes": lanes, **sizes}
    return design_of(SocSpec(macro, **sizes), ethernet=ethernet)


def design_of(spec: SocSpec, *, ethernet: bool = False, board: str = MEASURED_ON) -> Design:
    """The design of a device."""
    return Design(spec.macro, spec, spec.banks, ethernet=ethernet, board=board)


def built(facts: dict[str, Any]) -> Design:
    """The design that a build's report describes."""
    spec = SocSpec.from_json(facts["spec"])
    return design_of(spec, ethernet=facts["ip"] is not None, board=facts["board"])


def current(facts: dict[str, Any]) -> bool:
    """Whether a report is of an ECP5 part and of a device that this version builds.

    The hash of an older device's spec is another one than that of the spec read now.
    """
    spec = SocSpec.from_json(facts["spec"])
    return facts["part"].startswith("LFE5") and int(facts["spec_hash"], 16) == spec.hash


def read_builds() -> list[tuple[Design, int]]:
    """The finished builds for ECP5 parts, each with its number of tables counted by nextpnr."""
    return [
        (built(facts), facts["cells"]["lut4"]["used"]) for facts in read_reports() if current(facts)
    ]
