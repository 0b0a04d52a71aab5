"""Truncated, foreign and forged packets to the host have no effect, except that a sender who
knows the session can cause the link's own errors."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dscim.errors import LinkError
from dscim.gateware.link.protocol import Kind
from dscim.host.golden.twin.link import Twin
from dscim.host.link.frames import Frame, wire
from dscim.host.link.session import FrameLink
from tests.link_faults import (
    MEMORY,
    REGISTERS,
    Clock,
    FaultyDatagrams,
    FaultyLine,
    Ledger,
    LineCarrier,
)

WORDS = np.random.default_rng(51).integers(0, 1 << 32, 600, dtype=np.uint32)
BOUND = 120.0
"""Simulated seconds within which each test ends."""

KINDS = st.sampled_from([*Kind]) | st.integers(0, 255)
Packet = Callable[[bytes], bytes]
"""Makes a packet to the host from the device's next answer."""


def cut(at: int) -> Packet:
    return lambda answer: answer[: at % len(answer)]


def damaged(bits: list[int]) -> Packet:
    def flip(answer: bytes) -> bytes:
        octets = bytearray(answer)
        for bit in set(bits):
            octets[bit // 8 % len(octets)] ^= 1 << bit % 8
        return bytes(octets)

    return flip


def foreign(kind: int, sequence: int, session: int, address: int, data: bytes) -> Packet:
    """A valid frame of another session."""

    def make(answer: bytes) -> bytes:
        ours = Frame.decode(answer).session
        return Frame(
            kind,
            sequence,
            session if session != ours else ours ^ 1,
            address,
            b"" if kind == Kind.READ else data[: len(data) // 4 * 4],
        ).encode()

    return make


def forged(kind: int, ahead: int, address: int, data: bytes) -> Packet:
    """A valid frame of this session, sent by an eavesdropper."""

    def make(answer: bytes) -> bytes:
        frame = Frame.decode(answer)
        return Frame(
            kind,
            (frame.sequence + ahead) % 65536,
            frame.session,
            frame.address ^ address,
            b"" if kind == Kind.READ else data[: len(data) // 4 * 4],
        ).encode()

    return make


BYTES = st.binary(max_size=80)
HARMLESS = st.one_of(
    BYTES.map(lambda data: lambda answer: data),
    st.integers(0, 2000).map(cut),
    st.lists(st.integers(0, 8000), min_size=1, max_size=3).map(damaged),
    st.builds(
        foreign,
        KINDS,
        st.integers(0, 40),
        st.integers(0, 0xFFFF_FFFF),
        st.sampled_from([0, 1, 7, MEMORY.start]),
        BYTES,
    ),
)
FORGED = st.builds(forged, KINDS, st.integers(0, 3), st.sampled_from([0, 4]), BYTES)


class Hostile(FaultyDatagrams):
    """Sends foreign packets before each of the device's answers."""

    def __init__(self, clock: Clock, packets: list[Packet]) -> None:
        twin = Twin(
            Ledger(MEMORY, REGISTERS), [MEMORY, REGISTERS], lease=10_000_000, clock=clock.cycles
        )
        super().__init__(twin, clock, 0.0, 0)
        self._packets = packets

    def _to_device(self, frame: bytes) -> None:
        answer = self._twin.answer(frame)
        if answer is not None:
            for packet in self._packets:
                self._arrived.append(packet(answer))
            self._travel(answer, self._arrived.append)


class HostileLine(FaultyLine):
    """The same on a serial line: sends stray bytes before each answer."""

    def __init__(self, clock: Clock, stray: list[bytes]) -> None:
        twin = Twin(
            Ledger(MEMORY, REGISTERS), [MEMORY, REGISTERS], lease=10_000_000, clock=clock.cycles
        )
        super().__init__(twin, clock, 0.0, 0)
        self._stray, self._turn = stray, 0

    def _to_device(self, data: bytes) -> None:
        answer = self._line.answer(data)
        if answer:
            self._turn += 1
            stray = self._stray[self._turn % len(self._stray)]
            self._travel(stray + answer, 1, self._arrived.extend)


def use(link: FrameLink) -> None:
    link.write(MEMORY.start, WORDS)
    np.testing.assert_array_equal(link.read(MEMORY.start, len(WORDS)), WORDS)


MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(st.lists(HARMLESS, min_size=1, max_size=4))
def test_damaged_and_foreign_packets_change_no_word(packets: list[Packet]) -> None:
    clock = Clock()
    link = FrameLink(Hostile(clock, packets), timeout=1)
    use(link)
    link.close()
    assert clock.seconds < BOUND


@MANY
@given(st.lists(HARMLESS | FORGED, min_size=1, max_size=4))
def test_forged_packets_raise_the_links_own_errors(packets: list[Packet]) -> None:
    """A sender who knows the session can send wrong data, but not crash the host."""
    clock = Clock()
    with suppress(LinkError):
        link = FrameLink(Hostile(clock, packets), timeout=1)
        link.write(MEMORY.start, WORDS)
        assert len(link.read(MEMORY.start, len(WORDS))) == len(WORDS)
    assert clock.seconds < BOUND


@MANY
@given(st.lists(BYTES | BYTES.map(wire), min_size=1, max_size=4))
def test_stray_bytes_on_a_line_change_no_word(stray: list[bytes]) -> None:
    clock = Clock()
    link = FrameLink(LineCarrier(HostileLine(clock, stray)), timeout=1)
    use(link)
    link.close()
    assert clock.seconds < BOUND
