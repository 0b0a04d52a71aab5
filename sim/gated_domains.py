"""Clock domains of the simulator that are stopped while their logic is idle, most of the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from litex.gen import LiteXModule
from migen import Cat, ClockDomain, ClockDomainsRenamer, If, ResetInserter, ResetSignal, Signal

from dscim.gateware.engine.engine import DRAIN, Engine
from dscim.gateware.link.ethernet import EthernetCarrier

ENGINE = "engine"
RECEIVE, TRANSMIT, REQUESTS = "receive", "transmit", "requests"
"""Ethernet's domains: receiving, sending, Etherbone and pings."""

STAYS = "stays"
"""A temporary name for parts of `sys` while the others are renamed."""

SETTLED = 64
"""Cycles from the last word that moved until Ethernet's streams are idle: more than any pipeline of
LiteEth takes."""


class GatedDomains(LiteXModule):  # type: ignore[misc]
    """Clock domains that get an edge of `sys` only while they are awake.

    pads: the record `gated` of `SimPlatform`, a bit per domain. The harness ticks a bit of `clk`
    with the system clock if its bit of `awake` is high before the edge. A stopped domain must be
    idle: an edge would change nothing in it.
    """

    def __init__(self, pads: Any) -> None:
        self._pads = pads
        self._awake: list[Any] = []

    def add(self, name: str, busy: Any, settled: int) -> None:
        """Makes domain `name`, awake while `busy` and for `settled` cycles afterwards."""
        domain = ClockDomain(name)
        setattr(self, f"cd_{name}", domain)
        left = Signal(max=settled + 1, reset=settled)  # awake during the reset too
        wanted = Signal()
        self.comb += [
            domain.clk.eq(self._pads.clk[len(self._awake)]),
            domain.rst.eq(ResetSignal("sys")),
            wanted.eq(busy),
        ]
        self.sync += If(wanted, left.eq(settled)).Elif(left != 0, left.eq(left - 1))
        self._awake.append(wanted | (left != 0))

    def do_finalize(self) -> None:
        """Connects `awake` once all domains are known."""
        self.comb += self._pads.awake.eq(Cat(*self._awake))

    def add_engine(self, engine: Engine) -> None:
        """Makes ENGINE, for the engine, whose submodules are already in it."""
        self.add(ENGINE, engine.start | engine.busy, DRAIN)

    def add_ethernet(self, carrier: EthernetCarrier, phy: Any) -> None:
        """Makes RECEIVE, TRANSMIT and REQUESTS, and moves the carrier's parts there.

        ARP's timers and the watchdog stay in `sys`, because they count time.
        """
        core, stood = carrier.core, carrier.watchdog.stood
        timers = [core.arp.table.request_timer, core.arp.table.cache.clear_timer]
        for timer in timers:
            ClockDomainsRenamer(STAYS)(timer)
        for name, parts in _ethernet_parts(carrier, phy).items():
            signals = [end.valid for end in parts.streams] + [timer.done for timer in timers]
            self.add(name, reduce(or_, signals, stood), SETTLED)
            for part in parts.core:
                self.comb += _moved(part, name).eq(stood)
            for part in parts.own:
                ClockDomainsRenamer(name)(part)
        for crossbar in (core.mac.crossbar, core.ip.crossbar, core.udp.crossbar):
            self.comb += [reset.eq(stood) for reset in _split(crossbar)]


@dataclass(frozen=True)
class _Parts:
    """A domain of Ethernet: parts of LiteEth's core, parts of the carrier, streams that wake it."""

    core: Sequence[Any]
    own: Sequence[Any]
    streams: Sequence[Any]


def _ethernet_parts(carrier: EthernetCarrier, phy: Any) -> dict[str, _Parts]:
    """The parts of each domain of Ethernet."""
    core, bone, out, into = carrier.core, carrier.etherbone, carrier.outbox, carrier.inbox
    mac, arp, ip, udp, icmp = core.mac, core.arp, core.ip, core.udp, core.icmp
    receivers, senders = (arp.rx, ip.rx, udp.rx), (arp.tx, ip.tx, udp.tx)
    return {
        RECEIVE: _Parts(
            core=[mac.core.rx_datapath, mac.depacketizer, *receivers],
            own=[into],
            streams=[
                *[phy.source, mac.source, mac.depacketizer.source],
                *[part.source for part in receivers],
                *[into.ring.source, into.source],
            ],
        ),
        TRANSMIT: _Parts(
            core=[mac.core.tx_datapath, mac.padding, mac.packetizer, arp.table, *senders],
            own=[carrier.inserter, out],
            streams=[
                *[phy.sink, mac.sink, arp.rx.source],
                *[end for part in senders for end in (part.sink, part.source)],
                *[icmp.tx.source, bone.source, carrier.answers],
                *[out.sink, out.ring.source, out.source],
            ],
        ),
        REQUESTS: _Parts(
            core=[icmp],
            own=[bone],
            streams=[
                *[bone.sink, bone.source, bone.inbox.ring.source],
                *[bone.bone.wishbone.source, bone.bone.wishbone.sink],
                *[icmp.rx.sink, icmp.echo.sink, icmp.echo.source, icmp.tx.source],
            ],
        ),
    }


def _moved(part: Any, name: str) -> Any:
    """Moves a part of LiteEth's core to domain `name`. The core's reset does not reach it there, so
    it gets its own reset, which is returned."""
    ResetInserter(["sys"])(part)
    ClockDomainsRenamer({"sys": name, STAYS: "sys"})(part)
    return part.reset_sys


def _split(crossbar: Any) -> list[Any]:
    """Moves the halves of a crossbar, which are made when it is finalized; returns their resets."""
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
