"""LiteEth's answers to pings, repaired."""

from collections.abc import Iterator
from contextlib import contextmanager

import liteeth.core.icmp
from liteeth.core.icmp import LiteEthICMPEcho
from migen import If, Mux, Signal


class Echo(LiteEthICMPEcho):
    """Answers one ping at a time; one that comes before the answer has left is dropped.

    LiteEth 2024.12's own lets it wait, and with it all that comes behind: also the answer of ARP,
    without which the first one never leaves.

    | port   | dir | meaning                                    |
    |--------|-----|--------------------------------------------|
    | sink   | in  | eth_icmp_user_description(dw): questions   |
    | source | out | the same: answers                          |
    """

    def __init__(self, dw: int, fifo_depth: int):
        LiteEthICMPEcho.__init__(self, dw, fifo_depth)

        # # #

        sink, buffer = self.sink, self.buffer
        first, refused, refuse = Signal(reset=1), Signal(), Signal()
        self.comb += [
            refuse.eq(Mux(first, buffer.source.valid, refused)),
            If(refuse, buffer.sink.valid.eq(0), sink.ready.eq(1)),  # a later statement wins
        ]
        self.sync += If(sink.valid & sink.ready, first.eq(sink.last), refused.eq(refuse))


@contextmanager
def repaired() -> Iterator[None]:
    """Within, LiteEth is built with this module's Echo."""
    module = liteeth.core.icmp
    module.LiteEthICMPEcho = Echo
    try:
        yield
    finally:
        module.LiteEthICMPEcho = LiteEthICMPEcho
