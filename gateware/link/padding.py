"""LiteEth's padding of short frames, repaired."""

from collections.abc import Iterator
from contextlib import contextmanager

import liteeth.mac.core
from liteeth.common import eth_phy_description
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, If, Mux, NextState, Signal


class PaddingInserter(LiteXModule):
    """Pads frames to `padding` bytes; the last word may hold any number of them.

    LiteEth 2024.12's own module forgets to begin its count again after a frame that ends in the
    word of byte `padding` but before that byte: the next frame is then not padded at all. With 32
    bits, of two answers with 15 to 17 bytes of UDP data the second is shorter than Ethernet allows.

    | port   | dir | meaning                                                                      |
    |--------|-----|------------------------------------------------------------------------------|
    | sink   | in  | eth_phy_description(dw): frames from the MAC header on, without FCS          |
    | source | out | the same, at least `padding` bytes; padding is zeros or what was in the word |
    """

    def __init__(self, dw, padding):
        self.sink = sink = stream.Endpoint(eth_phy_description(dw))
        self.source = source = stream.Endpoint(eth_phy_description(dw))

        # # #

        words, rest = divmod(padding, dw // 8)
        assert rest == 0  # 60 bytes in words of 8, 16 or 32 bits
        full = 1 << (dw // 8 - 1)  # last_be of a full word
        count = Signal(max=words + 1)  # words of this frame that have moved, `words` for more
        moved = source.valid & source.ready

        self.fsm = fsm = FSM(reset_state="COPY")
        fsm.act(
            "COPY",
            sink.connect(source),
            If(
                sink.last & (count < words),
                source.last.eq(count == words - 1),
                source.last_be.eq(Mux(source.last, full, 0)),
                If(moved & ~source.last, NextState("PAD")),
            ),
        )
        fsm.act(
            "PAD",
            source.valid.eq(1),
            source.last.eq(count == words - 1),
            source.last_be.eq(Mux(source.last, full, 0)),
            If(moved & source.last, NextState("COPY")),
        )
        self.sync += If(
            moved, If(source.last, count.eq(0)).Elif(count < words, count.eq(count + 1))
        )


@contextmanager
def repaired() -> Iterator[None]:
    """Within, LiteEth's MAC is built with this module's padding."""
    module = liteeth.mac.core.padding
    own = module.LiteEthMACPaddingInserter
    module.LiteEthMACPaddingInserter = PaddingInserter
    try:
        yield
    finally:
        module.LiteEthMACPaddingInserter = own
