"""LiteEth 2024.12 with its faults fixed.

`UdpIpCore` and `Etherbone` put LiteEth's parts together as LiteEth itself does, with a fixed part
in place of each faulty one. LiteEth's own classes are not changed, so other designs in the same
process are not affected. The docstring of each fix describes the fault.
"""

from liteeth.common import (
    convert_ip,
    eth_fcs_length,
    eth_icmp_user_description,
    eth_min_frame_length,
    eth_phy_description,
    ethernet_type_arp,
    ethernet_type_ip,
    icmp_protocol,
    icmp_type_ping_reply,
    udp_protocol,
)
from liteeth.core.arp import LiteEthARPRX, LiteEthARPTable, LiteEthARPTX
from liteeth.core.icmp import LiteEthICMPRX, LiteEthICMPTX
from liteeth.core.ip import LiteEthIPRX, LiteEthIPTX, LiteEthIPV4Crossbar
from liteeth.core.udp import LiteEthUDPCrossbar, LiteEthUDPRX, LiteEthUDPTX
from liteeth.frontend.etherbone import LiteEthEtherbone
from liteeth.mac.common import LiteEthMACCrossbar, LiteEthMACDepacketizer, LiteEthMACPacketizer
from liteeth.mac.core import LiteEthMACCore
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from litex.soc.interconnect.packet import PacketFIFO
from litex.soc.interconnect.stream import DIR_SINK, DIR_SOURCE, BufferizeEndpoints
from migen import FSM, If, Mux, NextState, Signal

DW = 32
"""Bits of a word of LiteEth's streams."""

PING_BYTES = 128
"""The longest ping that is answered."""


def fix_packet_fifo(fifo: PacketFIFO) -> PacketFIFO:
    """Makes a new FIFO of packets take a packet's parameters once; returns it.

    Fault of LiteX 2024.12: a FIFO that is full at a packet's last word takes the parameters again
    in every cycle that the word waits. Packets then have the parameters of others and wrong ends.
    In Etherbone with a buffer of 256 words, two writes of 255 words in a row do that and stop it
    permanently.
    """
    sink = fifo.sink  # a later statement wins: with the last word or not at all
    fifo.comb += fifo.param_fifo.sink.valid.eq(
        sink.valid & sink.last & fifo.payload_fifo.sink.ready
    )
    return fifo


def buffered_sink(part):
    """A new part of LiteEth with registers at its sink, in both directions; returns it.

    Fault of LiteEth 2024.12: without registers, `ready` goes from the comparison of an IP header
    through five modules to the memory behind the PHY in one cycle, 18 ns on an ECP5.
    """
    return BufferizeEndpoints({"sink": DIR_SINK}, pipe_valid=True, pipe_ready=True)(part)


def buffered_source(part):
    """The same with registers at the part's source."""
    return BufferizeEndpoints({"source": DIR_SOURCE}, pipe_valid=True, pipe_ready=True)(part)


