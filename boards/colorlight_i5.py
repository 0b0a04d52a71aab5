"""Colorlight i5 v7.0 on its extension board: ECP5U-25F, UART of the on-board debugger."""

from dscim.boards.board import Board, Reset
from dscim.boards.parts import ecp5
from dscim.boards.sizes import SMALL

BOARD = Board(
    name="colorlight_i5",
    title="Colorlight i5 v7.0",
    platform="colorlight_i5",
    arguments={"25F": {"board": "i5", "revision": "7.0"}},
    parts={"25F": ecp5("LFE5U-25F-6BG381C")},
    spec={"25F": SMALL},
    oscillator=25_000_000,
    oscillator_pin="clk25",
    clock=40_000_000,
    baud=115_200,
    reset=Reset("cpu_reset_n", 0),
    memory="8 MiB SDRAM",
    loader="colorlight-i5",
    notes="Its Ethernet is not used: with it the device takes 103 % of the FPGA's LUTs.",
)
