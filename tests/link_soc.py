"""A SoC with only the link, which compiles in seconds, and a client that sends raw bytes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dscim.sim.elaborate import Design
from dscim.sim.server import Simulator
from tests.link_bytes import OPEN, READ, answers, frame, wire

CLK_FREQ = 1_000_000
TIMEOUT = CLK_FREQ // 10
LEASE = CLK_FREQ
IDENTITY = 0xD5C1_0001
MEMORY, WORDS = 0x1000_0000, 16384
OUTSIDE = 0x2000_0000
"""A memory that only UARTBone may reach, not frames."""

LOCK, CYCLES = 0x0800, 0x0804
"""Registers: 1 in LOCK locks MEMORY; CYCLES counts since reset."""

COUNTERS = (
    "frames_taken",
    "frames_dropped",
    "frames_doubled",
    "frames_ahead",
    "frames_refused",
    "stray_bytes",
    "sessions_opened",
    "stray_datagrams",
    "stray_writes",
    "link_resets",
)


UART_CLK_FREQ = 75_000_000
"""Clock of the SoC behind a real UART PHY, in Hz."""


def build(platform: Any, baud: int | None = None) -> Any:
    """The SoC on `platform`: MEMORY, OUTSIDE, LOCK, CYCLES and the link's counters.

    baud: puts it behind a UART PHY, connected to the simulator's bytes through a second one.
    """
    from litex.gen import LiteXModule  # noqa: PLC0415  Migen is slow to import
    from litex.soc.integration.soc import SoCRegion  # noqa: PLC0415
    from litex.soc.integration.soc_core import SoCMini  # noqa: PLC0415
    from litex.soc.interconnect import wishbone  # noqa: PLC0415
    from litex.soc.interconnect.csr import CSRStatus, CSRStorage  # noqa: PLC0415

    from dscim.gateware import registers  # noqa: PLC0415
    from dscim.gateware.link.link import Link  # noqa: PLC0415
    from dscim.gateware.link.reach import Region  # noqa: PLC0415
    from dscim.gateware.link.uart import UartCarrier  # noqa: PLC0415
    from dscim.gateware.memory import WindowedMemory  # noqa: PLC0415

    class LinkSoC(SoCMini):
        csr_map = {"core": 1, "link": registers.LINK_PAGE}  # noqa: RUF012

    clk_freq = UART_CLK_FREQ if baud else CLK_FREQ
    soc = LinkSoC(platform, clk_freq, csr_data_width=32, ident="link", ident_version=False)
    soc.crg = platform.crg()
    soc.core = LiteXModule()
    soc.core.lock = CSRStorage(1)
    soc.core.cycles = CSRStatus(32)
    soc.sync += soc.core.cycles.status.eq(soc.core.cycles.status + 1)
    soc.memory = WindowedMemory(32, WORDS)
    soc.outside = wishbone.SRAM(4 * WORDS, bus=wishbone.Interface(addressing="word"))
    for name, origin in (("memory", MEMORY), ("outside", OUTSIDE)):
        soc.bus.add_slave(name, getattr(soc, name).bus, SoCRegion(origin, 4 * WORDS))
    page = soc.csr.paging
    soc.uart_carrier = UartCarrier(add_phy(soc, platform, clk_freq, baud), clk_freq)
    soc.link = Link(
        clk_freq,
        IDENTITY,
        [
            Region(MEMORY, 4 * WORDS, memory=True),
            Region(LOCK, page, memory=False),
            Region(registers.LINK_BASE, page, memory=False),
        ],
        [soc.uart_carrier],
    )
    soc.comb += [
        soc.link.locked.eq(soc.core.lock.storage),
        soc.memory.locked.eq(soc.core.lock.storage),
    ]
    soc.bus.add_master("uartbone", master=soc.uart_carrier.wishbone)
    soc.bus.add_master("frames", master=soc.link.engine.bus)
    return soc


def add_phy(soc: Any, platform: Any, clk_freq: int, baud: int | None) -> Any:
    """The PHY of the link: the simulator's bytes, or a line at `baud` in front of them."""
    from litex.soc.cores.uart import RS232PHY, RS232PHYModel, UARTPads  # noqa: PLC0415

    soc.bytes = RS232PHYModel(platform.request("serial"))
    if baud is None:
        return soc.bytes
    pads = UARTPads(), UARTPads()
    soc.near, soc.far = (RS232PHY(ends, clk_freq, baud) for ends in pads)
    soc.comb += [
        pads[0].rx.eq(pads[1].tx),
        pads[1].rx.eq(pads[0].tx),
        soc.bytes.source.connect(soc.near.sink),
        soc.near.source.connect(soc.bytes.sink),
    ]
    return soc.far