class PaddingInserter(LiteXModule):
    """Pads frames to `padding` bytes; the last word may hold any number of them.

    Fault of LiteEth 2024.12: its module does not restart its count after a frame that ends in the
    word of byte `padding` but before that byte. The next frame is then not padded at all: with 32
    bits, of two answers with 15 to 17 bytes of UDP data the second is shorter than Ethernet allows.

    | port   | dir | meaning                                                                      |
    |--------|-----|------------------------------------------------------------------------------|
    | sink   | in  | eth_phy_description(dw): frames from the MAC header on, without FCS          |
    | source | out | the same, at least `padding` bytes; padding is zeros or what was in the word |
    """

    def __init__(self, dw: int, padding: int):
        self.sink = sink = stream.Endpoint(eth_phy_description(dw))
        self.source = source = stream.Endpoint(eth_phy_description(dw))

        # # #

        words, rest = divmod(padding, dw // 8)
        assert rest == 0  # 60 bytes in words of 8, 16 or 32 bits
        full = 1 << (dw // 8 - 1)  # last_be of a full word
        count = Signal(max=words + 1)  # words of this frame that have moved, `words` for more
        moved = source.valid & source.ready

        self.fsm = fsm = FSM(reset_state="COPY")
        fsm.act(
            "COPY",
            sink.connect(source),
            If(
                sink.last & (count < words),
                source.last.eq(count == words - 1),
                source.last_be.eq(Mux(source.last, full, 0)),
                If(moved & ~source.last, NextState("PAD")),
            ),
        )
        fsm.act(
            "PAD",
            source.valid.eq(1),
            source.last.eq(count == words - 1),
            source.last_be.eq(Mux(source.last, full, 0)),
            If(moved & source.last, NextState("COPY")),
        )
        self.sync += If(
            moved, If(source.last, count.eq(0)).Elif(count < words, count.eq(count + 1))
        )


class Echo(LiteXModule):
    """Answers one ping at a time; one that comes before the answer has left is dropped, and so is
    one of more than `depth` bytes.

    Fault of LiteEth 2024.12: its module lets that ping wait, and with it all that follows,
    including the ARP answer without which the first answer never leaves. It also has a memory for
    the parameters of pings, where registers are smaller.

    | port   | dir | meaning                                    |
    |--------|-----|--------------------------------------------|
    | sink   | in  | eth_icmp_user_description(dw): requests    |
    | source | out | the same: replies                          |
    """

    def __init__(self, dw: int, depth: int):
        description = eth_icmp_user_description(dw)
        self.sink = sink = stream.Endpoint(description)
        self.source = source = stream.Endpoint(description)

        # # #

        words = stream.EndpointDescription(description.payload_layout)
        self.buffer = buffer = stream.SyncFIFO(words, depth // (dw // 8), buffered=True)
        held = stream.Endpoint(description).param  # of the ping in the buffer, once it is complete
        complete, first, refused, refuse = Signal(), Signal(reset=1), Signal(), Signal()
        moves = {name for name, *_ in description.payload_layout} | {"last"}
        self.comb += [
            refuse.eq(Mux(first, complete | (sink.length > depth), refused)),
            If(refuse, sink.ready.eq(1)).Else(
                sink.connect(buffer.sink, keep=moves | {"valid", "ready"})
            ),
            buffer.source.connect(source, keep=moves),
            source.valid.eq(buffer.source.valid & complete),
            buffer.source.ready.eq(source.ready & complete),
            source.param.eq(held),
            source.msgtype.eq(icmp_type_ping_reply),
            # in ones' complement: the type, 8, becomes 0
            source.checksum.eq(held.checksum + 0x800 + (held.checksum >= 0xF800)),
        ]
        self.sync += [
            If(source.valid & source.ready & source.last, complete.eq(0)),
            If(
                sink.valid & sink.ready,
                first.eq(sink.last),
                refused.eq(refuse),
                If(sink.last & ~refuse, complete.eq(1), held.eq(sink.param)),
            ),
        ]


class Etherbone(LiteEthEtherbone):
    """LiteEthEtherbone with fixed FIFOs."""

    def __init__(self, udp, udp_port: int, buffer_depth: int):
        LiteEthEtherbone.__init__(self, udp, udp_port, buffer_depth=buffer_depth)
        for fifo in (self.probe.fifo, self.record.receiver.fifo, self.record.sender.fifo):
            fix_packet_fifo(fifo)


class Mac(LiteXModule):
    """LiteEthMAC as a crossbar, with our padding before its core.

    | port   | dir | meaning                                                     |
    |--------|-----|-------------------------------------------------------------|
    | sink   | in  | eth_phy_description(DW): frames to be padded and sent       |
    | source | out | the same: frames received                                   |
    """

    def __init__(self, phy):
        self.core = core = LiteEthMACCore(
            phy,
            DW,
            with_sys_datapath=True,
            with_padding=False,
            tx_cdc_buffered=True,
            rx_cdc_buffered=True,
        )
        self.padding = padding = PaddingInserter(DW, eth_min_frame_length - eth_fcs_length)
        self.crossbar = crossbar = LiteEthMACCrossbar(DW)
        self.packetizer = packetizer = buffered_source(LiteEthMACPacketizer(DW))
        self.depacketizer = depacketizer = buffered_sink(LiteEthMACDepacketizer(DW))
        self.sink, self.source = padding.sink, core.source

        # # #

        self.comb += [
            crossbar.master.source.connect(packetizer.sink),
            packetizer.source.connect(padding.sink),
            padding.source.connect(core.sink),
            core.source.connect(depacketizer.sink),
            depacketizer.source.connect(crossbar.master.sink),
        ]

    def get_csrs(self):
        """None, as in LiteEthMAC: the core's counters are not in the register map."""
        return []


class Arp(LiteXModule):
    """LiteEthARP with a buffered receiver."""

    def __init__(self, mac: Mac, mac_address: int, ip_address: int, clk_freq: int):
        self.tx = tx = LiteEthARPTX(mac_address, ip_address, DW)
        self.rx = rx = buffered_sink(LiteEthARPRX(mac_address, ip_address, DW))
        self.table = table = LiteEthARPTable(clk_freq)
        port = mac.crossbar.get_port(ethernet_type_arp, DW)
        self.comb += [
            rx.source.connect(table.sink),
            table.source.connect(tx.sink),
            tx.source.connect(port.sink),
            port.source.connect(rx.sink),
        ]


class Ip(LiteXModule):
    """LiteEthIP without broadcasts, with a buffered receiver."""

    def __init__(self, mac: Mac, mac_address: int, ip_address: int, table: LiteEthARPTable):
        self.tx = tx = LiteEthIPTX(mac_address, ip_address, table, dw=DW)
        self.rx = rx = buffered_sink(
            LiteEthIPRX(mac_address, ip_address, with_broadcast=False, dw=DW)
        )
        self.crossbar = crossbar = LiteEthIPV4Crossbar(DW)
        port = mac.crossbar.get_port(ethernet_type_ip, DW)
        self.comb += [
            tx.source.connect(port.sink),
            port.source.connect(rx.sink),
            crossbar.master.source.connect(tx.sink),
            rx.source.connect(crossbar.master.sink),
        ]


class Icmp(LiteXModule):
    """LiteEthICMP with our `Echo`, buffered at both sinks."""

    def __init__(self, ip: Ip, ip_address: int):
        self.tx = tx = buffered_sink(LiteEthICMPTX(ip_address, DW))
        self.rx = rx = buffered_sink(LiteEthICMPRX(ip_address, DW))
        self.echo = echo = Echo(DW, PING_BYTES)
        port = ip.crossbar.get_port(icmp_protocol, DW)
        self.comb += [
            rx.source.connect(echo.sink),
            echo.source.connect(tx.sink),
            tx.source.connect(port.sink),
            port.source.connect(rx.sink),
        ]


class Udp(LiteXModule):
    """LiteEthUDP, buffered at both sinks."""

    def __init__(self, ip: Ip, ip_address: int):
        self.tx = tx = buffered_sink(LiteEthUDPTX(ip_address, DW))
        self.rx = rx = buffered_sink(LiteEthUDPRX(ip_address, DW))
        self.crossbar = crossbar = LiteEthUDPCrossbar(DW)
        port = ip.crossbar.get_port(udp_protocol, DW)
        self.comb += [
            tx.source.connect(port.sink),
            port.source.connect(rx.sink),
            crossbar.master.source.connect(tx.sink),
            rx.source.connect(crossbar.master.sink),
        ]


class UdpIpCore(LiteXModule):
    """LiteEthUDPIPCore with 32 bits, its data path in `sys`, and every fix of this module.

    phy: a LiteEth PHY, no wider than 32 bits. ip_address: four numbers with dots. clk_freq: of
    `sys`, in Hz. Ports are those of `udp.crossbar.get_port(number, dw=32)`.
    """

    def __init__(self, phy, mac_address: int, ip_address: str, clk_freq: int):
        address = convert_ip(ip_address)
        self.mac = Mac(phy)
        self.arp = Arp(self.mac, mac_address, address, clk_freq)
        self.ip = Ip(self.mac, mac_address, address, self.arp.table)
        self.icmp = Icmp(self.ip, address)
        self.udp = Udp(self.ip, address)
