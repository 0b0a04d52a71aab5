"""Datagrams that have come: whole and right, until somebody takes them."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Cat, If, NextState, NextValue, Record, Signal

from dscim.gateware.link.datagram_rules import Rule
from dscim.gateware.link.datagrams import LAST_WORD, PEER, UDP
from dscim.gateware.link.frames import WORDS
from dscim.gateware.link.ring import Ring


class Inbox(LiteXModule):
    """Keeps whole right datagrams, each with its peer, until somebody takes them.

    It never makes LiteEth wait longer than two cycles, for a real PHY cannot: a datagram that does
    not find room is dropped like one that is not right. A right one obeys `rule`, has as many
    bytes as its length says, whole words, and no error of the MAC's.

    depth: words of datagrams that wait, a power of two; each takes two more for its peer.

    | port    | dir | meaning                                                                   |
    |---------|-----|---------------------------------------------------------------------------|
    | sink    | in  | a LiteEth UDP port's source                                               |
    | source  | out | data: what the rule keeps of right datagrams; `last`                      |
    | peer    | out | who sent it: ip_address, port; and length, in bytes, of the datagram      |
    | idle    | in  | `peer` may change                                                         |
    | taken   | out | with the last word: a right datagram                                      |
    | dropped | out | with the last word: any other                                             |
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
        """IP address, port and length, words; committed when the last one says that it is right."""
        self.buffer = buffer = stream.Buffer(UDP)  # LiteEth's way from the MAC has no register
        sink, place = buffer.source, Signal.like(ring.committed)
        used, room = Signal.like(ring.committed), Signal()
        words, bad = Signal(14), Signal()  # that have come, with this one; what has come is bad
        whole = Signal()  # the length is that of the words
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
        """The peer into its register, then the words."""
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