def design(baud: int | None = None) -> Design:
    """The SoC as a design."""
    import dscim.gateware  # noqa: PLC0415

    return Design(
        "link",
        f"{baud}",
        lambda platform: build(platform, baud),
        [Path(dscim.gateware.__file__).parent],
        UART_CLK_FREQ if baud else CLK_FREQ,
    )


class Client:
    """Sends and receives raw bytes. patience: seconds to wait for a byte."""

    def __init__(self, simulator: Simulator, patience: float = 10):
        self.simulator = simulator
        self._patience = patience
        self._socket = socket.create_connection(("127.0.0.1", simulator.port), patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session = 0
        self._kept = b""  # received, but not returned yet

    def close(self):
        self._socket.close()

    def send(self, data: bytes):
        self._socket.sendall(data)

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        assert not self._kept
        data = b""
        while len(data) < count:
            came = self._socket.recv(count - len(data))
            assert came, "closed"
            data += came
        return data

    def frames(self, count: int) -> list:
        """The next `count` frames, parsed; asserts that nothing else comes between them."""
        data = self.codes(count)
        found = answers(data)
        assert data == wire(*(frame(*fields) for fields in found))
        return found

    def codes(self, count: int) -> bytes:
        """The bytes of the next `count` frames; keeps those that follow."""
        parts, zeros = [self._kept], self._kept.count(0)
        while zeros < 2 * count:
            came = self._socket.recv(1 << 16)
            assert came, "closed"
            parts.append(came)
            zeros += came.count(0)
        data = b"".join(parts)
        end = len(data)
        for _ in range(zeros - 2 * count + 1):  # back to the last of these frames' zeros
            end = data.rindex(0, 0, end)
        self._kept = data[end + 1 :]
        return data[: end + 1]

    def nothing(self, cycles: int = 2000):
        """Asserts that no byte comes within this many cycles."""
        self.simulator.pass_cycles(cycles)
        self._socket.settimeout(0.05)
        try:
            came = self._kept or self._socket.recv(100)
            raise AssertionError(f"received {came.hex()}")
        except TimeoutError:
            self._socket.settimeout(self._patience)

    def discard(self):
        """Discards all bytes received so far."""
        self._kept = b""
        self._socket.settimeout(0.05)
        try:
            while self._socket.recv(1 << 16):
                pass
        except TimeoutError:
            self._socket.settimeout(self._patience)

    def ask(self, *texts: bytes) -> list:
        """Sends frames; returns one answer each."""
        self.send(wire(*texts))
        return self.frames(len(texts))

    def open(self, session: int, take_over: int = 0) -> tuple:
        """Sends OPEN; returns its answer."""
        self.session = session
        return self.ask(frame(OPEN, 0, session, take_over))[0]

    def read(self, address: int, count: int = 1) -> list[int]:
        """Reads words with READ frames of the session."""
        words = []
        for start in range(0, count, 255):
            size = min(255, count - start)
            (answer,) = self.ask(frame(READ, start, self.session, address + 4 * start, count=size))
            assert answer[:4] == (0x83, start & 0xFFFF, self.session, address + 4 * start), answer
            words += answer[4]
        return words

    def counters(self) -> dict[str, int]:
        """The link's counters, by name."""
        return dict(zip(COUNTERS, self.read(0x1800, len(COUNTERS)), strict=True))

    def bone_read(self, address: int, count: int = 1) -> list[int]:
        """Reads words with a UARTBone command."""
        self.send(bytes([2, count]) + (address >> 2).to_bytes(4, "big"))
        data = self.receive(4 * count)
        return [int.from_bytes(data[4 * i : 4 * i + 4], "big") for i in range(count)]

    def bone_write(self, address: int, words: list[int]):
        """Writes words with a UARTBone command."""
        self.send(
            bytes([1, len(words)])
            + (address >> 2).to_bytes(4, "big")
            + b"".join(word.to_bytes(4, "big") for word in words)
        )


@contextmanager
def connected(stall: int = 0) -> Iterator[Client]:
    """A client of this SoC, simulated. stall: a seed with which the streams at the pins stall."""
    with Simulator(design(), stall=stall) as simulator:
        client = Client(simulator)
        yield client
        client.close()


def random_words(rng, count: int) -> list[int]:
    return [int(word) for word in rng.integers(0, 1 << 32, count)]
