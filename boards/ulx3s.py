"""Radiona ULX3S: ECP5U-12F to -85F, FTDI UART, no Ethernet."""

from dscim.boards.board import Board
from dscim.boards.parts import ecp5
from dscim.gateware.specs import MacroSpec, SocSpec

BOARD = Board(
    name="ulx3s",
    title="Radiona ULX3S v2",
    platform="radiona_ulx3s",
    arguments={device: {"device": f"LFE5U-{device}"} for device in ("85F", "45F", "25F")},
    parts={device: ecp5(f"LFE5U-{device}-6BG381C") for device in ("85F", "45F", "25F")},
    spec={"85F": SocSpec(MacroSpec(columns=32), exact=False),
          "45F": SocSpec(MacroSpec(columns=16), exact=False, activation_words=4096),
          "25F": SocSpec(MacroSpec(columns=4), exact=False, activation_words=2048)},
    oscillator=25_000_000,
    oscillator_pin="clk25",
    clock=50_000_000,
    high=("wifi_gpio0",),  # or its ESP32 resets the FPGA
    memory="32 MiB SDRAM",
    loader="ulx3s",
)
