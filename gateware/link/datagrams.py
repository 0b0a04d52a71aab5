"""UDP datagrams: those received, stored until they are taken, and answers to be sent."""

from liteeth.common import eth_udp_user_description
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Cat, If, NextState, NextValue, Record, Signal

from dscim.gateware.link.datagram_rules import Rule
from dscim.gateware.link.frames import RING_DEPTH, WORDS
from dscim.gateware.link.protocol import HEADER_WORDS
from dscim.gateware.link.ring import Ring

UDP = eth_udp_user_description(32)
"""The streams of LiteEth's UDP ports."""

PEER = [("ip_address", 32), ("port", 16)]

LAST_WORD = 0b1000
"""`last_be` of a last word with all its bytes."""


class Inbox(LiteXModule):
    """Stores whole valid datagrams, each with its peer, until they are taken.

    It never stalls LiteEth for more than two cycles, because a real PHY cannot wait. A datagram
    that finds no room is dropped like an invalid one. A valid datagram obeys `rule`, has whole
    words, as many bytes as its length says, and no error from the MAC.

    depth: words of stored datagrams, a power of two; each takes two more for its peer.

    | port    | dir | meaning                                                                   |
    |---------|-----|---------------------------------------------------------------------------|
    | sink    | in  | a LiteEth UDP port's source                                               |
    | source  | out | data: the words that the rule keeps of valid datagrams; `last`            |
    | peer    | out | its sender: ip_address, port; and length of the datagram, in bytes        |
    | idle    | in  | `peer` may change                                                         |
    | taken   | out | with the last word: a valid datagram                                      |
    | dropped | out | with the last word: any other datagram                                    |
    """

    def __init__(self, rule: Rule, depth: int):
        self.sink, self.source = stream.Endpoint(UDP), stream.Endpoint(WORDS)
        self.peer = Record([*PEER, ("length", 16)])
        self.idle, self.taken, self.dropped = Signal(), Signal(), Signal()

        # # #

        self.rule = rule
        self.ring = ring = Ring(33, depth)
        self._write(ring, rule)
        self._read(ring)

    def _write(self, ring: Ring, rule: Rule):
        """IP address, port and length, words; committed if the datagram is valid."""
        self.buffer = buffer = stream.Buffer(UDP)  # LiteEth's path from the MAC has no register
        sink, place = buffer.source, Signal.like(ring.committed)
        used, room = Signal.like(ring.committed), Signal()
        words, bad = Signal(14), Signal()  # words so far, with this one; a fault so far
        whole = Signal()  # the length matches the words
        self.fsm_in = fsm = FSM(reset_state="ADDRESS")
        in_words = fsm.ongoing("WORDS")
        self.comb += [
            self.sink.connect(buffer.sink),
            ring.write.adr.eq(ring.committed + place),
            used.eq(ring.write.adr - ring.freed),
            whole.eq((sink.length == Cat(0, 0, words)) & (sink.last_be == LAST_WORD)),
            room.eq(used != 2 ** len(used) - 1),
            rule.word.eq(sink.data),
            rule.take.eq(sink.valid & in_words),
            rule.clear.eq(sink.valid & in_words & sink.last),
            ring.write.we.eq(sink.valid & (rule.kept | ~in_words) & room & ~bad),
        ]
        self._write_peer(fsm, ring, room, bad, place, words)
        fsm.act(
            "WORDS",
            ring.write.dat_w.eq(Cat(sink.data, rule.final)),
            sink.ready.eq(1),
            If(
                sink.valid,
                NextValue(words, words + 1),
                NextValue(bad, bad | (sink.error != 0) | (rule.kept & ~room)),
                If(rule.kept, NextValue(place, place + 1)),
                If(
                    sink.last,
                    self.taken.eq(
                        rule.right & whole & ~bad & (sink.error == 0) & (room | ~rule.kept)
                    ),
                    self.dropped.eq(~self.taken),
                    If(self.taken, NextValue(ring.committed, ring.committed + place + rule.kept)),
                    NextValue(place, 0),
                    NextValue(bad, 0),
                    NextState("ADDRESS"),
                ),
            ),
        )

    def _write_peer(self, fsm: FSM, ring: Ring, room, bad, place, words):
        """IP address, then port and length, while the first word waits."""
        sink = self.buffer.source
        fsm.act(
            "ADDRESS",
            ring.write.dat_w.eq(sink.ip_address),
            If(sink.valid, NextValue(bad, ~room), NextValue(place, 1), NextState("PORT")),
        )
        fsm.act(
            "PORT",
            ring.write.dat_w.eq(Cat(sink.src_port, sink.length)),
            NextValue(bad, bad | ~room),
            NextValue(place, 2),
            NextValue(words, 1),
            NextState("WORDS"),
        )

    def _read(self, ring: Ring):
        """The peer to its register, then the words."""
        held, source, peer = ring.source, self.source, self.peer
        self.fsm_out = fsm = FSM(reset_state="ADDRESS")
        self.comb += Cat(source.data, source.last).eq(held.data)
        fsm.act(
            "ADDRESS",
            held.ready.eq(self.idle),
            If(held.valid & self.idle, NextValue(peer.ip_address, held.data), NextState("PORT")),
        )
        fsm.act(
            "PORT",
            held.ready.eq(1),
            If(held.valid, NextValue(Cat(peer.port, peer.length), held.data), NextState("WORDS")),
        )
        fsm.act(
            "WORDS",
            held.connect(source, keep={"valid", "ready"}),
            If(source.valid & source.ready & source.last, NextState("ADDRESS")),
        )


class Outbox(LiteXModule):
    """Stores a whole answer before it is sent, because a PHY cannot wait for its words.

    port: the source UDP port of the answers.

    | port    | dir | meaning                                                              |
    |---------|-----|----------------------------------------------------------------------|
    | sink    | in  | data: answers with their CRC; `last`                                 |
    | peer    | in  | its receiver: ip_address, port; stable from its first word on        |
    | source  | out | a LiteEth UDP port's sink                                            |
    | discard | in  | the datagram being sent was cut off: its remaining words are dropped |
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
        following = [NextValue(place, place + 1)]
        fsm.act(
            "ADDRESS",
            ring.write.dat_w.eq(self.peer.ip_address),
            If(sink.valid & room, *following, NextState("PORT")),
        )
        fsm.act(
            "PORT",
            ring.write.dat_w.eq(Cat(self.peer.port, sink.data[8:16])),
            If(sink.valid & room, *following, NextState("WORDS")),
        )
        fsm.act(
            "WORDS",
            ring.write.dat_w.eq(Cat(sink.data, sink.last)),
            sink.ready.eq(room),
            If(
                sink.valid & room,
                *following,
                If(
                    sink.last,
                    NextValue(ring.committed, ring.committed + place + 1),
                    NextValue(place, 0),
                    NextState("ADDRESS"),
                ),
            ),
        )

    def _read(self, ring: Ring):
        """The peer and the length to their registers, then the words."""
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
