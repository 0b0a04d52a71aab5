"""FrameLink with the device's twin: with any fault the words are right, or an error is raised."""

import dataclasses

import numpy as np
import pytest

from dscim.errors import LinkError
from dscim.gateware.link.protocol import Kind
from dscim.host.golden.twin.link import Twin
from dscim.host.link.frames import Frame, Refused
from dscim.host.link.handshake import Busy
from dscim.host.link.session import FrameLink
from tests.link_faults import (
    CYCLES,
    MEMORY,
    REGISTERS,
    Clock,
    FaultyDatagrams,
    FaultyLine,
    Ledger,
    LineCarrier,
)

SECOND = CYCLES
BOUND = 3600.0
"""Simulated seconds; no test comes near, but a hang would."""


class Bench:
    """A twin with its ledger and clock, and carriers to it."""

    def __init__(self, *, lease: int = 10 * SECOND, window: int = 32) -> None:
        self.clock = Clock()
        self.ledger = Ledger(MEMORY, REGISTERS)
        self.twin = Twin(
            self.ledger,
            [MEMORY, REGISTERS],
            spec_hash=0x1234,
            window=window,
            lease=lease,
            clock=self.clock.cycles,
        )

    def datagrams(self, rate: float = 0.0, seed: int = 0) -> FaultyDatagrams:
        return FaultyDatagrams(self.twin, self.clock, rate, seed)

    def line(self, rate: float = 0.0, seed: int = 0) -> LineCarrier:
        return LineCarrier(FaultyLine(self.twin, self.clock, rate, seed))


def transfer(bench: Bench, link: FrameLink, words: int, seed: int) -> str:
    """Random writes and reads; asserts that every word read is right, and written exactly once.

    Returns "whole", or the sentence of the LinkError that ended it.
    """
    random = np.random.default_rng(seed)
    expected = np.zeros(len(MEMORY) // 4, np.uint32)
    times = np.zeros(len(expected), np.int64)
    try:
        while words > 0:
            count = min(int(2 ** random.uniform(0, 14)), words)
            start = int(random.integers(len(expected) - count))
            new = random.integers(0, 1 << 32, count, dtype=np.uint32)
            link.write(MEMORY.start + 4 * start, new)
            expected[start : start + count] = new
            times[start : start + count] += 1
            start = max(0, start - int(random.integers(100)))
            np.testing.assert_array_equal(
                link.read(MEMORY.start + 4 * start, count), expected[start : start + count]
            )
            words -= count
        ended = "whole"
    except LinkError as error:
        ended = str(error)
        new_times = bench.ledger.times[MEMORY] - times
        assert new_times.min() >= 0
        assert new_times.max() <= 1
    else:
        np.testing.assert_array_equal(bench.ledger.words[MEMORY], expected)
        np.testing.assert_array_equal(bench.ledger.times[MEMORY], times)
    assert bench.clock.seconds < BOUND
    return ended


def report(
    bench: Bench, carrier: FaultyDatagrams | FaultyLine, link: FrameLink, ended: str
) -> None:
    print(
        f"\n{ended}; {bench.clock.seconds:.2f} s; faults {dict(carrier.faults)}; "
        f"{dataclasses.asdict(link.statistics)}; {dataclasses.asdict(bench.twin.counters)}"
    )


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.2])
@pytest.mark.parametrize("seed", [1, 2])
def test_datagrams_with_faults(rate: float, seed: int) -> None:
    bench = Bench()
    carrier = bench.datagrams(rate, seed)
    link = FrameLink(carrier)
    ended = transfer(bench, link, 100_000, seed)
    report(bench, carrier, link, ended)
    assert ended == "whole"


