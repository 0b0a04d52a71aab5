"""The dscim SoC as a design to simulate."""

from pathlib import Path
from typing import Any

from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT
from dscim.gateware.specs import SocSpec
from dscim.sim.elaborate import Design, Lan

CLK_FREQ = 1_000_000
"""Nominal: it makes UARTBone's time-out of 100 ms last 100,000 cycles."""

MAC_ADDRESS = 0x10E2_D500_0001
LAN = Lan("192.168.1.50", (ETHERBONE_PORT, FRAMES_PORT))
"""The simulated device on Ethernet."""


def soc_design(spec: SocSpec, ethernet: bool = False, scope: bool = False) -> Design:
    """The SoC of `spec` with its UART at the byte level.

    ethernet: also on Ethernet. scope: with LiteScope.
    """

    def build(platform: Any) -> Any:
        from litex.soc.cores.uart import RS232PHYModel  # noqa: PLC0415  Migen is slow to import

        from dscim.gateware.link.ethernet import EthernetPort  # noqa: PLC0415
        from dscim.gateware.soc import DscimSoC  # noqa: PLC0415
        from dscim.sim.gated_domains import (  # noqa: PLC0415
            ENGINE,
            RECEIVE,
            TRANSMIT,
            GatedDomains,
        )
        from dscim.sim.platform import EthernetPhyModel  # noqa: PLC0415

        port = None
        if ethernet:
            phy = EthernetPhyModel(platform.request("eth"), RECEIVE, TRANSMIT)
            port = EthernetPort(phy, MAC_ADDRESS, LAN.address)
        soc = DscimSoC(
            platform,
            spec,
            CLK_FREQ,
            platform.crg(),
            RS232PHYModel(platform.request("serial")),
            port,
            ENGINE,
            scope,
        )
        soc.gated = gated = GatedDomains(platform.request("gated"))
        gated.add_engine(soc.core.engine)
        if port is not None:
            gated.add_ethernet(soc.ethernet_carrier, port.phy)
        return soc

    name, lan = ("dscim-eth", LAN) if ethernet else ("dscim", None)
    key = f"{spec.hash:08x}" + (" scope" if scope else "")
    return Design(name, key, build, [_gateware()], CLK_FREQ, lan)


def _gateware() -> Path:
    import dscim.gateware  # noqa: PLC0415

    return Path(dscim.gateware.__file__).parent
