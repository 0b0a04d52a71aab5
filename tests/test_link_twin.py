"""The gateware and its twin on the host give the same answers to the same bytes."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from dscim.gateware import registers
from dscim.gateware.layout import memory_sizes
from dscim.gateware.link.protocol import LEASE_SECONDS, Kind, Reason
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.golden.twin.link import LineTwin, Twin
from dscim.host.link.frames import Frame, Splitter, cobs_decode, data_of, wire
from dscim.sim.server import Simulator
from dscim.sim.soc import CLK_FREQ, soc_design
from tests.link_faults import Ledger

SPEC = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=2)
MEMORY = range(
    registers.MEMORY_BASES["activations"],
    registers.MEMORY_BASES["activations"] + memory_sizes(SPEC)["activations"],
)
BANK = range(registers.BANK_BASE, registers.BANK_BASE + 4 * len(registers.REGISTERS))
FRAMES = 2000
WORDS = 200
"""Words of memory in use: few, so that writes and reads overlap."""


@pytest.fixture
def device() -> Iterator[socket.socket]:
    with (
        Simulator(soc_design(SPEC)) as simulator,
        socket.create_connection(("127.0.0.1", simulator.port), 20) as client,
    ):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def made_twin() -> Twin:
    ledger = Ledger(MEMORY, BANK)
    ledger.words[BANK][:3] = registers.MAGIC, registers.PROTOCOL, SPEC.hash
    return Twin(ledger, [MEMORY, BANK], spec_hash=SPEC.hash, lease=LEASE_SECONDS * CLK_FREQ)


class Hosts:
    """Valid and invalid frames of competing hosts, as bytes on a line."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.sessions = [int(n) for n in self._random.integers(1, 1 << 32, 3)]
        self._sequence = 0

    def one(self, open_: bool, calm: bool) -> bytes:
        """One frame, or stray bytes if a session has been open for a while."""
        r = self._random
        what = r.choice(
            [
                "open",
                "close",
                "write",
                "write",
                "write",
                "again",
                "ahead",
                "read",
                "read",
                "wrong",
                "kind",
                "answer",
                "damaged",
                "stray",
            ]
        )
        session = self.sessions[0 if r.random() < 0.9 else int(r.integers(3))]
        size = int(r.integers(1, 30))
        place = MEMORY.start + 4 * int(r.integers(WORDS))
        words = data_of(r.integers(0, 1 << 32, size, dtype=np.uint32))
        if what == "open":
            if not open_ or r.random() < 0.3:
                self.sessions[0] = int(r.integers(1, 1 << 32))
                session = self.sessions[0]
            return self._wire(
                Frame(Kind.OPEN, int(r.integers(1 << 16)), session, int(r.integers(2)))
            )
        if what == "close":
            return self._wire(Frame(Kind.CLOSE, 3, session, 0)) if r.random() < 0.3 else b""
        if what == "read":
            place = BANK.start if r.random() < 0.2 else place
            return self._wire(
                Frame(
                    Kind.READ,
                    int(r.integers(1 << 16)),
                    session,
                    place,
                    requested=3 if place == BANK.start else size,
                )
            )
        if what == "wrong":
            place = int(r.choice([MEMORY.start + 2, MEMORY.stop - 4 * size + 4, 0x6000_0000]))
            kind = Kind.READ if r.random() < 0.5 else Kind.WRITE
            return self._wire(
                Frame(kind, self._sequence, session, place, requested=size)
                if kind == Kind.READ
                else Frame(kind, self._sequence, session, place, words)
            )
        if what == "kind":
            return self._wire(Frame(int(r.choice([0, 5, 77])), 9, session, place, words))
        if what == "answer":
            return self._wire(Frame(Kind.WRITTEN, 9, session, place))
        if what == "damaged":
            wire = bytearray(self._wire(Frame(Kind.WRITE, self._sequence, session, place, words)))
            spot = int(r.integers(1, len(wire) - 1))
            wire[spot] ^= 1 << int(r.integers(8))
            return bytes(wire) if wire[spot] else b""
        if what == "stray":
            return bytes(r.integers(1, 256, size, dtype=np.uint8)) if open_ and calm else b""
        return self._wire(Frame(Kind.WRITE, self._place(what), session, place, words))

    def _place(self, what: str) -> int:
        """The sequence of a WRITE: usually one of the next few, or an earlier or a distant one."""
        if what == "again":
            return (self._sequence - int(self._random.integers(5))) & 0xFFFF
        if what == "ahead":
            return (self._sequence + int(self._random.integers(25, 40))) & 0xFFFF
        self._sequence = (self._sequence + 1) & 0xFFFF
        return (self._sequence - 1 - int(self._random.integers(2))) & 0xFFFF

    def reset(self) -> None:
        """A new session was opened: its sequence starts at 0."""
        self._sequence = 0

    @staticmethod
    def _wire(frame: Frame) -> bytes:
        return wire(frame.encode())


def frames_in(data: bytes) -> list[Frame]:
    """The frames in an answer, without values that only the device knows."""
    found = []
    for piece in Splitter().split(data):
        frame = Frame.decode(cobs_decode(piece))
        words = frame.words.copy()
        address = frame.address
        if frame.kind == Kind.OPENED:
            words[0] = 0  # boot
        if frame.kind == Kind.REFUSED and words[0] == Reason.BUSY:
            address = 0  # the rest of the lease
        found.append(Frame(frame.kind, frame.sequence, frame.session, address, data_of(words)))
    return found


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_same_answers(device: socket.socket, seed: int) -> None:
    """All frames are sent at once, so no lease expires: the twin's clock does not move."""
    twin = made_twin()
    line, hosts = LineTwin(twin), Hosts(seed)
    sent, expected = b"", b""
    calm = 0  # frames since the session changed, which the device does with a delay
    for _ in range(FRAMES):
        opened, before = twin.counters.sessions_opened, twin.open
        data = hosts.one(twin.open, calm > 8)
        sent += data
        expected += line.answer(data)
        calm = calm + 1 if twin.open == before else 0
        if twin.counters.sessions_opened != opened:
            hosts.reset()
    device.sendall(sent)
    due = frames_in(expected)
    came = b""
    with suppress(TimeoutError):
        while came.count(0) < expected.count(0):
            came += device.recv(1 << 16)
    assert frames_in(came) == due
    kinds = Counter(Kind(frame.kind).name for frame in due)
    print(f"\nseed {seed}: {len(sent)} bytes, {kinds}, {twin.counters}")
    assert set(kinds) == {"OPENED", "WRITTEN", "DATA", "CLOSED", "REFUSED"}
