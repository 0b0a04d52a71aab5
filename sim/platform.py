"""The simulator as a LiteX platform: clock, pins of UART and Ethernet, a model of the PHY."""

from typing import Any

from liteeth.common import eth_phy_description
from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from litex.build.io import CRG
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import ClockDomain, ClockSignal, ResetSignal

_IO = [
    ("sys_clk", 0, Pins(1)),
    ("gated", 0, Subsignal("clk", Pins(4)), Subsignal("awake", Pins(4))),
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
    """The platform of a SoC for the simulator.

    `request("serial")` returns the pads of LiteX's `RS232PHYModel`, which every SoC must request;
    `request("eth")` those of `EthernetPhyModel`, which are optional. The harness drives them.
    """

    def __init__(self) -> None:
        GenericPlatform.__init__(self, "SIM", _IO, name="sim")

    def crg(self) -> CRG:
        """Clock domain `sys` from the harness's clock, reset for its first cycle."""
        return CRG(self.request("sys_clk"))


class EthernetPhyModel(LiteXModule):  # type: ignore[misc]
    """A PHY, 32 bits wide, for LiteEth's MAC; the harness is the line.

    pads: `SimPlatform.request("eth")`: 32-bit words, the first byte of the line in bits 7:0,
    `last_be` one-hot at the last byte of the last word and 0 elsewhere. Frames are complete: the
    MAC makes preamble, padding and FCS. Both directions wait for ready, so unlike on a real line
    nothing is lost. receive, transmit: the domains whose clocks become those of eth_rx and eth_tx:
    `sys`, or domains that leave out edges of its clock.

    | port   | dir | meaning                                      |
    |--------|-----|----------------------------------------------|
    | sink   | in  | eth_phy_description(32): words to the line   |
    | source | out | eth_phy_description(32): words from the line |
    """

    dw = 32

    def __init__(self, pads: Any, receive: str = "sys", transmit: str = "sys") -> None:
        self.sink = sink = stream.Endpoint(eth_phy_description(self.dw))
        self.source = source = stream.Endpoint(eth_phy_description(self.dw))

        # # #

        for name, clock in (("eth_rx", receive), ("eth_tx", transmit)):
            domain = ClockDomain(name)
            setattr(self, f"cd_{name}", domain)
            self.comb += [domain.clk.eq(ClockSignal(clock)), domain.rst.eq(ResetSignal(clock))]
        self.comb += [
            pads.source_valid.eq(sink.valid),
            pads.source_data.eq(sink.data),
            pads.source_last.eq(sink.last),
            pads.source_last_be.eq(sink.last_be),
            sink.ready.eq(pads.source_ready),
            source.valid.eq(pads.sink_valid),
            source.data.eq(pads.sink_data),
            source.last.eq(pads.sink_last),
            source.last_be.eq(pads.sink_last_be),
            pads.sink_ready.eq(source.ready),
        ]
