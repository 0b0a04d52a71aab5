"""Clock domains of the simulator that stand still while what they drive rests: most of the time."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from litex.gen import LiteXModule
from migen import Cat, ClockDomain, ClockDomainsRenamer, If, ResetSignal, Signal

from dscim.gateware.engine.engine import DRAIN, Engine
from dscim.gateware.link.ethernet import EthernetCarrier

ENGINE = "engine"
RECEIVE, TRANSMIT, REQUESTS = "receive", "transmit", "requests"
"""Of Ethernet: what comes in, what goes out, Etherbone and pings."""

STAYS = "stays"
"""What `sys` is called until the rest has another name."""

SETTLED = 64
"""Cycles after the last word that moved in which Ethernet's streams come to rest: more than any of
LiteEth's pipelines is long."""


class Sleepers(LiteXModule):  # type: ignore[misc]
    """Clock domains with the edges of `sys` in which they are awake.

    pads: of `SimPlatform`, record `sleepers`, a bit a domain; the harness ticks `clk` with the
    system clock where `awake` is high before the edge. What sleeps must be at rest: nothing in it
    would change at an edge.
    """

    def __init__(self, pads: Any) -> None:
        self._pads = pads
        self._awake: list[Any] = []

    def add(self, name: str, busy: Any, settled: int, reset: Any = 0) -> None:
        """Makes domain `name`, awake while `busy` and for `settled` cycles after it.

        reset: a signal of `sys` that resets the domain, as the reset of `sys` does.
        """
        domain = ClockDomain(name)
        setattr(self, f"cd_{name}", domain)
        left = Signal(max=settled + 1, reset=settled)  # awake through the reset, too
        wanted = Signal()
        self.comb += [
            domain.clk.eq(self._pads.clk[len(self._awake)]),
            domain.rst.eq(ResetSignal("sys") | reset),
            wanted.eq(busy | reset),
        ]
        self.sync += If(wanted, left.eq(settled)).Elif(left != 0, left.eq(left - 1))
        self._awake.append(wanted | (left != 0))

    def do_finalize(self) -> None:
        """All domains are known."""
        self.comb += self._pads.awake.eq(Cat(*self._awake))

    def add_engine(self, engine: Engine) -> None:
        """Domain ENGINE, for the engine, whose submodules are in it already."""
        self.add(ENGINE, engine.start | engine.busy, DRAIN)

    def add_ethernet(self, carrier: EthernetCarrier, phy: Any) -> None:
        """RECEIVE, TRANSMIT and REQUESTS, and moves the carrier's parts there.

        ARP's timers and the watchdog stay in `sys`, where they count time.
        """
        core, bone, out, into = carrier.core, carrier.etherbone, carrier.outbox, carrier.inbox
        mac, arp, ip, udp, icmp = core.mac, core.arp, core.ip, core.udp, core.icmp
        crossbars = [mac.crossbar, ip.crossbar, udp.crossbar]
        for crossbar in crossbars:
            crossbar.finalize()  # which makes what is moved
        timers = [arp.table.request_timer, arp.table.cache.clear_timer]
        self._add_streams(RECEIVE, carrier,
            [mac.core.rx_datapath, mac.depacketizer, arp.rx, ip.rx, udp.rx, into,
             *[crossbar.dispatcher for crossbar in crossbars]],
            [phy.source, mac.core.source, mac.depacketizer.source, arp.rx.source, ip.rx.source,
             udp.rx.source, into.ring.source, into.source])
        self._add_streams(TRANSMIT, carrier,
            [mac.core.tx_datapath, mac.packetizer, arp.tx, ip.tx, udp.tx, carrier.inserter, out,
             *[crossbar.arbiter for crossbar in crossbars], arp.table],
            [phy.sink, mac.core.sink, arp.rx.source, arp.tx.sink, arp.tx.source, ip.tx.sink,
             ip.tx.source, udp.tx.sink, udp.tx.source, icmp.tx.source, bone.source,
             carrier.answers, out.sink, out.ring.source, out.source],
            [timer.done for timer in timers], timers)
        self._add_streams(REQUESTS, carrier, [bone, icmp],
            [bone.sink, bone.source, bone.inbox.ring.source, bone.bone.wishbone.source,
             bone.bone.wishbone.sink, icmp.rx.sink, icmp.echo.sink, icmp.echo.source,
             icmp.tx.source])

    def _add_streams(self, name: str, carrier: EthernetCarrier, parts: Sequence[Any],
                     streams: Sequence[Any], events: Sequence[Any] = (),
                     left_out: Sequence[Any] = ()) -> None:
        """Domain `name` for `parts` of the carrier, awake while one of `streams` is valid or one of
        `events` is high. left_out: modules within `parts` that stay in `sys`."""
        busy = reduce(or_, [*[end.valid for end in streams], *events])
        self.add(name, busy, SETTLED, carrier.watchdog.stood)
        for module in left_out:
            ClockDomainsRenamer({"sys": STAYS})(module)
        for part in parts:
            ClockDomainsRenamer({"sys": name, STAYS: "sys"})(part)
