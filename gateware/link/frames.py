"""Frames between a carrier's bytes and the engine's words: received, checked, stored, sent."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Mux, Signal

from dscim.gateware.link.crc32 import BYTES, CHECKED_BYTES, Crc32Checker, Crc32Inserter
from dscim.gateware.link.protocol import HEADER_WORDS, MAX_WORDS, Kind
from dscim.gateware.link.ring import Ring

WORDS = stream.EndpointDescription([("data", 32)])
"""A frame without its CRC: header, data; `last` ends it."""

RING_DEPTH = 1024
"""Words of waiting frames: more than three of the longest."""


class FrameShape(LiteXModule):
    """The place of a word in its frame, from the count in the frame's first word.

    | port     | dir | meaning                                                          |
    |----------|-----|------------------------------------------------------------------|
    | word     | in  | the next word of the frame                                       |
    | take     | in  | the word is valid                                                |
    | clear    | in  | after it, or instead of it, a new frame starts                   |
    | index    | out | its place, from 0; stays at `end`                                |
    | end      | out | place of the CRC; valid from the second word on                  |
    | final    | out | the word is the last one before the CRC                          |
    | too_long | out | there were words after the CRC's place before this one           |
    | whole    | out | the word is the CRC: the frame may end with it                   |
    """

    def __init__(self):
        self.word, self.take, self.clear = Signal(32), Signal(), Signal()
        self.index = index = Signal(max=HEADER_WORDS + MAX_WORDS + 1)
        self.end = end = Signal(len(index), reset=HEADER_WORDS)
        self.final, self.too_long, self.whole = Signal(), Signal(), Signal()

        # # #

        self.comb += [
            self.final.eq(index == end - 1),
            self.whole.eq((index == end) & ~self.too_long),
        ]
        self.sync += [
            If(
                self.take,
                If(index == end, self.too_long.eq(1)).Else(index.eq(index + 1)),
                If(index == 0, end.eq(HEADER_WORDS + _words_of_data(self.word))),
            ),
            If(self.clear, index.eq(0), end.eq(HEADER_WORDS), self.too_long.eq(0)),
        ]


class FrameReceiver(LiteXModule):
    """Takes a carrier's bytes and outputs whole valid frames in words, with header, without CRC.

    A valid frame waits in a ring for the engine while the next ones arrive. Others are dropped.

    | port    | dir | meaning                                                                  |
    |---------|-----|--------------------------------------------------------------------------|
    | sink    | in  | data, error, `last`: a frame's bytes, CRC included                       |
    | source  | out | data: its words, the lowest byte first on the carrier; `last`            |
    | taken   | out | in the cycle of the last byte: the frame is valid                        |
    | dropped | out | in the cycle of the last byte: it is not (length, CRC or `error`)        |
    """

    def __init__(self):
        self.sink = sink = stream.Endpoint(CHECKED_BYTES)
        self.source = source = stream.Endpoint(WORDS)
        self.taken, self.dropped = Signal(), Signal()

        # # #

        self.checker = checker = Crc32Checker()
        self.ring = ring = Ring(33, RING_DEPTH)
        self.shape = shape = FrameShape()
        checked = checker.source
        phase, early = Signal(2), Signal(24)
        full, used = Signal(), Signal.like(ring.freed)
        self.comb += [
            sink.connect(checker.sink),
            full.eq(phase == 3),
            shape.word.eq(Cat(early, checked.data)),
            shape.take.eq(checked.valid & checked.ready & full),
            shape.clear.eq(checked.valid & checked.ready & checked.last),
            ring.write.adr.eq(ring.committed + shape.index),
            used.eq(ring.write.adr - ring.freed),
            checked.ready.eq(used != RING_DEPTH - 1),
            ring.write.dat_w.eq(Cat(shape.word, shape.final)),
            ring.write.we.eq(shape.take & ~shape.too_long),
            If(
                checked.valid & checked.ready & checked.last,
                self.taken.eq(full & shape.whole & ~checked.error),
                self.dropped.eq(~self.taken),
            ),
            ring.source.connect(source, omit={"data", "last"}),
            Cat(source.data, source.last).eq(ring.source.data),
        ]
        self.sync += If(
            checked.valid & checked.ready,
            phase.eq(phase + 1),
            early.eq(shape.word[8:]),
            If(
                checked.last,
                phase.eq(0),
                If(self.taken, ring.committed.eq(ring.committed + shape.end)),
            ),
        )


def _words_of_data(first: Signal):
    """The number of data words, from a frame's first word: its count, but 0 for a READ."""
    return Mux(first[:8] == Kind.READ, 0, first[8:16])


class FrameSender(LiteXModule):
    """Converts an answer's words to bytes for a carrier, lowest first, and appends the CRC.

    | port   | dir | meaning                                       |
    |--------|-----|-----------------------------------------------|
    | sink   | in  | data: header and data in words; `last`        |
    | source | out | data: the frame's bytes, CRC included; `last` |
    """

    def __init__(self):
        self.sink = stream.Endpoint(WORDS)
        self.source = stream.Endpoint(BYTES)

        # # #

        self.converter = stream.Converter(32, 8)
        self.inserter = Crc32Inserter()
        self.pipeline = stream.Pipeline(self.sink, self.converter, self.inserter, self.source)
