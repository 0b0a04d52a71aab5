"""Sends answers: header, then data."""

from collections.abc import Sequence

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Array, Case, Cat, If, NextState, NextValue, Record, Signal

from dscim.gateware.link.frames import WORDS
from dscim.gateware.link.protocol import HEADER_WORDS, Kind

OUT_DEPTH = 4
"""Words of an answer that are read ahead of the carrier."""

OPENED_WORDS = 5
"""Data words of OPENED: boot number, identity, window, lease, sessions opened."""


class Answerer(LiteXModule):
    """Sends one answer after another.

    opened: the data of OPENED. The data of REFUSED is `reason`; that of DATA comes from the bus.

    | port    | dir | meaning                                                           |
    |---------|-----|-------------------------------------------------------------------|
    | header  | in  | kind, count, sequence, session, address: stable until `done`      |
    | reason  | in  | stable until `done`                                               |
    | start   | in  | high until `done`                                                 |
    | done    | out | the answer has been accepted; the next may start                  |
    | wanted  | out | requests the next word from the bus; high until it arrives        |
    | came    | in  | the word arrives in this cycle                                    |
    | word    | in  | the word                                                          |
    | source  | out | data: the answer's words; `last`                                  |
    | empty   | out | no word of an answer is waiting                                   |
    """

    def __init__(self, opened: Sequence):
        self.header = header = Record(
            [("kind", 8), ("count", 8), ("sequence", 16), ("session", 32), ("address", 32)]
        )
        self.reason = Signal(3)
        self.start, self.done = Signal(), Signal()
        self.wanted, self.came, self.word = Signal(), Signal(), Signal(32)
        self.source = stream.Endpoint(WORDS)
        self.empty = Signal()

        # # #

        # A register before the memory, because the bus's data arrive late in their cycle.
        self.register = register = stream.Buffer(WORDS)
        self.fifo = fifo = stream.SyncFIFO(WORDS.payload_layout, OUT_DEPTH)
        out, place = register.sink, Signal(8)
        heads = [Cat(header.kind, header.count, header.sequence), header.session, header.address]
        from_bus, last, valid = Signal(), Signal(), Signal()
        self.comb += [
            register.source.connect(fifo.sink),
            fifo.source.connect(self.source),
            self.empty.eq(~register.source.valid & ~fifo.source.valid),
        ]
        self.fsm = fsm = FSM(reset_state="HEADER")
        in_data = fsm.ongoing("DATA")
        self.comb += [
            from_bus.eq(in_data & (header.kind == Kind.DATA)),
            self.wanted.eq(from_bus & out.ready),  # stays until the word has arrived
            If(
                in_data,
                last.eq(place == header.count - 1),
                valid.eq(~from_bus | self.came),
                Case(
                    header.kind,
                    {
                        Kind.DATA: out.data.eq(self.word),
                        Kind.OPENED: out.data.eq(
                            Array(opened)[place[: (len(opened) - 1).bit_length()]]
                        ),
                        "default": out.data.eq(self.reason),
                    },
                ),
            ).Else(
                last.eq((place == HEADER_WORDS - 1) & (header.count == 0)),
                valid.eq(self.start),
                out.data.eq(Array(heads)[place[:2]]),
            ),
            out.valid.eq(valid),
            out.last.eq(last),
            self.done.eq(valid & out.ready & last),
        ]
        self._count(fsm, place, valid & out.ready, last)

    def _count(self, fsm: FSM, place: Signal, sent, last):
        """Counts the words of the header, then those of the data, if any, in `place`."""
        fsm.act(
            "HEADER",
            If(
                sent,
                NextValue(place, place + 1),
                If(place == HEADER_WORDS - 1, NextValue(place, 0), If(~last, NextState("DATA"))),
            ),
        )
        fsm.act(
            "DATA",
            If(
                sent,
                NextValue(place, place + 1),
                If(last, NextValue(place, 0), NextState("HEADER")),
            ),
        )
