"""The dscim SoC as a design to simulate."""

from pathlib import Path
from typing import Any

from dscim.gateware.specs import SocSpec
from dscim.sim.elaborate import Design

CLK_FREQ = 1_000_000
"""Declared, not real: UARTBone's time-out of 100 ms is then 100,000 cycles."""

def soc_design(spec: SocSpec) -> Design:
    """The SoC of `spec`, its UART's bytes behind the PHY."""

    def build(platform: Any) -> Any:
        from litex.soc.cores.uart import RS232PHYModel  # noqa: PLC0415  Migen is slow to import

        from dscim.gateware.soc import DscimSoC  # noqa: PLC0415
        from dscim.sim.engine_clock import EngineClock  # noqa: PLC0415
        phy = RS232PHYModel(platform.request("serial"))
        soc = DscimSoC(platform, spec, CLK_FREQ, platform.crg(), phy, EngineClock.DOMAIN)
        soc.engine_clock = EngineClock(platform.request("engine"), soc.core.engine)
        return soc

    return Design("dscim", f"{spec.hash:08x}", build, [_gateware()], CLK_FREQ)


def _gateware() -> Path:
    import dscim.gateware  # noqa: PLC0415

    return Path(dscim.gateware.__file__).parent
