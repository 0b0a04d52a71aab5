"""LiteEth's Etherbone for LiteX's tools, protected from requests that would stop it."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Case, If, Signal

from dscim.gateware.link import liteeth_fixes
from dscim.gateware.link.bus_register import BusRegister
from dscim.gateware.link.datagram_rules import EtherboneRule
from dscim.gateware.link.datagrams import LAST_WORD, UDP, Inbox
from dscim.gateware.link.give_up import GiveUp
from dscim.gateware.link.protocol import ETHERBONE_PORT

BUFFER_DEPTH = 256
"""Words of a record that LiteEth buffers; a longer record would stop it permanently."""

INBOX_DEPTH = 512
"""Words of waiting requests: more than the longest one."""


class _Port:
    """Stands for LiteEth's UDP and its crossbar in LiteEthEtherbone: one port with this sink and
    source."""

    dw = 32

    def __init__(self, sink, source):
        self.sink, self.source, self.crossbar = sink, source, self

    def get_port(self, port: int, dw: int, cd: str):
        """This port, whatever the arguments."""
        return self


class Etherbone(LiteXModule):
    """Etherbone behind a UDP port, one request after the other.

    LiteEth remembers one address to answer to, so the next request waits until the answer has left.
    If the bus does not answer, the rest of the request is not sent to it: its words read as all
    ones, as they would on LiteX's bus after a million cycles.

    | port     | dir | meaning                                                               |
    |----------|-----|-----------------------------------------------------------------------|
    | sink     | in  | a LiteEth UDP port's source                                           |
    | source   | out | a LiteEth UDP port's sink                                             |
    | wishbone | out | master of the bus                                                     |
    | active   | in  | a session is open: writes are acknowledged but have no effect         |
    | dropped  | out | a datagram is dropped, see EtherboneRule                              |
    | ignored  | out | a word is not written                                                 |
    """

    def __init__(self):
        self.inbox = inbox = Inbox(EtherboneRule(), INBOX_DEPTH)
        requests = stream.Endpoint(UDP)
        self.sink, self.source = inbox.sink, stream.Endpoint(UDP)
        self.bone = bone = liteeth_fixes.Etherbone(
            _Port(self.source, requests), ETHERBONE_PORT, BUFFER_DEPTH
        )
        self.register = register = BusRegister()
        self.wishbone = register.bus
        self.active, self.ignored, self.dropped = Signal(), Signal(), inbox.dropped

        # # #

        self._serve(inbox, requests)
        accesses = bone.wishbone.sink
        self._guard(
            bone.wishbone.bus, register.master, accesses.valid & accesses.ready & accesses.last
        )

    def _serve(self, inbox: Inbox, requests):
        """Passes on one request after another, each when the answer to the last one has left."""
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
            If(
                requests.valid & requests.ready,
                place.eq(place + (place != 3)),
                Case(
                    place,
                    {
                        0: asks.eq(requests.data[16]),  # a probe
                        2: If(requests.data[24:] != 0, asks.eq(1)),  # a record that reads
                    },
                ),
                If(requests.last, place.eq(0), waits.eq(asks)),
            ),
            If(self.source.valid & self.source.ready & self.source.last, waits.eq(0)),
        ]

    def _guard(self, bus, out, ends):
        """Connects LiteEth's master to `out`: blocks writes while a session is open, and gives up
        where the bus does not answer. A write that has started is completed. ends: this access is
        the last one of a request."""
        access, blocked = Signal(), Signal()
        self.give_up = give_up = GiveUp()
        master = give_up.master
        self.comb += [
            access.eq(bus.cyc & bus.stb),
            self.ignored.eq(access & bus.we & blocked),
            bus.connect(master, omit={"cyc", "stb", "ack"}),
            master.cyc.eq(access & ~self.ignored),
            master.stb.eq(master.cyc),
            bus.ack.eq(master.ack | self.ignored),
            give_up.ends.eq(ends),
            give_up.bus.connect(out),
        ]
        self.sync += If(~access | bus.ack, blocked.eq(self.active))
