"""LiteEth's Etherbone, which LiteX's tools speak, kept from what it does not survive."""

from liteeth.frontend.etherbone import LiteEthEtherbone
from litex.gen import LiteXModule
from litex.soc.interconnect import stream, wishbone
from migen import Case, If, Mux, Signal

from dscim.gateware.link.datagrams import LAST_WORD, UDP, Inbox, Rule
from dscim.gateware.link.protocol import ETHERBONE_PORT

BUFFER_DEPTH = 256
"""Words of a record that LiteEth keeps; one with more would stop it for good."""

PROBE_WORDS = 3
"""Of a probe: two of header, one of padding."""

NOWHERE = 511
"""No word of a datagram that is right has this place."""


class EtherboneRule(Rule):
    """A probe, or one record that only writes or only reads, of the length that its counts say.

    LiteEth counts on all of that, and takes the return address of a record that does both for an
    address to read. The header: 0x4E6F, version 1, flags, 32-bit addresses and data; a word of
    padding; the record's flags (none but "cycle"), byte enables, words written, words read.
    """

    def __init__(self):
        Rule.__init__(self)

        # # #

        place, good, probe = Signal(9), Signal(), Signal()
        end = Signal(len(place), reset=NOWHERE)  # place of the last word, when it is known
        word = self.word
        writes, reads = word[16:24], word[24:32]
        self.comb += [
            self.kept.eq(1),
            self.final.eq(place == end),
            self.right.eq(good & self.final & (place != NOWHERE)),
        ]
        self.sync += [
            If(self.take,
                place.eq(place + (place != NOWHERE)),
                If(place == 0,
                    good.eq((word[:16] == 0x6F4E) & (word[20:] == 0x441) & ~word[17]),
                    probe.eq(word[16]),
                    end.eq(Mux(word[16], PROBE_WORDS - 1, NOWHERE))
                ).Elif((place == 2) & ~probe,
                    good.eq(good & ((writes == 0) ^ (reads == 0)) & ((word[:8] & 0xEF) == 0)),
                    end.eq(3 + (writes | reads))
                )
            ),
            If(self.clear,
                place.eq(0),
                good.eq(0),
                probe.eq(0)
            ),
        ]


class _Port:
    """What LiteEthEtherbone takes for LiteEth's UDP and its crossbar: one port, given here."""

    dw = 32

    def __init__(self, sink, source):
        self.sink, self.source, self.crossbar = sink, source, self

    def get_port(self, port: int, dw: int, cd: str):
        """The port, whatever is asked for."""
        return self


class Etherbone(LiteXModule):
    """Etherbone behind a UDP port, one request after the other.

    LiteEth remembers one address to answer to: a request that follows one which is answered waits
    until the answer has gone.

    | port     | dir | meaning                                                               |
    |----------|-----|-----------------------------------------------------------------------|
    | sink     | in  | a LiteEth UDP port's source                                           |
    | source   | out | a LiteEth UDP port's sink                                             |
    | wishbone | out | master of the bus                                                     |
    | active   | in  | a session is open: writes are acknowledged and have no effect         |
    | dropped  | out | a datagram has been dropped, see EtherboneRule                        |
    | ignored  | out | a word has not been written                                           |
    """

    def __init__(self):
        self.inbox = inbox = Inbox(EtherboneRule())
        requests = stream.Endpoint(UDP)
        self.sink, self.source = inbox.sink, stream.Endpoint(UDP)
        self.bone = bone = LiteEthEtherbone(_Port(self.source, requests), ETHERBONE_PORT,
                                            buffer_depth=BUFFER_DEPTH)
        self.wishbone = wishbone.Interface()
        self.active, self.ignored, self.dropped = Signal(), Signal(), inbox.dropped

        # # #

        self._give(inbox, requests)
        self._guard(bone.wishbone.bus)

    def _give(self, inbox: Inbox, requests):
        """One datagram after the other."""
        place, asks, waits = Signal(2), Signal(), Signal()
        self.comb += [
            inbox.idle.eq(~waits),
            inbox.source.connect(requests),
            requests.ip_address.eq(inbox.peer.ip_address),
            requests.src_port.eq(inbox.peer.port),
            requests.dst_port.eq(ETHERBONE_PORT),
            requests.length.eq(inbox.peer.length),
            If(requests.last, requests.last_be.eq(LAST_WORD)),
        ]
        self.sync += [
            If(requests.valid & requests.ready,
                place.eq(place + (place != 3)),
                Case(place, {
                    0: asks.eq(requests.data[16]),  # a probe
                    2: If(requests.data[24:] != 0, asks.eq(1)),  # a record that reads
                }),
                If(requests.last,
                    place.eq(0),
                    waits.eq(asks)
                )
            ),
            If(self.source.valid & self.source.ready & self.source.last, waits.eq(0)),
        ]

    def _guard(self, bus):
        """Between LiteEth's master and the bus; a write that has begun is not cut off."""
        out, blocked, hidden = self.wishbone, Signal(), Signal()
        self.comb += [
            bus.connect(out, omit={"cyc", "stb", "ack"}),
            hidden.eq(bus.we & blocked),
            out.cyc.eq(bus.cyc & ~hidden),
            out.stb.eq(bus.stb & ~hidden),
            self.ignored.eq(bus.cyc & bus.stb & hidden),
            bus.ack.eq(out.ack | self.ignored),
        ]
        self.sync += If(~(bus.cyc & bus.stb) | bus.ack, blocked.eq(self.active))
