"""Measures LiteX's own clients on the same simulated SoC, for comparison."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.layout import ceil_div, memory_sizes
from dscim.gateware.specs import SocSpec
from dscim.host.device.bench.clients import Opener, Watched, remote, uart, udp
from dscim.host.device.bench.rates import Rate, Stopwatch
from dscim.host.link.sim import SimLink
from dscim.progress import Progress
from dscim.sim.server import Simulator

BASE = registers.MEMORY_BASES["activations"]
MAX_RECORD, REMOTE_RECORD = 255, 64
"""Words per call: the maximum of Etherbone, and few enough for RemoteClient's limit of 2 s."""

FEW_BYTES = 1 << 14
"""Maximum bytes to transfer with one word per datagram or round trip."""

MAX_SECONDS = 60.0
"""After this time no further transfer is started."""


@dataclasses.dataclass(frozen=True)
class ClientResult:
    """The result of one of LiteX's clients.

    what: "write" or "read". record: words per call. wrong: number of wrong words.
    failed: the sentence of the error if the client failed, when the other values are partial;
    else empty.
    """

    client: str
    what: str
    record: int
    rate: Rate
    wrong: int
    failed: str


class LitexBench:
    """Measures LiteX's clients on the SoC that `link` simulates, between two of its sessions.

    Every word is compared: those that a client writes with what `link` reads, and those that it
    reads with what `link` wrote.
    """

    def __init__(self, link: SimLink, spec: SocSpec, seed: int) -> None:
        self._link = link
        self._random = np.random.default_rng(seed)
        self._max_words = memory_sizes(spec)["activations"] // 4

    def measure(self, total: int, step: Progress) -> list[ClientResult]:
        """Writes and reads up to `total` bytes with the direct client and with RemoteClient."""
        name, opener = ("CommUDP", udp) if self._link.simulator.udp else ("CommUART", uart)
        few = min(total, FEW_BYTES)
        return [
            self._sum(name, "write", MAX_RECORD, total, opener, step),
            self._sum(name, "write", 1, few, opener, step),
            self._sum(name, "read", MAX_RECORD, total, opener, step),
            self._sum("RemoteClient", "read", REMOTE_RECORD, few, remote(opener), step),
        ]

    def _sum(
        self, client: str, what: str, record: int, total: int, opener: Opener, step: Progress
    ) -> ClientResult:
        """Repeats until `total` bytes are moved, MAX_SECONDS have passed, or the client fails."""
        act = self._written if what == "write" else self._read
        rate, wrong, failed = Rate(0, 0.0, 0, 0.0), 0, ""
        while rate.bytes < total and rate.seconds < MAX_SECONDS and not failed:
            step(f"{client} {what}", rate.bytes, total)
            count = min(self._max_words, ceil_div(total - rate.bytes, 4))
            words = self._random.integers(0, 1 << 32, count, dtype=np.uint32)
            part, found, failed = act(words, record, opener)
            rate += dataclasses.replace(part, bytes=4 * len(found))
            wrong += int(np.count_nonzero(found != words[: len(found)]))
        step(f"{client} {what}", total, total)
        return ClientResult(client, what, record, rate, wrong, failed)

    def _written(self, words: Words, record: int, opener: Opener) -> tuple[Rate, Words, str]:
        """The client writes, then reads one word, so that all writes are known to be done."""
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
                until = time.monotonic() + MAX_SECONDS
                while (first := len(found)) < len(words) and time.monotonic() < until:
                    found.extend(watched.read(BASE + 4 * first, min(record, len(words) - first)))

            rate, failed = _timed(simulator, read)
        return rate, np.array(found, np.uint32), failed


def _timed(simulator: Simulator, act: Callable[[], None]) -> tuple[Rate, str]:
    """The time of `act` as a Rate without bytes, and the sentence of its error or ''."""
    cycles, watch, failed = simulator.ask().cycles, Stopwatch(), ""
    try:
        act()
    except LinkError as error:
        failed = str(error)
    seconds, cpu = watch.read()
    return Rate(0, seconds, simulator.ask().cycles - cycles, cpu), failed
