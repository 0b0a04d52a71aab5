"""Shared by the tests of a link over Ethernet: its ports, a session, a check that it is alive."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ethernet_bench import CLK_FREQ, Bench, bench
from tests.ethernet_lines import PROBE, datagram_of, line, udp
from tests.link_bytes import CLOSE, CLOSED, DATA, OPEN, OPENED, READ, WRITE, WRITTEN, frame, parse

ETHERBONE, FRAMES = 1234, 1235
SESSION_NUMBER = 0x5E55_1014
STAND = 3 * CLK_FREQ // 100
"""Cycles after which the watchdog has noticed a stalled stream."""


@contextmanager
def sound_bench() -> Iterator[Bench]:
    """A link; asserts at the end that it sent no broken frame."""
    with bench() as link:
        yield link
        assert link.broken == 0


def asked(link: Bench, *texts: bytes, host: int = 5000) -> list[tuple]:
    """Sends each frame in its own datagram; returns the parsed answers and checks their ports."""
    came, _ = link.run(*(line(udp(FRAMES, text, host)) for text in texts))
    found = [datagram_of(text) for text in came]
    assert all(ports[:2] == (FRAMES, host) for ports in found)
    return [parse(body) for *_, body in found]


def opened(link: Bench) -> None:
    (answer,) = asked(link, frame(OPEN, 0, SESSION_NUMBER, 0))
    assert answer[0] == OPENED


def alive(link: Bench) -> None:
    """Asserts that a session, a write, a read and Etherbone's probe work."""
    number = 0x1000_0000 + link.cycle  # a new one each time
    texts = [
        frame(OPEN, 0, number, 1),
        frame(WRITE, 0, number, 40, [7]),
        frame(READ, 5, number, 40, count=1),
        frame(CLOSE, 0, number, 0),
    ]
    kinds = [answer[0] for answer in asked(link, *texts)]
    assert kinds == [OPENED, WRITTEN, DATA, CLOSED]
    (probe,), _ = link.run(line(udp(ETHERBONE, PROBE)))
    assert datagram_of(probe)[2][:4] == bytes.fromhex("4e6f1244")


def words(rng: random.Random, count: int) -> list[int]:
    return [rng.getrandbits(32) for _ in range(count)]


def good() -> bytes:
    return frame(WRITE, 0, SESSION_NUMBER, 8, [1, 2, 3])
