"""A board's SoC, and the files from which a bitstream is made."""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dscim.boards.board import Board
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.base import require

TOP = "dscim"
"""The name of the top module and of its files."""

SYS = "sys_clk"
"""The device's clock in the Verilog."""

BAUDS = range(1200, 12_000_001)


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is built for a board.

    device: what --device says. clock: of `sys`, in Hz, as asked. baud: of the UART.
    """

    board: Board
    device: str
    spec: SocSpec
    clock: float
    baud: int

    def __post_init__(self) -> None:
        require(self.baud in BAUDS and self.baud <= self.clock/8,
                f"{self.baud} baud are outside {BAUDS[0]}..{BAUDS[-1]}, or more than an eighth "
                f"of the clock of {self.clock/1e6:g} MHz.")
        require(1e6 <= self.clock <= 400e6,
                f"A clock of {self.clock/1e6:g} MHz is outside 1..400 MHz.")


@dataclasses.dataclass(frozen=True)
class Sources:
    """What elaboration leaves in a folder.

    clocks: the frequency in Hz that each clock must reach, by its signal's name in the Verilog.
    """

    clocks: dict[str, float]


def board_soc(setup: Setup) -> Any:
    """The SoC on its platform, ready to be elaborated: `soc.crg.frequency` is its clock in Hz."""
    from litex.soc.cores.uart import RS232PHY  # noqa: PLC0415  Migen is slow to import

    from dscim.boards.clocks import Clocks  # noqa: PLC0415
    from dscim.gateware.soc import DscimSoC  # noqa: PLC0415

    platform = setup.board.make_platform(setup.device)
    clocks = Clocks(platform, setup.board, setup.clock)
    phy = RS232PHY(platform.request("serial"), clocks.frequency, setup.baud)
    soc = DscimSoC(platform, setup.spec, int(clocks.frequency), clocks, phy)
    # Ethernet joins here: a PHY on the board's pads, its clocks, and another link of the SoC.
    for pin in setup.board.high:
        soc.comb += platform.request(pin).eq(1)
    return soc


def lowered(setup: Setup, most: float) -> Setup:
    """The same at a clock of at most `most` Hz that the board's PLL can give; the UART's divisor
    follows when it is elaborated."""
    from dscim.boards.clocks import slower  # noqa: PLC0415  Migen is slow to import

    with _quiet():
        platform = setup.board.make_platform(setup.device)
        return dataclasses.replace(setup, clock=slower(platform, setup.board, most))


def elaborate(setup: Setup, folder: Path, make: Callable[[Setup], Any] = board_soc) -> Sources:
    """Writes TOP.v, memory contents, constraints and the vendor's script into `folder`.

    make: gives the design, with its `platform` and, as `crg`, its `Clocks`.
    """
    with _quiet():
        soc = make(setup)
        soc.finalize()
        names = soc.platform.build(soc, build_dir=str(folder), build_name=TOP, run=False)
        verilog = folder / f"{TOP}.v"
        lines = verilog.read_text().splitlines(keepends=True)
        verilog.write_text("".join(line for line in lines if not line.startswith("// Date")))
        asked = {SYS: soc.crg.frequency,
                 names.get_name(soc.crg.cd_por.clk): float(setup.board.oscillator)}
        assert names.get_name(soc.crg.cd_sys.clk) == SYS
    return Sources(asked)


@contextmanager
def _quiet() -> Iterator[None]:
    """LiteX tells its story at level INFO and changes the working folder; not here."""
    before, here = logging.root.manager.disable, Path.cwd()
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
        os.chdir(here)
