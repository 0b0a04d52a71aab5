"""The link in a small SoC, compared byte by byte with plain Python: frames and sessions."""

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from dscim.sim.server import Simulator
from tests import link_soc
from tests.link_bytes import (
    ADDRESS,
    BUSY,
    CLOSE,
    CLOSED,
    LOCKED,
    OPEN,
    OPENED,
    READ,
    REFUSED,
    SESSION,
    WINDOW,
    WRITE,
    WRITTEN,
    cobs,
    frame,
    wire,
)
from tests.link_soc import (
    CYCLES,
    LEASE,
    LOCK,
    MEMORY,
    OUTSIDE,
    WORDS,
    Client,
    connected,
    random_words,
)
from tests.link_twin import Twin, agree

REGIONS = [range(MEMORY, MEMORY + 4 * WORDS), range(LOCK, LOCK + 0x800), range(0x1800, 0x2000)]


@pytest.fixture
def client() -> Iterator[Client]:
    with connected() as connection:
        yield connection


@pytest.fixture
def stalling() -> Iterator[Client]:
    with connected(stall=11) as connection:
        yield connection


def test_open_reports_what_the_device_is(client: Client) -> None:
    kind, sequence, session, address, words = client.ask(frame(OPEN, 77, 0xBEEF, 0))[0]
    assert (kind, sequence, session, address) == (OPENED, 77, 0xBEEF, 0)
    assert words[1:] == (link_soc.IDENTITY, WINDOW, LEASE, 1)
    client.session = 0xBEEF
    client.ask(frame(WRITE, 0, 0xBEEF, MEMORY, [1]))
    again = client.open(0xBEEF)  # repeated: changes nothing
    assert again[4] == words
    assert client.ask(frame(WRITE, 0, 0xBEEF, MEMORY, [2]))[0][3] == 1
    assert client.read(MEMORY) == [1]
    assert client.open(0xF00D, take_over=1)[4] == (*words[:4], 2)  # the same boot