@pytest.mark.parametrize("rate", [0.0, 1e-6, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_line_with_flipped_bits(rate: float, seed: int) -> None:
    bench = Bench()
    carrier = bench.line(rate, seed)
    link = FrameLink(carrier)
    ended = transfer(bench, link, 100_000 if rate < 1e-3 else 20_000, seed)
    report(bench, carrier.line, link, ended)
    assert ended == "whole"


def test_nothing_is_sent_twice_where_nothing_is_lost() -> None:
    bench = Bench()
    link = FrameLink(bench.line())
    assert transfer(bench, link, 50_000, 3) == "whole"
    assert link.statistics.resends == 0
    assert link.statistics.damaged == link.statistics.foreign == 0
    assert bench.twin.counters.frames_doubled == 0


@pytest.mark.parametrize("count", [65536])
def test_a_line_is_fully_used(count: int) -> None:
    """At least 95 % of the bytes on the line are data in writes, 90 % in reads."""
    bench = Bench()
    carrier = bench.line()
    link = FrameLink(carrier)
    words = np.random.default_rng(4).integers(0, 1 << 32, count, dtype=np.uint32)
    for act, least in (
        (lambda: link.write(MEMORY.start, words), 0.95),
        (lambda: link.read(MEMORY.start, count), 0.90),
    ):
        start = bench.clock.seconds
        act()
        used = 4 * count * carrier.byte_seconds / (bench.clock.seconds - start)
        print(f"{used:.3f} of the line")
        assert used >= least


def test_sequences_wrap() -> None:
    bench = Bench()
    link = FrameLink(bench.datagrams(0.02, 5))
    link._next_write = bench.twin._first = 65_000
    for value in range(2000):
        link.write(REGISTERS.start, np.array([value], np.uint32))
    link.write(MEMORY.start, np.arange(100_000, dtype=np.uint32))
    assert bench.ledger.times[REGISTERS][0] == 2000
    assert bench.ledger.words[REGISTERS][0] == 1999
    np.testing.assert_array_equal(link.read(MEMORY.start, 100_000), np.arange(100_000))


def test_a_reset_in_the_middle_is_reported() -> None:
    bench = Bench()
    link = FrameLink(bench.line())
    bench.clock.at(bench.clock.seconds + 0.02, bench.twin.reset)
    with pytest.raises(LinkError, match="reset or reloaded"):
        link.write(MEMORY.start, np.zeros(100_000, np.uint32))
    with pytest.raises(LinkError, match=r"has ended.*reset or reloaded"):
        link.read(MEMORY.start, 1)
    link.close()


def test_a_reset_between_calls_is_reported() -> None:
    bench = Bench()
    link = FrameLink(bench.datagrams())
    bench.clock.seconds += 1
    bench.twin.reset()
    with pytest.raises(LinkError, match="reset or reloaded"):
        link.read(MEMORY.start, 1)


def test_a_lease_that_ran_out_is_opened_again() -> None:
    bench = Bench(lease=SECOND)
    link = FrameLink(bench.line(), memories=[MEMORY])
    words = np.arange(5000, dtype=np.uint32)
    for place in (MEMORY.start, REGISTERS.start):
        count = 5000 if place == MEMORY.start else 1
        for _ in range(3):
            bench.clock.seconds += 2
            link.write(place, words[:count])
            bench.clock.seconds += 2
            np.testing.assert_array_equal(link.read(place, count), words[:count])
    assert link.statistics.sessions == 13
    assert bench.ledger.times[REGISTERS][0] == 3


def test_a_lease_shorter_than_a_transfer_holds_while_it_lasts() -> None:
    bench = Bench(lease=SECOND // 20)
    link = FrameLink(bench.line())
    link.write(MEMORY.start, np.arange(200_000, dtype=np.uint32))
    assert link.statistics.sessions == 1
    assert bench.clock.seconds > 0.5


def test_another_host_in_between_is_reported() -> None:
    bench = Bench(lease=SECOND)
    first = FrameLink(bench.datagrams())
    bench.clock.seconds += 2
    FrameLink(bench.datagrams()).close()
    with pytest.raises(LinkError, match="lease had expired"):
        first.read(MEMORY.start, 1)


def test_a_second_host_is_refused_or_waits_or_takes_over() -> None:
    bench = Bench(lease=SECOND)
    first = FrameLink(bench.datagrams())
    with pytest.raises(Busy, match=r"in use by another host.*--wait.*--take-over.*cycles"):
        FrameLink(bench.datagrams())
    before = bench.clock.seconds
    second = FrameLink(bench.datagrams(), wait=5)  # until the lease of the first expires
    assert 0.5 < bench.clock.seconds - before < 1.5
    with pytest.raises(LinkError, match="Another host has taken"):
        first.read(MEMORY.start, 1)
    third = FrameLink(bench.datagrams(), take_over=True)
    with pytest.raises(LinkError, match="Another host has taken"):
        second.write(MEMORY.start, np.zeros(1, np.uint32))
    third.close()
    FrameLink(bench.datagrams()).close()


def test_an_end_frees_the_device() -> None:
    bench = Bench(lease=0)
    link = FrameLink(bench.line())
    link.close()
    link.close()
    FrameLink(bench.line()).close()
    with pytest.raises(LinkError, match="has ended: It was closed"):
        link.read(MEMORY.start, 1)


def test_wrong_places() -> None:
    link = FrameLink(Bench().datagrams())
    for place, count in ((MEMORY.stop, 1), (MEMORY.stop - 4, 2), (0, 1)):
        with pytest.raises(Refused, match=rf"{count} words at {place:#x}"):
            link.read(place, count)
    assert len(link.read(MEMORY.start, 1)) == 1
    assert len(link.read(MEMORY.start, 0)) == 0
    with pytest.raises(ValueError, match="0x10000002"):
        link.read(MEMORY.start + 2, 1)
    with pytest.raises(ValueError, match="int64"):
        link.write(MEMORY.start, np.zeros(1, np.int64))  # type: ignore[arg-type]
    link.write(MEMORY.start, np.zeros(0, np.uint32))
    with pytest.raises(Refused, match="0x0"):
        link.write(0, np.zeros(1, np.uint32))
    with pytest.raises(LinkError, match="has ended"):
        link.read(MEMORY.start, 1)


def test_a_late_double_of_an_old_session_does_nothing() -> None:
    bench = Bench()
    carrier = bench.datagrams()
    sent: list[bytes] = []
    send = carrier.send
    carrier.send = lambda frames: (sent.extend(frames), send(frames))[1]  # type: ignore[method-assign]
    link = FrameLink(carrier)
    link.write(REGISTERS.start, np.ones(3, np.uint32))
    link.close()
    for frame in sent * 2:
        assert bench.twin.answer(frame)
    assert bench.ledger.times[REGISTERS].max() == 1
    FrameLink(bench.datagrams()).close()


@pytest.mark.parametrize("kind", [0, 5, 0x7F])
def test_the_twin_refuses_unknown_kinds(kind: int) -> None:
    answer = Bench().twin.answer(Frame(kind, 7, 9, 0x800).encode())
    assert answer
    refused = Frame.decode(answer)
    assert (refused.kind, refused.sequence, refused.session) == (Kind.REFUSED, 7, 9)
    assert list(refused.words) == [4]


def test_the_twin_is_silent_to_answers() -> None:
    bench = Bench()
    assert bench.twin.answer(Frame(Kind.REFUSED, 7, 9, 0x800).encode()) is None
    assert bench.twin.counters.frames_dropped == 1


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.2])
def test_twenty_megabytes_over_datagrams(rate: float) -> None:
    bench = Bench()
    carrier = bench.datagrams(rate, 11)
    link = FrameLink(carrier)
    ended = transfer(bench, link, 5_000_000, 11)
    report(bench, carrier, link, ended)
    assert ended == "whole"


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-6, 1e-5, 1e-4, 1e-3])
def test_two_megabytes_over_a_line(rate: float) -> None:
    bench = Bench()
    carrier = bench.line(rate, 12)
    link = FrameLink(carrier)
    ended = transfer(bench, link, 500_000, 12)
    report(bench, carrier.line, link, ended)
    assert ended == "whole"
