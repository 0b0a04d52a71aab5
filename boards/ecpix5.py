"""LambdaConcept ECPIX-5: ECP5UM5G-45F or -85F, FTDI UART, gigabit Ethernet."""

from dscim.boards.board import Board, Ethernet, Reset
from dscim.boards.parts import ecp5
from dscim.boards.sizes import LARGE, MIDDLE

BOARD = Board(
    name="ecpix5",
    title="LambdaConcept ECPIX-5",
    platform="lambdaconcept_ecpix5",
    arguments={"85F": {"device": "85F"}, "45F": {"device": "45F"}},
    parts={"85F": ecp5("LFE5UM5G-85F-8BG554I"), "45F": ecp5("LFE5UM5G-45F-8BG554I")},
    spec={"85F": LARGE, "45F": MIDDLE},
    oscillator=100_000_000,
    oscillator_pin="clk100",
    clock=75_000_000,  # an aim: not yet built with the present device
    reset=Reset("rst_n", 0),
    ethernet=Ethernet(rx_delay=0),
    memory="512 MiB DDR3",
    loader="ecpix5",
)
