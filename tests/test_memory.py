"""WindowedMemory: engine and bus on one memory, at random, checked in every cycle."""

from collections import deque

import numpy as np
import pytest
from migen import passive, run_simulation

from dscim.gateware.memory import BUS_WIDTH, WindowedMemory

DEPTH = 4
CYCLES = 1000
ROOM = 2
"""Writes of the bus that wait for the engine."""
SHAPES = ((32, 32, 1), (64, 8, 1), (128, 32, 1), (64, 8, 2), (64, 8, 8), (32, 32, 4))
"""Bits of a word, bits that are written at once, and banks."""


def engine(memory, rng, ended: list[bool]):
    """Locks for random spans; reads and writes at random, reads only while locked."""
    locked = 0
    for _ in range(CYCLES):
        if rng.random() < 0.2:
            locked = int(rng.random() < 0.6)
        yield memory.locked.eq(locked)
        yield memory.read.re.eq(int(rng.random() < 0.6))
        yield memory.read.adr.eq(int(rng.integers(DEPTH**memory.banks)))
        some = rng.bytes(8) if rng.random() < 0.6 else b""
        if memory.second is not None:
            yield memory.second.re.eq(int(rng.random() < 0.6))
            yield memory.second.adr.eq(int(rng.integers(DEPTH**memory.banks)))
        yield memory.write.we.eq(int.from_bytes(some, "big") % (1 << len(memory.write.we)))
        yield memory.write.adr.eq(int(rng.integers(DEPTH**memory.banks)))
        data = rng.bytes(memory.banks * memory.width // 8)
        yield memory.write.dat_w.eq(int.from_bytes(data, "big"))
        yield
    yield memory.locked.eq(0)
    yield memory.write.we.eq(0)
    ended.append(True)


def transfer(memory, part: int, data: int | None):
    """One transfer over the bus: a write of `data`, or a read if it is None; returns the data."""
    bus = memory.bus
    yield bus.cyc.eq(1)
    yield bus.stb.eq(1)
    yield bus.we.eq(int(data is not None))
    yield bus.sel.eq(0xF)
    yield bus.adr.eq(part)
    yield bus.dat_w.eq(data or 0)
    yield
    while not (yield bus.ack):
        yield
    yield bus.cyc.eq(0)
    yield bus.stb.eq(0)
    return (yield bus.dat_r)


def host(memory, rng, words, counts, ended: list[bool]):
    """Random transfers with random gaps, then a read of everything, which equals `words`."""
    parts = memory.banks * memory.width // BUS_WIDTH
    for _ in range(CYCLES // 4):
        part = int(rng.integers(DEPTH * parts))
        write = rng.random() < 0.5
        counts[write] += 1
        yield from transfer(memory, part, int(rng.integers(1 << 32)) if write else None)
        while rng.random() < 0.3:
            yield
    while not ended or (yield memory.locked) or (yield memory.write.we):
        yield
    for part in range(DEPTH * parts):
        word = words[part // parts] >> BUS_WIDTH * (part % parts) & 0xFFFF_FFFF
        assert (yield from transfer(memory, part, None)) == word


def merged(old: int, new: int, enables: int, granularity: int) -> int:
    """`old` with the parts of `new` whose enables are set."""
    mask = sum(
        ((1 << granularity) - 1) << granularity * k
        for k in range(enables.bit_length())
        if enables >> k & 1
    )
    return old & ~mask | new & mask


def rows_of(memory, adr: int) -> list[int]:
    """The row of each bank in the engine's address."""
    return [adr // DEPTH**bank % DEPTH for bank in range(memory.banks)]


def held(memory, words: list[int], adr: int) -> int:
    """The words of the banks at the engine's address, side by side."""
    ones = (1 << memory.width) - 1
    return sum(
        words[row] & ones << memory.width * bank for bank, row in enumerate(rows_of(memory, adr))
    )


def put(memory, words: list[int], adr: int, data: int, enables: int, granularity: int) -> None:
    """The engine's write to each bank of `words`."""
    each = memory.width // granularity
    for bank, row in enumerate(rows_of(memory, adr)):
        own = enables & (1 << each) - 1 << each * bank
        words[row] = merged(words[row], data, own, granularity)


@passive
def judge_second(memory, words):
    """Checks the second read port in every cycle; before `judge`, which changes `words`."""
    expected, read = None, memory.second
    while True:
        if expected is not None:
            assert (yield read.dat_r) == expected
        if (yield read.re):
            expected = held(memory, words, (yield read.adr))
        yield


@passive
def judge(memory, granularity, words, counts):
    """Checks every cycle and keeps `words`, the expected memory: a row of all banks each."""
    bus, parts = memory.bus, memory.banks * memory.width // BUS_WIDTH
    engine_read, bus_read, waiting = None, None, deque()
    while True:
        locked, ack, enables = (yield memory.locked), (yield bus.ack), (yield memory.write.we)
        asks, writes = (yield bus.cyc) & (yield bus.stb), (yield bus.we)
        row, part = divmod((yield bus.adr), parts)
        if engine_read is not None:
            assert (yield memory.read.dat_r) == engine_read
        if asks and not writes:
            assert ack == (bus_read is not None), "a read takes two cycles, the first unlocked"
            if ack:
                assert (yield bus.dat_r) == bus_read >> BUS_WIDTH * part & 0xFFFF_FFFF
        if asks and writes:
            assert ack == (len(waiting) < ROOM), "a bus write waits for room, and for nothing else"
        if not asks:
            assert not ack
        counts["held reads"] += asks and not writes and locked
        counts["reads behind writes"] += asks and not writes and len(waiting) > 0
        counts["held writes"] += asks and writes and not ack
        counts["locked after request"] += locked and bus_read is not None
        # The effect of this edge: reads see the memory before the writes.
        reads = asks and not writes and not ack and not locked and not waiting
        bus_read = words[row] if reads else None
        if locked and (yield memory.read.re):
            engine_read = held(memory, words, (yield memory.read.adr))
        elif not locked:
            engine_read = None
        if enables:
            adr, data = (yield memory.write.adr), (yield memory.write.dat_w)
            put(memory, words, adr, data, enables, granularity)
        elif waiting:
            row_w, part_w, data = waiting.popleft()
            words[row_w] = merged(words[row_w], data << BUS_WIDTH * part_w, 1 << part_w, BUS_WIDTH)
        if ack and writes:
            waiting.append((row, part, (yield bus.dat_w)))
        yield


@pytest.mark.parametrize("second", (False, True), ids=("one port", "two ports"))
@pytest.mark.parametrize(("width", "granularity", "banks"), SHAPES)
def test_engine_and_bus_share_a_memory(width, granularity, banks, second):
    seeds = np.random.default_rng([width, granularity, banks]).spawn(2)
    memory = WindowedMemory(width, DEPTH, granularity, banks, second)
    words, ended = [0] * DEPTH, []
    counts = {
        True: 0,
        False: 0,
        "held reads": 0,
        "held writes": 0,
        "locked after request": 0,
        "reads behind writes": 0,
    }
    run_simulation(
        memory,
        [
            engine(memory, seeds[0], ended),
            host(memory, seeds[1], words, counts, ended),
            *([judge_second(memory, words)] if second else []),
            judge(memory, granularity, words, counts),
        ],
    )
    assert min(counts.values()) >= 5, counts
