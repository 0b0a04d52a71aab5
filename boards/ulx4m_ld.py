"""Radiona ULX4M-LD v2: ECP5UM5G-85F module."""

from dscim.boards.board import Board
from dscim.boards.parts import ecp5
from dscim.boards.sizes import LARGE

BOARD = Board(
    name="ulx4m_ld",
    title="Radiona ULX4M-LD v2",
    platform="radiona_ulx4m_ld_v2",
    arguments={"85F": {"device": "85F"}},
    parts={"85F": ecp5("LFE5UM5G-85F-8BG381C")},
    spec={"85F": LARGE},
    oscillator=25_000_000,
    oscillator_pin="clk25",
    clock=75_000_000,
    memory="512 MiB DDR3L",
    loader="ulx4m_dfu",
    notes="Its Ethernet is not used: litex-boards does not name its pins.",
)
