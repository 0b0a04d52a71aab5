"""The link as Verilog, for counting its cells with `dscim.host.fpga.cells.area`.

It is everything between the PHYs and the bus, including the parts from LiteX and LiteEth.
"""

from liteeth.common import eth_phy_description
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import ClockDomain

from dscim.gateware import registers
from dscim.gateware.link.ethernet import EthernetCarrier, EthernetPort
from dscim.gateware.link.link import Link
from dscim.gateware.link.reach import Region
from dscim.gateware.link.uart import UartCarrier
from dscim.sim.verilog import to_verilog

CLK_FREQ = 75_000_000
REGION_BYTES = 65536


class _Phy(LiteXModule):
    """The endpoints of a PHY, without the PHY itself."""

    def __init__(self, layout, dw: int):
        self.dw = dw
        self.sink, self.source = stream.Endpoint(layout), stream.Endpoint(layout)


def link_verilog(ethernet: bool) -> str:
    """The link as Verilog module `macro`, for an 8-bit UART PHY and a 32-bit Ethernet PHY."""
    module = LiteXModule()
    module.cd_sys = ClockDomain()
    domains, phys = [module.cd_sys], [_Phy([("data", 8)], 8)]
    module.uart = uart = UartCarrier(phys[0], CLK_FREQ)
    carriers, masters = [uart], [uart.wishbone]
    if ethernet:
        module.cd_eth_rx, module.cd_eth_tx = ClockDomain("eth_rx"), ClockDomain("eth_tx")
        domains += [module.cd_eth_rx, module.cd_eth_tx]
        phys.append(_Phy(eth_phy_description(32), 32))
        module.ethernet = carrier = EthernetCarrier(
            EthernetPort(phys[1], 0x10E2_D500_0001, "192.168.1.50"), CLK_FREQ
        )
        carriers.append(carrier)
        masters.append(carrier.etherbone.wishbone)
    regions = [Region(base, REGION_BYTES, memory=True) for base in registers.MEMORY_BASES.values()]
    module.link = link = Link(CLK_FREQ, 0, regions, carriers)
    counters = [
        getattr(link.bank, register.name).fields.value for register in registers.LINK_REGISTERS
    ]
    records = [end for phy in phys for end in (phy.sink, phy.source)]
    ports = {
        signal for record in [*records, *masters, link.engine.bus] for signal in record.flatten()
    }
    ports |= {signal for domain in domains for signal in (domain.clk, domain.rst)}
    return to_verilog(module, ports | {link.locked, *counters}, "macro").text
