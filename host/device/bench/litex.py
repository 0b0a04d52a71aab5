"""LiteX's own clients at the simulated SoC whose link was measured, for comparison."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.layout import memory_sizes
from dscim.gateware.specs import SocSpec
from dscim.host.device.bench.clients import Opener, Watched, remote, uart, udp
from dscim.host.device.bench.rates import Rate, Stopwatch
from dscim.host.link.sim import SimLink
from dscim.progress import Progress
from dscim.sim.server import Simulator

BASE = registers.MEMORY_BASES["activations"]
MOST_RECORD, REMOTE_RECORD = 255, 64
"""Words of a call: Etherbone's most; few enough for RemoteClient, which gives up after 2 s."""

FEW_BYTES = 1 << 14
"""Moved at most where a word goes a datagram or a round trip."""

MOST_SECONDS = 60.0
"""After which no more is asked of a client."""


@dataclasses.dataclass(frozen=True)
class Theirs:
    """What a client of LiteX's did.

    what: "write" or "read". record: words of each call. wrong: words that are not right.
    failed: a sentence when it did not get to its end, else empty; the rest is then of a part.
    """

    client: str
    what: str
    record: int
    rate: Rate
    wrong: int
    failed: str


class LitexBench:
    """Measures LiteX's clients at the SoC that `link` simulates, between two of its sessions.

    Each word that they wrote or read is held against what `link` reads or has written.
    """

    def __init__(self, link: SimLink, spec: SocSpec, seed: int) -> None:
        self._link = link
        self._random = np.random.default_rng(seed)
        self._most = memory_sizes(spec)["activations"] // 4

    def measure(self, total: int, step: Progress) -> list[Theirs]:
        """Writes and reads up to `total` bytes by the client on the wire, and remotely."""
        name, opener = ("CommUDP", udp) if self._link.simulator.udp else ("CommUART", uart)
        few = min(total, FEW_BYTES)
        return [
            self._sum(name, "write", MOST_RECORD, total, opener, step),
            self._sum(name, "write", 1, few, opener, step),
            self._sum(name, "read", MOST_RECORD, total, opener, step),
            self._sum("RemoteClient", "read", REMOTE_RECORD, few, remote(opener), step),
        ]

    def _sum(
        self, client: str, what: str, record: int, total: int, opener: Opener, step: Progress
    ) -> Theirs:
        act = self._written if what == "write" else self._read
        rate, wrong, failed = Rate(0, 0.0, 0, 0.0), 0, ""
        while rate.bytes < total and rate.seconds < MOST_SECONDS and not failed:
            step(f"{client} {what}", rate.bytes, total)
            count = min(self._most, -(-(total - rate.bytes) // 4))
            words = self._random.integers(0, 1 << 32, count, dtype=np.uint32)
            part, found, failed = act(words, record, opener)
            rate += dataclasses.replace(part, bytes=4 * len(found))
            wrong += int(np.count_nonzero(found != words[: len(found)]))
        step(f"{client} {what}", total, total)
        return Theirs(client, what, record, rate, wrong, failed)

    def _written(self, words: Words, record: int, opener: Opener) -> tuple[Rate, Words, str]:
        """Written by the client; then one word is read, so that it is known to be over."""
        with (
            self._link.lent() as simulator,
            opener(simulator) as client,
            Watched(client) as watched,
        ):

            def write() -> None:
                for first in range(0, len(words), record):
                    watched.write(BASE + 4 * first, words[first : first + record].tolist())
                watched.read(BASE + 4 * (len(words) - 1), 1)

            rate, failed = _timed(simulator, write)
        return rate, self._link.read(BASE, len(words)), failed

    def _read(self, words: Words, record: int, opener: Opener) -> tuple[Rate, Words, str]:
        self._link.write(BASE, words)
        found: list[int] = []
        with (
            self._link.lent() as simulator,
            opener(simulator) as client,
            Watched(client) as watched,
        ):

            def read() -> None:
                until = time.monotonic() + MOST_SECONDS
                while (first := len(found)) < len(words) and time.monotonic() < until:
                    found.extend(watched.read(BASE + 4 * first, min(record, len(words) - first)))

            rate, failed = _timed(simulator, read)
        return rate, np.array(found, np.uint32), failed


def _timed(simulator: Simulator, act: Callable[[], None]) -> tuple[Rate, str]:
    """What `act` takes, without its bytes, and the sentence with which it failed or nothing."""
    cycles, watch, failed = simulator.ask().cycles, Stopwatch(), ""
    try:
        act()
    except LinkError as error:
        failed = str(error)
    seconds, cpu = watch.read()
    return Rate(0, seconds, simulator.ask().cycles - cycles, cpu), failed
