"""Greg Davill's ButterStick: ECP5UM5G-85F, gigabit Ethernet, SYZYGY connectors."""

from dscim.boards.board import Board, Ethernet, Serial
from dscim.boards.parts import ecp5
from dscim.boards.sizes import LARGE, MIDDLE, SMALL

BOARD = Board(
    name="butterstick",
    title="GsD ButterStick r1.0",
    platform="gsd_butterstick",
    arguments={device: {"device": device} for device in ("85F", "45F", "25F")},
    parts={device: ecp5(f"LFE5UM5G-{device}-8BG381C") for device in ("85F", "45F", "25F")},
    spec={"85F": LARGE, "45F": MIDDLE, "25F": SMALL},
    oscillator=30_000_000,
    oscillator_pin="clk30",
    clock=75_000_000,
    serial=Serial(tx="SYZYGY0:S0", rx="SYZYGY0:S1"),
    ethernet=Ethernet(rx_delay=0),
    memory="1 GiB DDR3L",
    loader="",
    notes="The board has no UART: connect a 3.3 V adapter to pins S0 (its RX) and S1 (its TX) of "
    "SYZYGY port 0.",
)
