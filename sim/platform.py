"""The simulator as a LiteX platform: a clock, and what is behind the PHYs of UART and Ethernet."""

from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from litex.build.io import CRG

_IO = [
    ("sys_clk", 0, Pins(1)),
    ("sleepers", 0, Subsignal("clk", Pins(4)), Subsignal("awake", Pins(4))),
    (
        "serial",
        0,
        Subsignal("source_valid", Pins(1)),  # source: bytes from the SoC to the host
        Subsignal("source_ready", Pins(1)),
        Subsignal("source_data", Pins(8)),
        Subsignal("sink_valid", Pins(1)),  # sink: bytes from the host to the SoC
        Subsignal("sink_ready", Pins(1)),
        Subsignal("sink_data", Pins(8)),
    ),
    (
        "eth",
        0,
        Subsignal("source_valid", Pins(1)),  # source: words from the SoC to the host
        Subsignal("source_ready", Pins(1)),
        Subsignal("source_data", Pins(32)),
        Subsignal("source_last", Pins(1)),
        Subsignal("source_last_be", Pins(4)),
        Subsignal("sink_valid", Pins(1)),  # sink: words from the host to the SoC
        Subsignal("sink_ready", Pins(1)),
        Subsignal("sink_data", Pins(32)),
        Subsignal("sink_last", Pins(1)),
        Subsignal("sink_last_be", Pins(4)),
    ),
]


class SimPlatform(GenericPlatform):  # type: ignore[misc]
    """What a SoC for the simulator is built on.

    `request("serial")` gives the pads of LiteX's `RS232PHYModel`, which a SoC that is simulated
    must ask for; `request("eth")` those of `EthernetPhyModel`, which it may. The harness drives
    them.
    """

    def __init__(self) -> None:
        GenericPlatform.__init__(self, "SIM", _IO, name="sim")

    def crg(self) -> CRG:
        """Clock domain `sys` from the harness's clock, reset for its first cycle."""
        return CRG(self.request("sys_clk"))
