"""Which datagrams are valid, checked word by word."""

from litex.gen import LiteXModule
from migen import If, Mux, Signal

from dscim.gateware.link.crc32 import RESIDUE, START, advance
from dscim.gateware.link.frames import FrameShape

PROBE_WORDS = 3
"""Words of a probe: two of header, one of padding."""

NOWHERE = 511
"""No word of a valid datagram has this place."""


class Rule(LiteXModule):
    """Checks datagrams word by word.

    | port  | dir | meaning                                                              |
    |-------|-----|----------------------------------------------------------------------|
    | word  | in  | the next word of the datagram                                        |
    | take  | in  | the word is valid                                                    |
    | clear | in  | it is the last word                                                  |
    | kept  | out | the word is passed on                                                |
    | final | out | it is the last one that is passed on                                 |
    | right | out | with the last word: the datagram is valid                            |
    """

    def __init__(self):
        self.word, self.take, self.clear = Signal(32), Signal(), Signal()
        self.kept, self.final, self.right = Signal(), Signal(), Signal()


class FrameRule(Rule):
    """One frame, from its header to a correct CRC; the CRC is not passed on."""

    def __init__(self):
        Rule.__init__(self)

        # # #

        self.shape = shape = FrameShape()
        crc, mixed, following = Signal(32, reset=START), Signal(32), Signal(32)
        self.comb += [
            shape.word.eq(self.word),
            shape.take.eq(self.take),
            shape.clear.eq(self.clear),
            mixed.eq(crc ^ self.word),
            following.eq(advance(mixed, 32)),
            self.kept.eq(shape.index != shape.end),
            self.final.eq(shape.final),
            self.right.eq(shape.whole & (following == RESIDUE)),
        ]
        self.sync += If(self.clear, crc.eq(START)).Elif(self.take, crc.eq(following))


class EtherboneRule(Rule):
    """A probe, or one record that only writes or only reads, as long as its counts say.

    LiteEth does not check this, and in a record that does both it reads from the return address.
    The header: 0x4E6F, version 1, flags, 32-bit addresses and data; a word of padding; the
    record's flags (none but "cycle"), byte enables, words written, words read.
    """

    def __init__(self):
        Rule.__init__(self)

        # # #

        place, good, probe = Signal(9), Signal(), Signal()
        end = Signal(len(place), reset=NOWHERE)  # place of the last word, once known
        word = self.word
        writes, reads = word[16:24], word[24:32]
        self.comb += [
            self.kept.eq(1),
            self.final.eq(place == end),
            self.right.eq(good & self.final & (place != NOWHERE)),
        ]
        self.sync += [
            If(
                self.take,
                place.eq(place + (place != NOWHERE)),
                If(
                    place == 0,
                    good.eq((word[:16] == 0x6F4E) & (word[20:] == 0x441) & ~word[17]),
                    probe.eq(word[16]),
                    end.eq(Mux(word[16], PROBE_WORDS - 1, NOWHERE)),
                ).Elif(
                    (place == 2) & ~probe,
                    good.eq(good & ((writes == 0) ^ (reads == 0)) & ((word[:8] & 0xEF) == 0)),
                    end.eq(3 + (writes | reads)),
                ),
            ),
            If(self.clear, place.eq(0), good.eq(0), probe.eq(0)),
        ]
