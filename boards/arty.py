"""Digilent Arty A7-100T: sources and script for Vivado or openXC7."""

from dscim.boards.board import Board, Reset
from dscim.boards.parts import artix7_100t
from dscim.boards.sizes import LARGE

BOARD = Board(
    name="arty",
    title="Digilent Arty A7-100T",
    platform="digilent_arty",
    arguments={"a7-100": {"variant": "a7-100"}},
    parts={"a7-100": artix7_100t("xc7a100tcsg324-1")},
    spec={"a7-100": LARGE},
    oscillator=100_000_000,
    oscillator_pin="clk100",
    clock=75_000_000,
    reset=Reset("cpu_reset", 0),
    memory="256 MiB DDR3L",
    loader="arty_a7_100t",
    built=False,
    notes="No open tool from pip makes its bitstream: `dscim build arty` writes the sources and "
    "Vivado's script, which are untested. Its Ethernet is not used.",
)
