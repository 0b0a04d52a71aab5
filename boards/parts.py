"""The FPGAs of the boards, and what each holds."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    """An FPGA.

    name:        as it is ordered and as the tools take it.
    family:      "ecp5", "gowin" or "xilinx7": which flow makes its bitstream.
    lut4:        four-input tables (for xilinx7 its six-input ones).
    block_ram:   blocks of 18 kbit.
    multipliers: of 18 x 18 bits (25 x 18 for xilinx7).
    """

    name: str
    family: str
    lut4: int
    block_ram: int
    multipliers: int


_ECP5 = {"25F": (24288, 56, 28), "45F": (43848, 108, 72), "85F": (83640, 208, 156)}


def ecp5(name: str) -> Part:
    """The ECP5 ordered as `name`: LFE5U-25F-6BG381C and its like."""
    return Part(name, "ecp5", *_ECP5[name.split("-")[1]])


def gw2ar_18(name: str) -> Part:
    """The Gowin GW2AR-18 ordered as `name`."""
    return Part(name, "gowin", 20736, 46, 48)


def artix7_100t(name: str) -> Part:
    """The Xilinx Artix-7 100T ordered as `name`."""
    return Part(name, "xilinx7", 63400, 270, 240)
