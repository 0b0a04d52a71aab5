"""Carriers to a link's twin that drop, duplicate, reorder, delay, truncate and damage frames.

All faults are drawn from a seed. Time is simulated: the clock advances only when the host waits,
so an hour of time-outs takes a moment, and a hang shows up as simulated time.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from dscim.arrays import Words
from dscim.host.golden.twin.link import LineTwin, Twin
from dscim.host.link.carrier import StreamCarrier

MEMORY = range(0x1000_0000, 0x1000_0000 + (1 << 20))
REGISTERS = range(0x800, 0x800 + 64)
CYCLES = 1_000_000
"""The twin's cycles per simulated second."""

LATENCY = 100e-6


class Ledger:
    """A Link of memory that counts how often each word was written."""

    def __init__(self, *places: range) -> None:
        self.words = {place: np.zeros(len(place) // 4, np.uint32) for place in places}
        self.times = {place: np.zeros(len(place) // 4, np.int64) for place in places}

    def read(self, address: int, count: int) -> Words:
        place, first = self._find(address)
        return self.words[place][first : first + count].copy()

    def write(self, address: int, words: Words) -> None:
        place, first = self._find(address)
        self.words[place][first : first + len(words)] = words
        self.times[place][first : first + len(words)] += 1

    def close(self) -> None:
        pass

    def _find(self, address: int) -> tuple[range, int]:
        place = next(place for place in self.words if address in place)
        return place, (address - place.start) // 4


class Clock:
    """Simulated seconds, and events at given times."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def cycles(self) -> int:
        return int(self.seconds * CYCLES)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (seconds, self._number, act))

    def wait(self, wait: float, ready: Callable[[], object]) -> None:
        """Advances the time until `ready()` is true, by at most `wait`."""
        until = self.seconds + (max(wait, 1e-6) if wait > 0 else 0)
        while not ready() and self._events and self._events[0][0] <= until:
            self.seconds, _, act = heapq.heappop(self._events)
            act()
        if not ready():
            self.seconds = until


class FaultyDatagrams:
    """A Carrier to `twin`; each fault hits a datagram with probability `rate`, both ways."""

    stream = False
    byte_seconds = 0.0
    bytes_in_flight = 1 << 16
    reads_in_flight = 16
    bone = "Etherbone"
    name = "udp://faulty"

    def __init__(self, twin: Twin, clock: Clock, rate: float, seed: int) -> None:
        self.clock = clock
        self.faults: Counter[str] = Counter()
        self.bytes_sent = self.bytes_received = 0
        self._twin = twin
        self._rate = rate
        self._random = np.random.default_rng(seed)
        self._arrived: list[bytes] = []

    def now(self) -> float:
        return self.clock.seconds

    def harmless(self, frame: bytes) -> bool:
        return True

    def greet(self, frame: bytes) -> None:
        self.send([frame])

    def bone_word(self, address: int) -> int | None:
        return None

    def send(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            self.bytes_sent += len(frame)
            self._travel(frame, self._to_device)

    def receive(self, wait: float, worth: int = 1) -> list[bytes]:
        self.clock.wait(wait, lambda: self._arrived)
        arrived = list(self._arrived)
        self._arrived.clear()
        self.bytes_received += sum(map(len, arrived))
        return arrived

    def close(self) -> None:
        pass

    def _to_device(self, frame: bytes) -> None:
        answer = self._twin.answer(frame)
        if answer is not None:
            self._travel(answer, self._arrived.append)

    def _hits(self, fault: str) -> bool:
        hit = self._random.random() < self._rate
        self.faults[fault] += hit
        return bool(hit)

    def _travel(self, frame: bytes, arrive: Callable[[bytes], None]) -> None:
        self.faults["datagrams"] += 1
        if self._hits("dropped"):
            return
        for _ in range(2 if self._hits("doubled") else 1):
            came, late = frame, LATENCY
            if self._hits("reordered"):
                late += float(self._random.uniform(0, 5 * LATENCY))
            if self._hits("delayed"):
                late += float(self._random.exponential(0.1))
            if self._hits("truncated"):
                came = came[: int(self._random.integers(len(came)))]
            if self._hits("damaged"):
                came = flipped(came, 3 / (8 * len(came) + 1), self._random)[0]
            self.clock.at(self.clock.seconds + late, _bound(arrive, came))


class FaultyLine:
    """A Transport with `byte_seconds` per byte, whose bits flip at `rate`, both ways."""

    words_per_command = 255
    reads_in_flight = 1
    name = "/dev/faulty"

    def __init__(
        self, twin: Twin, clock: Clock, rate: float, seed: int, byte_seconds: float = 1e-6
    ) -> None:
        self.byte_seconds = byte_seconds
        self.bytes_sent = self.bytes_received = 0
        self.clock = clock
        self.faults: Counter[str] = Counter()
        self._line = LineTwin(twin)
        self._rate = rate
        self._random = np.random.default_rng(seed)
        self._arrived = bytearray()
        self._free = [0.0, 0.0]  # when each direction becomes free

    def send(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        self._travel(data, 0, self._to_device)

    def take(self, wait: float, worth: int = 1) -> bytes:
        self.clock.wait(wait, lambda: self._arrived)
        data = bytes(self._arrived)
        self._arrived.clear()
        self.bytes_received += len(data)
        return data

    def receive(self, count: int) -> bytes:
        raise NotImplementedError

    def pending(self) -> bytes:
        return self.take(0)

    def close(self) -> None:
        pass

    def _to_device(self, data: bytes) -> None:
        answer = self._line.answer(data)
        if answer:
            self._travel(answer, 1, self._arrived.extend)

    def _travel(self, data: bytes, way: int, arrive: Callable[[bytes], None]) -> None:
        came, flips = flipped(data, self._rate, self._random)
        self.faults["bits"] += 8 * len(data)
        self.faults["flipped"] += flips
        start = max(self.clock.seconds, self._free[way])
        step = 64
        for first in range(0, len(came), step):  # bytes arrive in small parts
            part = came[first : first + step]
            self._free[way] = start + (first + len(part)) * self.byte_seconds
            self.clock.at(self._free[way] + LATENCY, _bound(arrive, part))


class LineCarrier(StreamCarrier):
    """Frames over a FaultyLine, with its clock."""

    def __init__(self, line: FaultyLine) -> None:
        super().__init__(line)
        self.line = line

    def now(self) -> float:
        return self.line.clock.seconds


def _bound(arrive: Callable[[bytes], None], data: bytes) -> Callable[[], None]:
    return lambda: arrive(data)


def flipped(data: bytes, rate: float, random: np.random.Generator) -> tuple[bytes, int]:
    """`data` with each bit flipped at `rate`, and the number of flips."""
    count = int(random.binomial(8 * len(data), rate)) if rate and data else 0
    if not count:
        return data, 0
    octets = bytearray(data)
    for place in random.choice(8 * len(data), count, replace=False):
        octets[place // 8] ^= 1 << place % 8
    return bytes(octets), count
