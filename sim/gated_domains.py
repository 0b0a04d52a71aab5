"""Clock domains of the simulator that stand still while what they drive rests: most of the time."""

from functools import reduce
from operator import or_
from typing import Any

from litex.gen import LiteXModule
from migen import Cat, ClockDomain, ClockDomainsRenamer, If, ResetInserter, ResetSignal, Signal

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


class GatedDomains(LiteXModule):  # type: ignore[misc]
    """Clock domains with the edges of `sys` in which they are awake.

    pads: of `SimPlatform`, record `gated`, a bit a domain; the harness ticks `clk` with the
    system clock where `awake` is high before the edge. What sleeps must be at rest: nothing in it
    would change at an edge.
    """

    def __init__(self, pads: Any) -> None:
        self._pads = pads
        self._awake: list[Any] = []

    def add(self, name: str, busy: Any, settled: int) -> None:
        """Makes domain `name`, awake while `busy` and for `settled` cycles after it."""
        domain = ClockDomain(name)
        setattr(self, f"cd_{name}", domain)
        left = Signal(max=settled + 1, reset=settled)  # awake through the reset, too
        wanted = Signal()
        self.comb += [
            domain.clk.eq(self._pads.clk[len(self._awake)]),
            domain.rst.eq(ResetSignal("sys")),
            wanted.eq(busy),
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
        timers = [arp.table.request_timer, arp.table.cache.clear_timer]
        for timer in timers:
            ClockDomainsRenamer(STAYS)(timer)
        moved: dict[str, list[Any]] = {
            RECEIVE: [mac.core.rx_datapath, mac.depacketizer, arp.rx, ip.rx, udp.rx],
            TRANSMIT: [
                mac.core.tx_datapath,
                mac.padding,
                mac.packetizer,
                arp.tx,
                arp.table,
                ip.tx,
                udp.tx,
            ],
            REQUESTS: [icmp],
        }
        busy = {
            RECEIVE: [
                phy.source,
                mac.source,
                mac.depacketizer.source,
                arp.rx.source,
                ip.rx.source,
                udp.rx.source,
                into.ring.source,
                into.source,
            ],
            TRANSMIT: [
                phy.sink,
                mac.sink,
                arp.rx.source,
                arp.tx.sink,
                arp.tx.source,
                ip.tx.sink,
                ip.tx.source,
                udp.tx.sink,
                udp.tx.source,
                icmp.tx.source,
                bone.source,
                carrier.answers,
                out.sink,
                out.ring.source,
                out.source,
            ],
            REQUESTS: [
                bone.sink,
                bone.source,
                bone.inbox.ring.source,
                bone.bone.wishbone.source,
                bone.bone.wishbone.sink,
                icmp.rx.sink,
                icmp.echo.sink,
                icmp.echo.source,
                icmp.tx.source,
            ],
        }
        beside: dict[str, list[Any]] = {
            RECEIVE: [into],
            TRANSMIT: [carrier.inserter, out],
            REQUESTS: [bone],
        }
        stood = carrier.watchdog.stood
        for name, parts in moved.items():
            signals = [end.valid for end in busy[name]] + [timer.done for timer in timers]
            self.add(name, reduce(or_, signals, stood), SETTLED)
            for part in parts:
                self.comb += _moved(part, name).eq(stood)
            for part in beside[name]:
                ClockDomainsRenamer(name)(part)
        for crossbar in crossbars:
            self.comb += [reset.eq(stood) for reset in _split(crossbar)]


def _moved(part: Any, name: str) -> Any:
    """Moves a part of LiteEth's core into domain `name`, where the core's reset does not reach it:
    returns its own."""
    ResetInserter(["sys"])(part)
    ClockDomainsRenamer({"sys": name, STAYS: "sys"})(part)
    return part.reset_sys


def _split(crossbar: Any) -> list[Any]:
    """Moves the crossbar's two halves, which it makes when it is finalized; returns resets."""
    resets = [Signal(), Signal()]
    make = crossbar.do_finalize

    def do_finalize() -> None:
        make()
        for half, name, reset in (
            (crossbar.arbiter, TRANSMIT, resets[0]),
            (crossbar.dispatcher, RECEIVE, resets[1]),
        ):
            crossbar.comb += _moved(half, name).eq(reset)

    crossbar.do_finalize = do_finalize
    return resets
