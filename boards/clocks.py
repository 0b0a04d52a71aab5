"""The clock domain `sys` of a board: oscillator, power-on reset, PLL."""

from typing import Any

from litex.gen import LiteXModule
from litex.soc.cores.clock import ECP5PLL, S7PLL
from litex.soc.cores.clock.gowin_gw2a import GW2APLL
from migen import ClockDomain, If, Signal

from dscim.boards.board import Board
from dscim.gateware.specs.base import SpecError

MARGINS = (0.0, 0.001, 0.005, 0.01)
"""Relative deviations allowed from the requested clock; the smallest possible one is used."""


class Clocks(LiteXModule):
    """Makes `sys` from the board's oscillator, in reset until the PLL has locked.

    frequency: of `sys`, in Hz; within 1 % of `requested`, or SpecError.

    | port | dir | meaning                       |
    |------|-----|-------------------------------|
    | rst  | in  | resets the whole device       |
    """

    def __init__(self, platform, board: Board, requested: float):
        self.rst = Signal()
        self.cd_sys = ClockDomain()
        self.cd_por = ClockDomain(reset_less=True)
        margin, self.frequency = achievable(platform, board, requested)

        # # #

        oscillator = platform.request(board.oscillator_pin)
        count = Signal(16, reset=0xFFFF)
        self.comb += self.cd_por.clk.eq(oscillator)
        self.sync.por += If(count != 0, count.eq(count - 1))
        self.pll = pll = _pll(platform)
        self.comb += pll.reset.eq((count != 0) | self.rst | _button(platform, board))
        pll.register_clkin(oscillator, board.oscillator)
        pll.create_clkout(self.cd_sys, requested, margin=margin)


def achievable(platform, board: Board, requested: float) -> tuple[float, float]:
    """The smallest of MARGINS within which the board's PLL can make `requested` Hz, and the
    frequency that it makes.

    SpecError if there is none.
    """
    for margin in MARGINS:
        pll = _pll(platform)
        try:
            pll.register_clkin(Signal(), board.oscillator)
            pll.create_clkout(ClockDomain("trial"), requested, margin=margin)
            return margin, _frequency(pll, pll.compute_config())
        except (ValueError, AssertionError):
            continue
    raise SpecError(
        f"A clock of {requested / 1e6:g} MHz cannot be made from the {board.oscillator / 1e6:g} "
        f"MHz of board {board.name} within 1 %; choose another --clock."
    )


def slower(platform, board: Board, most: float) -> float:
    """The closest clock of at most `most` Hz that the PLL can make, in steps of 0.25 MHz."""
    requested = most
    while True:
        frequency = achievable(platform, board, requested)[1]
        if frequency <= most:
            return frequency
        requested -= 250_000


def _pll(platform) -> Any:
    """A PLL of the platform's FPGA."""
    device = platform.device
    if device.startswith("LFE5"):
        return ECP5PLL()
    if device.startswith("GW2A"):
        return GW2APLL(devicename=platform.devicename, device=device)
    return S7PLL(speedgrade=-1)


def _frequency(pll, config: dict[str, Any]) -> float:
    """The frequency of the first output of a PLL with this configuration."""
    if "fdiv" in config:  # Gowin
        return pll.clkin_freq * config["fdiv"] / config["idiv"]
    return config["clko0_freq"] if "clko0_freq" in config else config["clkout0_freq"]


def _button(platform, board: Board) -> Any:
    """1 while the board's reset button is pressed; always 0 without one."""
    if board.reset is None:
        return 0
    pin = platform.request(board.reset.pin)
    return pin if board.reset.level else ~pin
