"""Frames between a carrier's bytes and the engine's words: checked, stored, built."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Mux, Signal

from dscim.gateware.link.crc32 import BYTES, CHECKED_BYTES, Crc32Checker, Crc32Inserter
from dscim.gateware.link.protocol import HEADER_WORDS, MOST_WORDS, Kind
from dscim.gateware.link.ring import Ring

WORDS = stream.EndpointDescription([("data", 32)])
"""A frame without its CRC: header, data; `last` ends it."""

RING_DEPTH = 1024
"""Words of frames that wait: more than three of the longest."""


class FrameReceiver(LiteXModule):
    """Takes a carrier's bytes, gives whole right frames in words, with header and without CRC.

    A right frame waits in a ring for the engine while the next ones arrive; any other one leaves
    no trace there.

    | port    | dir | meaning                                                                  |
    |---------|-----|--------------------------------------------------------------------------|
    | sink    | in  | data, error, `last`: a frame's bytes, CRC included                       |
    | source  | out | data: its words, the lowest byte first on the carrier; `last`            |
    | taken   | out | in the cycle of the last byte: the frame is right                        |
    | dropped | out | in the cycle of the last byte: it is not (length, CRC or `error`)        |
    """

    def __init__(self):
        self.sink = sink = stream.Endpoint(CHECKED_BYTES)
        self.source = source = stream.Endpoint(WORDS)
        self.taken, self.dropped = Signal(), Signal()

        # # #

        self.checker = checker = Crc32Checker()
        self.ring = ring = Ring(33, RING_DEPTH)
        checked = checker.source
        index = Signal(max=HEADER_WORDS + MOST_WORDS + 1)  # of the word that is assembled
        end = Signal(len(index), reset=HEADER_WORDS)  # the CRC's, known from the first word on
        phase, early, word = Signal(2), Signal(24), Signal(32)
        full, too_long, used = Signal(), Signal(), Signal.like(ring.freed)
        self.comb += [
            sink.connect(checker.sink),
            word.eq(Cat(early, checked.data)),
            full.eq(phase == 3),
            ring.write.adr.eq(ring.committed + index),
            used.eq(ring.write.adr - ring.freed),
            checked.ready.eq(used != RING_DEPTH - 1),
            ring.write.dat_w.eq(Cat(word, index == end - 1)),
            ring.write.we.eq(checked.valid & checked.ready & full & ~too_long),
            If(checked.valid & checked.ready & checked.last,
                self.taken.eq(full & (index == end) & ~too_long & ~checked.error),
                self.dropped.eq(~self.taken)
            ),
            ring.source.connect(source, omit={"data", "last"}),
            Cat(source.data, source.last).eq(ring.source.data),
        ]
        self.sync += If(checked.valid & checked.ready,
            phase.eq(phase + 1),
            early.eq(word[8:]),
            If(full,
                If(index == end, too_long.eq(1)).Else(index.eq(index + 1)),
                If(index == 0, end.eq(HEADER_WORDS + _words_of_data(word)))
            ),
            If(checked.last,
                phase.eq(0),
                index.eq(0),
                end.eq(HEADER_WORDS),
                too_long.eq(0),
                If(self.taken, ring.committed.eq(ring.committed + end))
            )
        )


def _words_of_data(first: Signal):
    """From a frame's first word: its count, but that a READ has none with it."""
    return Mux(first[:8] == Kind.READ, 0, first[8:16])


class FrameSender(LiteXModule):
    """Gives an answer's words to a carrier as bytes, the lowest first, with their CRC.

    | port   | dir | meaning                                    |
    |--------|-----|--------------------------------------------|
    | sink   | in  | data: header and data in words; `last`     |
    | source | out | data: the frame's bytes, CRC included; `last` |
    """

    def __init__(self):
        self.sink = stream.Endpoint(WORDS)
        self.source = stream.Endpoint(BYTES)

        # # #

        self.converter = stream.Converter(32, 8)
        self.inserter = Crc32Inserter()
        self.pipeline = stream.Pipeline(self.sink, self.converter, self.inserter, self.source)
