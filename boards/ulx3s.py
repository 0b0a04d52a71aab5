"""Radiona ULX3S: ECP5U-25F to -85F, FTDI UART, no Ethernet."""

from dscim.boards.board import Board
from dscim.boards.parts import ecp5
from dscim.boards.sizes import LARGE, MIDDLE, SMALL

BOARD = Board(
    name="ulx3s",
    title="Radiona ULX3S v2",
    platform="radiona_ulx3s",
    arguments={device: {"device": f"LFE5U-{device}"} for device in ("85F", "45F", "25F")},
    parts={device: ecp5(f"LFE5U-{device}-6BG381C") for device in ("85F", "45F", "25F")},
    spec={"85F": LARGE, "45F": MIDDLE, "25F": SMALL},
    oscillator=25_000_000,
    oscillator_pin="clk25",
    clock=40_000_000,
    high=("wifi_gpio0",),  # or its ESP32 resets the FPGA
    memory="32 MiB SDRAM",
    loader="ulx3s",
)
