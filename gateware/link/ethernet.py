"""Frames and Etherbone behind one Ethernet PHY, with LiteEth."""

import dataclasses
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from litex.gen import LiteXModule
from litex.gen.genlib.misc import WaitTimer
from litex.soc.interconnect import stream
from migen import If, ResetInserter, Signal
from migen.genlib.cdc import MultiReg

from dscim.gateware.link.carriers import Carrier
from dscim.gateware.link.crc32 import Crc32Inserter
from dscim.gateware.link.datagram_rules import FrameRule
from dscim.gateware.link.datagrams import Inbox, Outbox
from dscim.gateware.link.etherbone import Etherbone
from dscim.gateware.link.frames import RING_DEPTH
from dscim.gateware.link.liteeth_fixes import UdpIpCore
from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT

STANDSTILL_SECONDS = 0.01
"""LiteEth is reset when one of its streams has waited for one to two times this long, in the SoC's
time."""

RESET_CYCLES = 64
"""Cycles for which LiteEth is held in reset: enough for every clock of a PHY."""

DOMAINS = ("sys", "eth_rx", "eth_tx")


@dataclasses.dataclass(frozen=True)
class EthernetPort:
    """A SoC's connection to Ethernet.

    phy: a LiteEth PHY with its clock domains eth_rx and eth_tx, at most 32 bits wide.
    mac_address, ip_address: of the SoC; the IP address as four numbers with dots.
    """

    phy: Any
    mac_address: int
    ip_address: str


class Watchdog(LiteXModule):
    """Detects stalled streams. period: in cycles.

    | port  | dir | meaning                                                                   |
    |-------|-----|---------------------------------------------------------------------------|
    | stood | out | high for RESET_CYCLES after a stream has waited with the same item for    |
    |       |     | one to two periods                                                        |
    | event | out | high in the first of these cycles                                         |
    """

    def __init__(self, streams: Sequence[stream.Endpoint], period: int):
        self.stood, self.event = Signal(), Signal()

        # # #

        self.timer = timer = WaitTimer(period)
        self.hold = hold = WaitTimer(RESET_CYCLES)
        waits = [Signal() for _ in streams]  # since the period started
        self.comb += [
            timer.wait.eq(~timer.done),
            self.event.eq(timer.done & reduce(or_, waits) & ~self.stood),
            hold.wait.eq(self.stood),
        ]
        self.sync += [
            *[
                If(~end.valid | end.ready, wait.eq(0)).Elif(timer.done, wait.eq(1))
                for end, wait in zip(streams, waits, strict=True)
            ],
            If(self.event, self.stood.eq(1)).Elif(hold.done, self.stood.eq(0)),
        ]


class EthernetCarrier(Carrier):
    """Frames in UDP datagrams, and Etherbone on another port.

    Answers go to the address and port that sent the frame. Ports, in addition to those of
    `Carrier`:

    | port               | dir | meaning                                                           |
    |--------------------|-----|-------------------------------------------------------------------|
    | etherbone.wishbone | out | Etherbone's master of the bus: only reads while a session is open |
    """

    def __init__(self, port: EthernetPort, clk_freq: int):
        Carrier.__init__(self)
        self.core = core = ResetInserter(DOMAINS)(
            UdpIpCore(port.phy, port.mac_address, port.ip_address, clk_freq)
        )
        self.etherbone = etherbone = ResetInserter()(Etherbone())

        # # #

        udp = core.udp.crossbar
        self._carry_frames(frames := udp.get_port(FRAMES_PORT, dw=32))
        bones = udp.get_port(ETHERBONE_PORT, dw=32)
        self.comb += [
            bones.source.connect(etherbone.sink),
            etherbone.source.connect(bones.sink),
            etherbone.active.eq(self.active),
        ]
        self.watchdog = watchdog = Watchdog(
            [core.mac.source, core.mac.sink, frames.sink, bones.sink],
            int(STANDSTILL_SECONDS * clk_freq),
        )
        self.comb += [
            core.reset_sys.eq(watchdog.stood),
            etherbone.reset.eq(watchdog.stood),
            self.outbox.discard.eq(watchdog.stood),
        ]
        for domain in DOMAINS[1:]:
            self.specials += MultiReg(watchdog.stood, getattr(core, f"reset_{domain}"), domain)
        self.events |= {
            "frames_taken": self.inbox.taken,
            "frames_dropped": self.inbox.dropped,
            "stray_datagrams": etherbone.dropped,
            "stray_writes": etherbone.ignored,
            "link_resets": watchdog.event,
        }

    def _carry_frames(self, port):
        """Connects a UDP port to the engine."""
        self.inbox = inbox = Inbox(FrameRule(), RING_DEPTH)
        self.inserter = inserter = Crc32Inserter(32)
        self.outbox = outbox = Outbox(FRAMES_PORT)
        self.comb += [
            port.source.connect(inbox.sink),
            inbox.idle.eq(self.idle),
            inbox.source.connect(self.requests),
            self.answers.connect(inserter.sink),
            inserter.source.connect(outbox.sink),
            outbox.peer.ip_address.eq(inbox.peer.ip_address),
            outbox.peer.port.eq(inbox.peer.port),
            outbox.source.connect(port.sink),
        ]
