"""Frames in datagrams through a faulty network: every word is right, or an error is raised."""

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.host.golden.twin.link import Twin
from dscim.host.link.datagrams import ETHERBONE, ETHERBONE_MAGIC, DatagramCarrier
from dscim.host.link.session import FrameLink
from tests.link_answers import answering
from tests.link_exercise import carry
from tests.link_faults import MEMORY, REGISTERS, Ledger
from tests.link_proxy import FAULTS, FaultyProxy

MEGABYTE = 250_000
"""Words."""

STARVED = 60.0
"""Seconds without an answer; a loaded machine may starve the twin's thread."""


class Served:
    """A twin of `ledger` behind the UDP `port` of the loopback, in a thread; a context manager."""

    def __init__(self) -> None:
        self.ledger = Ledger(MEMORY, REGISTERS)
        self.twin = Twin(
            self.ledger,
            [MEMORY, REGISTERS],
            lease=1_000_000,
            clock=lambda: int(1e6 * time.monotonic()) & 0xFFFF_FFFF,
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port = int(self._socket.getsockname()[1])
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while not self._ends.is_set():
            with suppress(TimeoutError, ConnectionRefusedError):
                data, host = self._socket.recvfrom(2048)
                answer = self.twin.answer(data)
                if answer is not None:
                    self._socket.sendto(answer, host)

    def __enter__(self) -> "Served":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._thread.join(10)
        self._socket.close()


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as running:
        yield running


def connect(port: int, **options: float) -> FrameLink:
    return FrameLink(DatagramCarrier("127.0.0.1", port, 1), memories=[MEMORY], **options)  # type: ignore[arg-type]


def through_faults(served: Served, rate: float, words: int) -> None:
    """Transfers both ways through the proxy; prints the counts."""
    with FaultyProxy(served.port, rate, 21) as proxy:
        link = connect(proxy.port, wait=5, timeout=STARVED)
        start = time.monotonic()
        carry(link, MEMORY.start, len(MEMORY) // 4, words, 22)
        print(
            f"\n{4 * words} bytes each way in {time.monotonic() - start:.1f} s; "
            f"{dict(proxy.faults)}; {dataclasses.asdict(link.statistics)}; "
            f"{dataclasses.asdict(served.twin.counters)}"
        )
        link.close()
    if rate:
        assert all(proxy.faults[fault] for fault in FAULTS)
        assert link.statistics.resends
        assert served.twin.counters.frames_dropped


@pytest.mark.parametrize(
    ("rate", "words"), [(0.0, MEGABYTE * 2), (0.01, MEGABYTE * 2), (0.2, MEGABYTE // 2)]
)
def test_words_arrive_through_faults(served: Served, rate: float, words: int) -> None:
    through_faults(served, rate, max(words, len(MEMORY) // 4))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.2])
def test_twenty_megabytes_arrive_through_faults(served: Served, rate: float) -> None:
    through_faults(served, rate, 20 * MEGABYTE)


def test_a_device_that_goes_away_is_reported_at_once(served: Served) -> None:
    link = connect(served.port, timeout=30)
    threading.Timer(0.2, served.__exit__).start()
    start = time.monotonic()
    with pytest.raises(LinkError, match="Nothing listens"):
        while True:
            carry(link, MEMORY.start, 10_000, 10_000, 1)
    link.close()
    assert time.monotonic() - start < 5


def pulled(served: Served, times: int) -> None:
    """Closes the host's socket at random moments; the next host finds the device usable."""
    random = np.random.default_rng(23)
    for number in range(times):
        link = connect(served.port, take_over=True)
        way = link._carrier._socket  # type: ignore[attr-defined]
        puller = threading.Timer(float(random.uniform(0, 0.1)), way.close)
        puller.start()
        with pytest.raises(LinkError, match="failed"):
            while True:
                carry(link, MEMORY.start, 5000, 10_000, number)
        link.close()
        puller.join()
    link = connect(served.port, take_over=True)
    carry(link, MEMORY.start, 5000, 5000, 24)
    link.close()


def test_a_pulled_cable_leaves_the_device_usable(served: Served) -> None:
    pulled(served, 5)


@pytest.mark.slow
def test_a_cable_pulled_fifty_times_leaves_the_device_usable(served: Served) -> None:
    pulled(served, 50)


def test_foreign_datagrams_change_nothing(served: Served) -> None:
    """Datagrams from another address: the socket drops them."""
    link = connect(served.port)
    place = link._carrier._socket.getsockname()  # type: ignore[attr-defined]
    ends = threading.Event()

    def shout() -> None:
        random = np.random.default_rng(25)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            while not ends.wait(0.001):
                stranger.sendto(random.bytes(int(random.integers(64))), place)

    stranger = threading.Thread(target=shout)
    stranger.start()
    carry(link, MEMORY.start, 50_000, 100_000, 26)
    ends.set()
    stranger.join()
    assert link.statistics.damaged == 0
    link.close()


def etherbone(data: bytes) -> bytes | None:
    """The Etherbone of a SoC that has 77 where a dscim device has its magic number."""
    if len(data) != ETHERBONE.size:
        return None
    *_, read, back, address = ETHERBONE.unpack(data)
    assert (read, address) == (1, registers.address("magic"))
    return ETHERBONE.pack(ETHERBONE_MAGIC, 0x10, 0x44, 0, 0, 15, 1, 0, back, 77)


def test_something_else_at_the_port_is_named() -> None:
    with (
        answering(lambda _: b"HTTP/1.1 400 Bad Request") as port,
        pytest.raises(LinkError, match=r"sent \d+ bytes, but no valid answer.*this port"),
    ):
        connect(port, timeout=0.5)


def test_a_plain_litex_soc_is_named() -> None:
    with (
        answering(etherbone) as bone,
        answering(lambda _: b"") as frames,
        pytest.raises(LinkError, match=r"LiteX's Etherbone, but is not a dscim.*0x0000004d"),
    ):
        FrameLink(DatagramCarrier("127.0.0.1", frames, bone), timeout=0.5)


def test_a_port_where_nothing_listens_is_silent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with pytest.raises(LinkError, match="is silent"):
        connect(port, timeout=0.5)
