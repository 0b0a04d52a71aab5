"""LiteX's FIFO of packets, repaired."""

from collections.abc import Iterator
from contextlib import contextmanager

import liteeth.core.icmp
import liteeth.frontend.etherbone
from litex.soc.interconnect import packet


class PacketFIFO(packet.PacketFIFO):
    """A FIFO of packets with parameters; a packet leaves when all of it is there.

    LiteX 2024.12's own, when it is full at a packet's last word, takes the parameters again in
    every cycle that the word waits: packets then have the parameters of others and wrong ends. In
    LiteEth's Etherbone, with a buffer of 256 words, two writes of 255 words one upon the other do
    that and stop it for good.

    | port   | dir | meaning                  |
    |--------|-----|--------------------------|
    | sink   | in  | layout: packets          |
    | source | out | layout: the same packets |
    """

    def __init__(self, layout, payload_depth, param_depth=None, buffered=False):
        packet.PacketFIFO.__init__(self, layout, payload_depth, param_depth, buffered)

        # # #

        sink = self.sink  # a later statement wins: with the last word or not at all
        self.comb += self.param_fifo.sink.valid.eq(
            sink.valid & sink.last & self.payload_fifo.sink.ready
        )


@contextmanager
def repaired() -> Iterator[None]:
    """Within, LiteEth's Etherbone and its answers to pings are built with this module's FIFO."""
    modules = (liteeth.frontend.etherbone, liteeth.core.icmp)
    for module in modules:
        module.PacketFIFO = PacketFIFO
    try:
        yield
    finally:
        for module in modules:
            module.PacketFIFO = packet.PacketFIFO
