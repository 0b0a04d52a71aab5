"""What the tests of a link over Ethernet share: its ports, a session, whether it is alive."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ethernet_bench import CLK_FREQ, Bench, bench
from tests.ethernet_lines import PROBE, datagram_of, line, udp
from tests.link_bytes import CLOSE, CLOSED, DATA, OPEN, OPENED, READ, WRITE, WRITTEN, frame, parse

ETHERBONE, FRAMES = 1234, 1235
SESSION_NUMBER = 0x5E55_1014
STAND = 3 * CLK_FREQ // 100
"""Cycles in which the watchdog has seen what stands still."""


@contextmanager
def sound_bench() -> Iterator[Bench]:
    """A link whose every frame on the line was whole in the end."""
    with bench() as made:
        yield made
        assert made.broken == 0


def asked(link: Bench, *texts: bytes, host: int = 5000) -> list[tuple]:
    """The answers to frames in datagrams of their own, parsed; their ports are checked."""
    came, _ = link.run(*(line(udp(FRAMES, text, host)) for text in texts))
    found = [datagram_of(text) for text in came]
    assert all(ports[:2] == (FRAMES, host) for ports in found)
    return [parse(body) for *_, body in found]


def opened(link: Bench) -> None:
    (answer,) = asked(link, frame(OPEN, 0, SESSION_NUMBER, 0))
    assert answer[0] == OPENED


def alive(link: Bench) -> None:
    """Asserts that a session, a write, a read and Etherbone's probe work."""
    number = 0x1000_0000 + link.cycle  # another one each time
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
