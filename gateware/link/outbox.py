"""Answers that leave as datagrams: stored whole before they are sent."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Cat, If, NextState, NextValue, Record, Signal

from dscim.gateware.link.datagrams import LAST_WORD, PEER, UDP
from dscim.gateware.link.frames import RING_DEPTH, WORDS
from dscim.gateware.link.protocol import HEADER_WORDS
from dscim.gateware.link.ring import Ring


class Outbox(LiteXModule):
    """Stores an answer whole before it sends it, for a PHY cannot wait for its words.

    port: the UDP port that answers come from.

    | port    | dir | meaning                                                            |
    |---------|-----|--------------------------------------------------------------------|
    | sink    | in  | data: answers with their CRC; `last`                               |
    | peer    | in  | who gets it: ip_address, port; stays from its first word on         |
    | source  | out | a LiteEth UDP port's sink                                          |
    | discard | in  | what is being sent has been cut off: the rest of it goes nowhere   |
    """

    def __init__(self, port: int):
        self.sink, self.source = stream.Endpoint(WORDS), stream.Endpoint(UDP)
        self.peer, self.discard = Record(PEER), Signal()

        # # #

        self.ring = ring = Ring(33, RING_DEPTH)
        self.comb += self.source.src_port.eq(port)
        self._write(ring)
        self._read(ring)

    def _write(self, ring: Ring):
        """IP address, port and count of data words, the answer; then all is committed."""
        sink, place = self.sink, Signal.like(ring.committed)
        used, room = Signal.like(ring.committed), Signal()
        self.comb += [
            ring.write.adr.eq(ring.committed + place),
            ring.write.we.eq(sink.valid & room),
            used.eq(ring.write.adr - ring.freed),
            room.eq(used != RING_DEPTH - 1),
        ]
        self.fsm_in = fsm = FSM(reset_state="ADDRESS")
        goes_on = [NextValue(place, place + 1)]
        fsm.act(
            "ADDRESS",
            ring.write.dat_w.eq(self.peer.ip_address),
            If(sink.valid & room, *goes_on, NextState("PORT")),
        )
        fsm.act(
            "PORT",
            ring.write.dat_w.eq(Cat(self.peer.port, sink.data[8:16])),
            If(sink.valid & room, *goes_on, NextState("WORDS")),
        )
        fsm.act(
            "WORDS",
            ring.write.dat_w.eq(Cat(sink.data, sink.last)),
            sink.ready.eq(room),
            If(
                sink.valid & room,
                *goes_on,
                If(
                    sink.last,
                    NextValue(ring.committed, ring.committed + place + 1),
                    NextValue(place, 0),
                    NextState("ADDRESS"),
                ),
            ),
        )

    def _read(self, ring: Ring):
        """The peer and the length into their registers, then the words."""
        held, source, count = ring.source, self.source, Signal(8)
        last = held.data[32]
        self.comb += [
            source.data.eq(held.data[:32]),
            source.last.eq(last),
            If(last, source.last_be.eq(LAST_WORD)),
            source.length.eq(4 * (HEADER_WORDS + 1) + Cat(0, 0, count)),
        ]
        self.fsm_out = fsm = FSM(reset_state="ADDRESS")
        fsm.act(
            "ADDRESS",
            held.ready.eq(1),
            If(held.valid, NextValue(source.ip_address, held.data), NextState("PORT")),
        )
        fsm.act(
            "PORT",
            held.ready.eq(1),
            If(held.valid, NextValue(Cat(source.dst_port, count), held.data), NextState("WORDS")),
        )
        fsm.act(
            "WORDS",
            held.connect(source, keep={"valid", "ready"}),
            If(held.valid & source.ready & last, NextState("ADDRESS")).Elif(
                self.discard, NextState("REST")
            ),
        )
        fsm.act("REST", held.ready.eq(1), If(held.valid & last, NextState("ADDRESS")))
