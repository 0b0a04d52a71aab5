"""The FPGAs of the boards and their resources."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
    """An FPGA.

    name:        part number, as the tools take it.
    family:      "ecp5", "gowin" or "xilinx7": the flow that makes its bitstream.
    lut4:        number of four-input LUTs (six-input ones for xilinx7).
    block_ram:   number of blocks of 18 kbit.
    multipliers: number of 18 x 18 multipliers (25 x 18 for xilinx7).
    """

    name: str
    family: str
    lut4: int
    block_ram: int
    multipliers: int


_ECP5 = {"25F": (24288, 56, 28), "45F": (43848, 108, 72), "85F": (83640, 208, 156)}


def ecp5(name: str) -> Part:
    """The ECP5 with part number `name`, such as LFE5U-25F-6BG381C."""
    return Part(name, "ecp5", *_ECP5[name.split("-")[1]])


def gw2ar_18(name: str) -> Part:
    """The Gowin GW2AR-18 with part number `name`."""
    return Part(name, "gowin", 20736, 46, 48)


def artix7_100t(name: str) -> Part:
    """The Xilinx Artix-7 100T with part number `name`."""
    return Part(name, "xilinx7", 63400, 270, 240)
