"""The SoC: a core on a Wishbone bus behind a UART bridge, without a CPU."""

from litex.soc.cores.uart import UARTBone
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCMini

from dscim.gateware import registers
from dscim.gateware.core import Core
from dscim.gateware.specs import SocSpec


class DscimSoC(SoCMini):
    """A dscim device on a LiteX platform.

    platform: a LiteX platform. spec: what is built. clk_freq: of the clock domain `sys`, in Hz.
    crg: makes the clock domain `sys`. phy: a UART's PHY (or a model of it), 8 bits a beat.
    """

    csr_map = {"core": registers.BANK_PAGE}  # noqa: RUF012 - LiteX reads it from the class

    def __init__(self, platform, spec: SocSpec, clk_freq: int, crg, phy):
        SoCMini.__init__(self, platform, clk_freq, csr_data_width=32, ident_version=False,
                         ident=f"dscim {registers.PROTOCOL} spec {spec.hash:08x}")
        self.crg = crg
        self.uart_phy = phy
        self.uartbone = UARTBone(phy, clk_freq)
        self.bus.add_master("uartbone", master=self.uartbone.wishbone)
        self.core = core = Core(spec)
        for name, base in registers.MEMORY_BASES.items():
            memory = core.memories[name]
            region = SoCRegion(origin=base, size=memory.width*memory.depth//8, mode="rw",
                               cached=False)
            self.bus.add_slave(name, memory.bus, region)
