"""A model of an Ethernet PHY, 32 bits wide, between LiteEth's MAC and the simulator's pins."""

from typing import Any

from liteeth.common import eth_phy_description
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import ClockDomain, ClockSignal, ResetSignal


class EthernetPhyModel(LiteXModule):  # type: ignore[misc]
    """What LiteEth's MAC takes for a PHY; the harness is the line.

    pads: `SimPlatform.request("eth")`, 32-bit words, the first byte of the line in bits 7:0,
    `last_be` one-hot at the last byte of the last word and 0 elsewhere. Frames are whole: preamble,
    padding and FCS are the MAC's work. Both directions wait for ready, so nothing is lost here,
    unlike on a real line. receive, transmit: the domains whose clocks are those of eth_rx and
    eth_tx: `sys`, or some that leave out edges of its clock.

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
