"""A SoC small enough to compile in seconds: a UART bridge, an identifier, 64 KiB of memory."""

from pathlib import Path
from typing import Any

from litex.soc.cores.uart import RS232PHYModel, UARTBone
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCMini
from litex.soc.interconnect import wishbone

from dscim.sim.elaborate import Design

CLK_FREQ = 1_000_000  # declared, not real: the bridge's time-out of 100 ms is 100,000 cycles
MEMORY = 0x1000_0000
MEMORY_BYTES = 65536
MAGIC = 0x4453_434D
MAGIC_ADDRESS = 0x2000_0000


def build(platform: Any) -> Any:
    """The toy SoC on `platform`: memory at MEMORY, the word MAGIC at MAGIC_ADDRESS."""
    soc = SoCMini(platform, CLK_FREQ, ident="toy", ident_version=False)
    soc.crg = platform.crg()
    soc.uartbone_phy = RS232PHYModel(platform.request("serial"))
    soc.uartbone = UARTBone(soc.uartbone_phy, CLK_FREQ)
    soc.bus.add_master("uartbone", master=soc.uartbone.wishbone)
    soc.memory = wishbone.SRAM(MEMORY_BYTES, bus=wishbone.Interface(addressing="word"))
    soc.bus.add_slave("memory", soc.memory.bus, SoCRegion(MEMORY, MEMORY_BYTES))
    soc.magic = wishbone.SRAM(
        8, read_only=True, init=[MAGIC, 0], bus=wishbone.Interface(addressing="word")
    )
    soc.bus.add_slave("magic", soc.magic.bus, SoCRegion(MAGIC_ADDRESS, 4096))
    return soc


def design(key: str = "toy") -> Design:
    """The toy as a design; another `key` is another design to the cache."""
    return Design("toy", key, build, [Path(__file__).with_name("toy")], CLK_FREQ)
