"""A SoC small enough to compile in seconds: a UART bridge, an identifier, 64 KiB of memory; with
Ethernet also LiteEth's Etherbone and a UDP port that echoes."""

from pathlib import Path
from typing import Any

from liteeth.common import eth_udp_user_description
from litex.gen import LiteXModule
from litex.soc.cores.uart import RS232PHYModel, UARTBone
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCMini
from litex.soc.interconnect import wishbone
from litex.soc.interconnect.packet import PacketFIFO

from dscim.gateware.link.liteeth_fixes import Etherbone, UdpIpCore, fix_packet_fifo
from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT
from dscim.sim.elaborate import Design
from dscim.sim.platform import EthernetPhyModel
from dscim.sim.soc import LAN, MAC_ADDRESS

LITEETH_FREQ = 100_000_000  # it forgets the host's address after a second
CLK_FREQ = 1_000_000  # nominal: the bridge's time-out of 100 ms is 100,000 cycles
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


class Echo(LiteXModule):
    """Sends each datagram back, once it is whole, to the address and port that it came from."""

    def __init__(self, port: Any):
        words = 512
        self.fifo = fifo = fix_packet_fifo(
            PacketFIFO(eth_udp_user_description(32), words, param_depth=64)
        )

        # # #

        self.comb += [
            port.source.connect(fifo.sink),
            fifo.source.connect(port.sink, omit={"src_port", "dst_port", "error"}),
            port.sink.src_port.eq(fifo.source.dst_port),
            port.sink.dst_port.eq(fifo.source.src_port),
        ]


def build_with_ethernet(platform: Any) -> Any:
    """The toy SoC with LiteEth: Etherbone on ETHERBONE_PORT, Echo on FRAMES_PORT."""
    soc = build(platform)
    soc.ethernet_phy = EthernetPhyModel(platform.request("eth"))
    soc.ethernet = UdpIpCore(soc.ethernet_phy, MAC_ADDRESS, LAN.address, LITEETH_FREQ)
    soc.etherbone = Etherbone(soc.ethernet.udp, ETHERBONE_PORT, buffer_depth=256)
    soc.bus.add_master("etherbone", master=soc.etherbone.wishbone.bus)
    soc.echo = Echo(soc.ethernet.udp.crossbar.get_port(FRAMES_PORT, dw=32))
    return soc


def ethernet_design() -> Design:
    """The toy with Ethernet as a design."""
    return Design(
        "toy-eth", "toy", build_with_ethernet, [Path(__file__).with_name("toy")], CLK_FREQ, LAN
    )
