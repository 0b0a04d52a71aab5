"""The SoC: a core on a Wishbone bus, without CPU. A UART carries frames and UARTBone; Ethernet, if
there is any, carries frames and Etherbone."""

from importlib.util import find_spec

from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCMini
from migen import Signal

from dscim.gateware import probes, registers
from dscim.gateware.core import Core
from dscim.gateware.link.ethernet import EthernetCarrier, EthernetPort
from dscim.gateware.link.link import Link
from dscim.gateware.link.reach import Region
from dscim.gateware.link.uart import UartCarrier
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.base import require


class DscimSoC(SoCMini):
    """A dscim device on a LiteX platform.

    platform: a LiteX platform. spec: what is built. clk_freq: of the clock domain `sys`, in Hz.
    crg: makes the clock domain `sys`. phy: a UART's PHY (or a model of it), 8 bits per beat.
    ethernet: an Ethernet PHY (or a model of it) and the SoC's addresses on Ethernet.
    engine_domain: see `Core`; the caller makes any domain other than `sys`.
    scope: with LiteScope on the signals of `probes`; requires the package litescope.
    """

    csr_map = {  # noqa: RUF012 - LiteX reads it from the class
        "core": registers.BANK_PAGE,
        "identifier_mem": registers.IDENTIFIER_PAGE,
        "link": registers.LINK_PAGE,
    }

    def __init__(
        self,
        platform,
        spec: SocSpec,
        clk_freq: int,
        crg,
        phy,
        ethernet: EthernetPort | None = None,
        engine_domain: str = "sys",
        scope: bool = False,
    ):
        SoCMini.__init__(
            self,
            platform,
            clk_freq,
            csr_data_width=32,
            ident_version=False,
            ident=f"dscim {registers.PROTOCOL} spec {spec.hash:08x}",
        )
        self.crg = crg
        self.core = core = Core(spec, engine_domain)
        reached = self._add_memories()
        pages = [page * self.csr.paging for page in self.csr_map.values()]
        if scope:
            self._add_scope()
            pages.append(probes.BASE)
        reached += [Region(page, self.csr.paging, memory=False) for page in pages]
        self.uart_phy = phy
        self.uart_carrier = uart = UartCarrier(phy, clk_freq)
        carriers, masters = [uart], {"uartbone": uart.wishbone}
        if ethernet is not None:
            self.ethernet_phy = ethernet.phy
            self.ethernet_carrier = carrier = EthernetCarrier(ethernet, clk_freq)
            carriers.append(carrier)
            masters["etherbone"] = carrier.etherbone.wishbone
        self.link = link = Link(clk_freq, spec.hash, reached, carriers)
        self.comb += link.locked.eq(core.engine.busy)
        for name, master in {**masters, "frames": link.engine.bus}.items():
            self.bus.add_master(name, master=master)

    def _add_memories(self) -> list[Region]:
        """Puts the core's memories on the bus; returns their regions."""
        regions = []
        for name, base in registers.MEMORY_BASES.items():
            memory = self.core.memories[name]
            size = memory.banks * memory.width * memory.depth // 8
            self.bus.add_slave(name, memory.bus, SoCRegion(base, size, mode="rw", cached=False))
            regions.append(Region(base, size, memory=True))
        return regions

    def _add_scope(self):
        """Adds LiteScope; SpecError if it is not installed."""
        require(
            find_spec("litescope") is not None,
            "LiteScope is not installed; run `pip install 'dscim[build]'`.",
        )
        self.csr.add("scope", n=probes.PAGE)
        self.scope = _scope(self.core)

    def add_csr_bridge(self, name: str = "csr", origin: int | None = None, register: bool = True):
        """LiteX's bridge, always with registers; LiteX has them only with an SDRAM."""
        SoCMini.add_csr_bridge(self, name, origin, register=True)


def _scope(core: Core):
    """LiteScope on the signals of `probes`, in `sys`; its registers are `probes.REGISTERS`."""
    from litescope import LiteScopeAnalyzer  # noqa: PLC0415  only with --scope

    engine, memory = core.engine, core.memories["activations"]
    fsm, units, outputs = engine.fsm, engine.units, engine.requantiser.sink
    seen = {
        "start": engine.start,
        "busy": engine.busy,
        "error": engine.error,
        "place": engine.place,
        "setup": fsm.ongoing("SETUP"),
        "loading": engine.loader.tiles.valid,
        "windows": fsm.ongoing("RUN"),
        "weights_valid": units.weights.valid,
        "weights_ready": units.weights.ready,
        "activations_valid": units.words.valid,
        "activations_ready": units.words.ready,
        "computing": units.computing,
        "sums_valid": units.products.valid,
        "sums_ready": units.products.ready,
        "outputs_valid": outputs.valid,
        "outputs_ready": outputs.ready,
        "read": memory.read.re,
        "written": memory.write.we != 0,
    }
    signals = [Signal(probe.width, name=f"probe_{probe.name}") for probe in probes.PROBES]
    scope = LiteScopeAnalyzer(
        signals, probes.SAMPLES, clock_domain="sys", register=True, csr_csv=None
    )
    scope.comb += [
        signal.eq(seen[probe.name]) for signal, probe in zip(signals, probes.PROBES, strict=True)
    ]
    return scope