def test_megabyte_both_ways_with_stalls(stalling: Client) -> None:
    rng = np.random.default_rng(1)
    client, session = stalling, 0x1234
    client.open(session)
    words = random_words(rng, WORDS)
    words[:600] = [0] * 300 + [0x0101_0101] * 300
    texts = [
        frame(WRITE, i, session, MEMORY + 1020 * i, words[255 * i : 255 * i + 255])
        for i in range(-(-WORDS // 255))
    ]
    for start in range(0, len(texts), WINDOW):
        sent = texts[start : start + WINDOW]
        came = client.ask(*sent)
        assert came == [(WRITTEN, start + i, session, start + i + 1, ()) for i in range(len(sent))]
    assert client.read(MEMORY, WORDS) == words


def twin_frames(rng, twin: Twin, sessions: list[int]):
    """One random frame for a device in the state of `twin`, sensible in most cases."""
    kind = int(
        rng.choice(
            [OPEN, WRITE, READ, CLOSE, 0, 5, 0x82, 0xFF],
            p=[0.06, 0.5, 0.3, 0.04, 0.03, 0.03, 0.02, 0.02],
        )
    )
    session = twin.session if twin.session and rng.random() < 0.9 else int(rng.choice(sessions))
    region = rng.choice([0, 0, 0, 1])
    top = (4 * WORDS, 8)[region]
    address = (MEMORY, LOCK)[region] + int(rng.integers(top // 4)) * 4
    if rng.random() < 0.1:
        address = int(
            rng.choice(
                [
                    MEMORY + 2,
                    MEMORY - 4,
                    MEMORY + 4 * WORDS - 8,
                    OUTSIDE,
                    0,
                    1,
                    0xFFFF_FFFC,
                    0x1000,
                    MEMORY + 4 * WORDS,
                ]
            )
        )
    count = int(rng.choice([0, 1, 2, 3, 20, 255], p=[0.05, 0.3, 0.3, 0.2, 0.1, 0.05]))
    if address >> 16 == 0:
        count = min(count, 1)
    if kind == OPEN:
        return kind, int(rng.integers(65536)), session, int(rng.choice([0, 1, 2])), ()
    if kind == READ:
        return kind, int(rng.integers(65536)), session, address, (), count
    missing = getattr(twin, "missing", 0)
    spread = int(
        rng.choice(
            [0, 1, 2, 5, WINDOW - 1, WINDOW, -1, -5, 32767, 32768, -32767],
            p=[0.5, 0.1, 0.1, 0.1, 0.05, 0.04, 0.04, 0.04, 0.01, 0.01, 0.01],
        )
    )
    words = random_words(rng, 0 if kind == CLOSE and rng.random() < 0.9 else count)
    return kind, (missing + spread) % 65536, session, address, words


@pytest.mark.parametrize("seed", range(3))
def test_answers_are_those_of_the_twin(client: Client, seed: int) -> None:
    """Thousands of random frames in batches; memory and counters must equal the twin's."""
    rng = np.random.default_rng(seed)
    twin = Twin(REGIONS, REGIONS[:1], link_soc.IDENTITY, LEASE)
    sessions = [0, *random_words(rng, 3)]
    taken = 0
    for _ in range(60):
        sent, expected = [], []
        for _ in range(50):
            fields = twin_frames(rng, twin, sessions)
            if fields[3] == CYCLES:
                continue  # unknown to the twin
            sent.append(frame(*fields))
            answer = twin.answer(*fields)
            twin.memory[LOCK] = twin.memory.get(LOCK, 0) & 1
            twin.locked = bool(twin.memory[LOCK])
            for address in [a for a in twin.memory if a < MEMORY and a != LOCK]:
                del twin.memory[address]  # writes there have no effect
            expected += [answer] if answer else []
        client.send(wire(*sent))
        taken += len(sent)
        for came, due in zip(client.frames(len(expected)), expected, strict=True):
            assert agree(came, due), (came, due)
    if not twin.session:
        twin.answer(OPEN, 0, 0x77, 0)
    client.open(twin.session, take_over=1)
    client.ask(frame(WRITE, twin.missing, twin.session, LOCK, [0]))
    twin.locked = False
    memory = client.read(MEMORY, WORDS)
    assert memory == [twin.memory.get(MEMORY + 4 * i, 0) for i in range(WORDS)]
    found = client.counters()
    assert found["frames_taken"] == taken + 2 + -(-WORDS // 255) + 1
    assert found["frames_dropped"] == twin.counts["echoed"]
    assert found["frames_doubled"] == twin.counts["doubled"]
    assert found["frames_ahead"] == twin.counts["ahead"]
    assert found["frames_refused"] == twin.counts["refused"]
    assert found["sessions_opened"] == twin.sessions
    assert found["stray_bytes"] == 0


def test_every_damaged_and_cut_frame_is_dropped(client: Client) -> None:
    session, text = 0x0BAD_CAFE, frame(WRITE, 0, 0x0BAD_CAFE, MEMORY, [0x1122_3344])
    client.open(session)
    code = cobs(text)
    damaged = [
        bytes(b ^ (bit // 8 == i) << bit % 8 for i, b in enumerate(code))
        for bit in range(8 * len(code))
    ]
    for bad in [*damaged, *(code[:n] for n in range(1, len(code)))]:
        client.send(b"\0" + bad + b"\0")
    dropped = sum(sum(map(bool, bad.split(b"\0"))) for bad in damaged) + len(code) - 1
    assert client.read(MEMORY) == [0]
    found = client.counters()
    assert (found["frames_dropped"], found["stray_bytes"]) == (dropped, 0)
    assert client.ask(text) == [(WRITTEN, 0, session, 1, ())]
    assert client.read(MEMORY) == [0x1122_3344]


def test_a_lost_zero_costs_one_frame(client: Client) -> None:
    session = 99
    client.open(session)
    texts = [cobs(frame(WRITE, i, session, MEMORY + 4 * i, [i + 1])) for i in range(4)]
    client.send(
        b"\0" + texts[0] + b"\0" + texts[1] + b"\0" + b"\0" + texts[2] + b"\0\0" + texts[3] + b"\0"
    )  # no zero before the second: its bytes are strays
    assert [a[1] for a in client.frames(3)] == [0, 2, 3]
    assert client.counters()["stray_bytes"] == len(texts[1])
    client.send(b"\0" + texts[1] + b"x\0" + texts[1] + b"\0")  # one zero does both
    assert client.frames(1) == [(WRITTEN, 1, session, 4, ())]


def test_order_does_not_matter_within_the_window(client: Client) -> None:
    """Shuffled, duplicated and with gaps, over many windows: each is applied exactly once."""
    rng, session = np.random.default_rng(5), 0x5E55
    client.open(session)
    twin = Twin(REGIONS, REGIONS[:1], link_soc.IDENTITY, LEASE)
    twin.answer(OPEN, 0, session, 0)
    total = 700
    waiting = list(range(total))
    while waiting:
        near = [s for s in waiting if s < waiting[0] + WINDOW + 3]
        chosen = [int(s) for s in rng.permutation(near)[: rng.integers(1, WINDOW)]]
        chosen += [int(s) for s in rng.integers(0, waiting[0] + 1, 3)]
        fields = [(WRITE, s, session, MEMORY + 4 * s, random_words(rng, 1)) for s in chosen]
        expected = [a for a in (twin.answer(*f) for f in fields) if a]
        client.send(wire(*(frame(*f) for f in fields)))
        assert client.frames(len(expected)) == expected
        waiting = [s for s in waiting if s >= twin.missing and s not in twin.applied]
    assert twin.missing == total
    assert client.read(MEMORY, total) == [twin.memory[MEMORY + 4 * i] for i in range(total)]


def test_sequences_go_around(client: Client) -> None:
    session = 0xAAAA
    client.open(session)
    for start in range(0, 65536, 1024):
        client.send(wire(*(frame(WRITE, start + i, session, MEMORY, [start]) for i in range(1024))))
        client.codes(1024)
    assert client.read(MEMORY) == [65536 - 1024]
    for sequence in range(-5, 5):  # five of them are duplicates
        came = client.ask(frame(WRITE, sequence, session, MEMORY, [sequence & 0xFF]))
        assert came == [(WRITTEN, sequence % 65536, session, max(0, sequence + 1), ())]
    assert client.read(MEMORY) == [4]
    assert client.counters()["frames_doubled"] == 5


def test_a_second_host_is_reported_and_may_take_over(client: Client) -> None:
    client.open(1)
    ((kind, _, session, left, words),) = client.ask(frame(OPEN, 5, 2, 0))
    assert (kind, session, words) == (REFUSED, 2, (BUSY,))
    assert LEASE - 100_000 < left < LEASE
    assert client.open(2, take_over=1)[0] == OPENED
    assert client.ask(frame(WRITE, 0, 1, MEMORY, [1]))[0] == (REFUSED, 0, 1, MEMORY, (SESSION,))
    assert client.ask(frame(OPEN, 0, 1, 1))[0][4] == (SESSION,)  # a late duplicate of the first
    assert client.ask(frame(CLOSE, 3, 1, 0))[0] == (CLOSED, 3, 1, 0, ())
    assert client.ask(frame(WRITE, 0, 2, MEMORY, [9]))[0] == (WRITTEN, 0, 2, 1, ())
    for _ in range(3):
        assert client.ask(frame(CLOSE, 3, 2, 0))[0] == (CLOSED, 3, 2, 0, ())
    assert client.ask(frame(CLOSE, 3, 1, 0))[0][4] == (SESSION,)
    assert client.ask(frame(READ, 3, 2, MEMORY, count=1))[0][4] == (SESSION,)
    assert client.bone_read(MEMORY) == [9]


def test_the_lease_ends(client: Client) -> None:
    client.open(7)
    for _ in range(4):  # any valid frame renews it, even a refused one
        client.simulator.pass_cycles(int(0.4 * LEASE))
        assert client.ask(frame(READ, 0, 7, OUTSIDE, count=1))[0][4] == (ADDRESS,)
    client.simulator.pass_cycles(LEASE + 1000)
    assert client.ask(frame(WRITE, 0, 7, MEMORY, [1]))[0][4] == (SESSION,)
    assert client.ask(frame(OPEN, 0, 7, 0))[0][4] == (SESSION,)
    assert client.bone_read(MEMORY) == [0]
    assert client.open(8)[0] == OPENED


def test_after_a_reset_the_session_is_gone_and_the_boot_number_another() -> None:
    boots = set()
    for session in (0x1111_1111, 0x2222_2222, 0x3333_3333):
        with Simulator(link_soc.design()) as simulator:
            client = Client(simulator)
            assert client.ask(frame(WRITE, 5, 0x1111_1111, MEMORY, [1]))[0][4] == (SESSION,)
            boots.add(client.open(session)[4][0])
            client.close()
    assert len(boots) == 3


def test_locked_memory_is_refused_and_the_rest_is_not(client: Client) -> None:
    client.open(3)
    client.ask(frame(WRITE, 0, 3, MEMORY, [8, 9]), frame(WRITE, 1, 3, LOCK, [1]))
    assert client.ask(frame(READ, 4, 3, MEMORY, count=2)) == [(REFUSED, 4, 3, MEMORY, (LOCKED,))]
    assert client.read(LOCK) == [1]
    assert client.ask(frame(WRITE, 2, 3, MEMORY, [7]), frame(WRITE, 3, 3, LOCK, [0]))[1][3] == 4
    assert client.read(MEMORY, 2) == [7, 9]


def line_rate(client: Client, texts: list[bytes], answers: int) -> int:
    """Cycles between a READ of the SoC's clock before `texts` and one after.

    All bytes are in the simulator's socket before it continues.
    """
    clock = frame(READ, 0, client.session, CYCLES, count=1)
    os.kill(client.simulator.pid, signal.SIGSTOP)
    client.send(wire(clock, *texts, clock))
    os.kill(client.simulator.pid, signal.SIGCONT)
    came = client.frames(answers + 2)
    return came[-1][4][0] - came[0][4][0]


def test_throughput(client: Client) -> None:
    """At least 0.8 bytes of data per cycle both ways, on a line of 1 byte per cycle."""
    client.open(1)
    frames, size = 120, 1020
    words = random_words(np.random.default_rng(10), 255)
    writes = [frame(WRITE, i, 1, MEMORY, words) for i in range(frames)]
    cycles = line_rate(client, writes, frames)
    print(
        f"written: {frames * size / cycles:.3f} bytes per cycle; the limit of the line is "
        f"{frames * size / len(wire(*writes)):.3f}"
    )
    assert frames * size >= 0.8 * cycles
    reads = [frame(READ, i, 1, MEMORY, count=255) for i in range(frames)]
    cycles = line_rate(client, reads, frames)
    sent = frames * size - 512  # what the encoder may still hold when the last READ is done
    print(f"read: {sent / cycles:.3f} bytes per cycle")
    assert sent >= 0.8 * cycles
