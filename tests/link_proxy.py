"""A UDP proxy that drops, duplicates, reorders, delays, truncates and damages datagrams.

Only payloads are damaged, as in a faulty switch, so Ethernet's own check finds nothing. All faults
are drawn from a seed and counted.
"""

import heapq
import select
import socket
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

import numpy as np

from tests.link_faults import flipped

LARGEST = 4096
TICK = 0.1
"""Seconds between two checks whether the proxy must stop."""

FAULTS = ("dropped", "doubled", "reordered", "delayed", "truncated", "damaged")
REORDERED_SECONDS, DELAYED_SECONDS = 500e-6, 10e-3
"""The maximum delay of reordered, and the mean delay of delayed datagrams."""

Way = tuple[socket.socket, tuple[str, int]]
"""The sending socket, and the address to send to."""


class FaultyProxy:
    """A port of 127.0.0.1 in front of the port `device`, with faults.

    rate: the probability of each fault, per datagram. `port`: for the host. `device`: may change
    while the proxy runs. One host at a time: answers go to the last sender. A context manager.
    """

    def __init__(self, device: int, rate: float, seed: int) -> None:
        self.device = device
        self.faults: Counter[str] = Counter()
        self._rate = rate
        self._random = np.random.default_rng(seed)
        self._host = ("", 0)
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for way in self._sockets:
            way.bind(("127.0.0.1", 0))
            way.setblocking(False)
            way.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._front, self._back = self._sockets
        self.port = int(self._front.getsockname()[1])
        self._late: list[tuple[float, int, bytes, Way]] = []
        self._number = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join(10)
        for way in self._sockets:
            way.close()

    def _run(self) -> None:
        while not self._ends.is_set():
            wait = max(0.0, self._late[0][0] - time.monotonic()) if self._late else TICK
            for way in select.select(self._sockets, [], [], min(wait, TICK))[0]:
                self._drain(way)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, data, (sender, address) = heapq.heappop(self._late)
                self._send(sender, address, data)

    def _drain(self, way: socket.socket) -> None:
        while True:
            try:
                data, sender = way.recvfrom(LARGEST)
            except ConnectionRefusedError:  # the device is gone for now
                continue
            except BlockingIOError:
                return
            if way is self._front:
                self._host = sender
                self._travel(data, (self._back, ("127.0.0.1", self.device)))
            else:
                self._travel(data, (self._front, self._host))

    def _travel(self, data: bytes, way: Way) -> None:
        random = self._random
        self.faults["datagrams"] += 1
        hit = {
            fault
            for fault, draw in zip(FAULTS, random.random(len(FAULTS)), strict=True)
            if draw < self._rate
        }
        self.faults.update(hit)
        if "dropped" in hit:
            return
        for _ in range(2 if "doubled" in hit else 1):
            came, wait = data, 0.0
            if "reordered" in hit:
                wait += float(random.uniform(0, REORDERED_SECONDS))
            if "delayed" in hit:
                wait += float(random.exponential(DELAYED_SECONDS))
            if "truncated" in hit:
                came = came[: int(random.integers(len(came)))]
            if "damaged" in hit:
                came = flipped(came, 3 / (8 * len(came) + 1), random)[0]
            if wait:
                self._number += 1
                heapq.heappush(self._late, (time.monotonic() + wait, self._number, came, way))
            else:
                self._send(*way, came)

    def _send(self, sender: socket.socket, address: tuple[str, int], data: bytes) -> None:
        try:
            sender.sendto(data, address)
        except (BlockingIOError, ConnectionRefusedError):
            self.faults["no room"] += 1
