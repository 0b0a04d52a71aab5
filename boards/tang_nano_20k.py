"""Sipeed Tang Nano 20K: Gowin GW2AR-18, UART of the on-board debugger."""

from dscim.boards.board import Board
from dscim.boards.parts import gw2ar_18
from dscim.boards.sizes import SMALL

BOARD = Board(
    name="tang_nano_20k",
    title="Sipeed Tang Nano 20K",
    platform="sipeed_tang_nano_20k",
    arguments={"18C": {"toolchain": "apicula"}},
    parts={"18C": gw2ar_18("GW2AR-LV18QN88C8/I7")},
    spec={"18C": SMALL},
    oscillator=27_000_000,
    oscillator_pin="clk27",
    clock=27_000_000,
    baud=115_200,
    memory="8 MiB SDRAM",
    loader="tangnano20k",
)
