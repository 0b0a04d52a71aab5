"""Raw Ethernet frames to the link: it answers valid ones, drops and counts all others."""

import random
from collections.abc import Iterator

import pytest

from tests.ethernet_bench import WORDS, Bench
from tests.ethernet_lines import (
    HOST_IP,
    IPV4,
    PREAMBLE,
    UDP,
    arp_reply,
    datagram_of,
    ethernet,
    ip,
    line,
    udp,
)
from tests.ethernet_link import (
    FRAMES,
    SESSION_NUMBER,
    STAND,
    alive,
    asked,
    good,
    opened,
    sound_bench,
    words,
)
from tests.link_bytes import (
    BUSY,
    DATA,
    OPEN,
    OPENED,
    READ,
    REFUSED,
    SESSION,
    WRITE,
    WRITTEN,
    frame,
    parse,
)


@pytest.fixture
def link() -> Iterator[Bench]:
    with sound_bench() as bench:
        yield bench


def test_bytes_per_cycle(link: Bench) -> None:
    """At least 0.8 written and 0.5 read, on a line of 32 bits per cycle."""
    texts = [words(random.Random(1), 255) for _ in range(32)]
    opened(link)
    came = asked(
        link, *(frame(WRITE, i, SESSION_NUMBER, 1020 * i, text) for i, text in enumerate(texts))
    )
    written = 31 * 1020 / (link.arrived[-1] - link.arrived[0])
    assert [answer[:2] for answer in came] == [(WRITTEN, i) for i in range(32)]
    came = asked(link, *(frame(READ, i, SESSION_NUMBER, 1020 * i, count=255) for i in range(32)))
    read = 31 * 1020 / (link.arrived[-1] - link.arrived[0])
    print(f"{written:.2f} bytes per cycle written, {read:.2f} read")
    assert [list(answer[4]) for answer in came] == texts
    assert link.counters["frames_dropped"] == 0
    assert written >= 0.8
    assert read >= 0.5


@pytest.mark.parametrize("percent", [0, 40])
def test_frames_of_all_sizes(link: Bench, percent: int) -> None:
    link.stall(3, percent)
    opened(link)
    rng = random.Random(percent)
    for sequence, size in enumerate((0, 1, 2, 3, 7, 64, 254, 255)):
        text, place = words(rng, size), 4 * rng.randrange(WORDS - 255)
        write, read = asked(
            link,
            frame(WRITE, sequence, SESSION_NUMBER, place, text),
            frame(READ, sequence, SESSION_NUMBER, place, count=size),
        )
        assert write == (WRITTEN, sequence, SESSION_NUMBER, sequence + 1, ())
        assert read == (DATA, sequence, SESSION_NUMBER, place, tuple(text))
    assert link.counters["frames_taken"] == 17
    assert link.counters["frames_dropped"] == 0


def wrong_lines() -> dict[str, bytes]:
    """Bytes on the line that the link must reject, by their fault."""
    text = good()
    whole = line(udp(FRAMES, text))
    datagram = b"\x13\x88\x04\xd3" + (8 + len(text)).to_bytes(2, "big") + b"\0\0" + text
    lines = {f"cut to {n}": line(udp(FRAMES, text[:n])) for n in range(len(text))}
    lines |= {f"bit {n} turned": line(udp(FRAMES, text), flip=n) for n in range(0, 8 * 70, 7)}
    lines |= {
        f"{n} bytes more": line(udp(FRAMES, text + bytes(n))) for n in (1, 2, 3, 4, 5, 40, 1400)
    }
    lines |= {
        f"length {n}": line(udp(FRAMES, text, length=n))
        for n in (0, 7, 8, 9, 12, 8 + len(text) - 4, 8 + len(text) + 4, 2000, 65535)
    }
    lines |= {f"{n} bytes on the line": whole[:n] for n in (1, 4, 8, 9, 12, 13, 30, 50, 60, 80)}
    lines |= {
        "two frames": line(udp(FRAMES, text + text)),
        "bad CRC": line(udp(FRAMES, text[:-1] + bytes([text[-1] ^ 1]))),
        "count 255": line(udp(FRAMES, frame(WRITE, 0, SESSION_NUMBER, 8, [1], count=255))),
        "count 0": line(udp(FRAMES, frame(WRITE, 0, SESSION_NUMBER, 8, [1], count=0))),
        "a READ with data": line(udp(FRAMES, frame(READ, 0, SESSION_NUMBER, 8, [1]))),
        "foreign port": line(udp(80, text)),
        "foreign address": line(udp(FRAMES, text, target=bytes((192, 168, 1, 51)))),
        "broadcast": line(udp(FRAMES, text, target=b"\xff" * 4)),
        "TCP": line(ethernet(IPV4, ip(6, datagram))),
        "no IP": line(ethernet(0x86DD, ip(UDP, datagram))),
        "a bad IP header": line(ethernet(IPV4, b"\x46" + ip(UDP, datagram)[1:])),
        "no preamble": whole[8:],
        "preamble alone": PREAMBLE,
        "noise": random.Random(5).randbytes(300),
    }
    return lines


COUNTED = ("two frames", "bad CRC", "count 255", "count 0", "a READ with data")
"""Complete datagrams whose contents are not a valid frame."""


@pytest.mark.parametrize("percent", [0, 30])
def test_what_is_wrong_is_dropped(link: Bench, percent: int) -> None:
    """A frame whose end LiteEth missed may absorb the next one, but no more than that."""
    link.stall(7, percent)
    opened(link)
    for what, text in wrong_lines().items():
        dropped = link.counters["frames_dropped"]
        came, _ = link.run(text)
        assert came == [], what
        assert link.counters["frames_dropped"] == dropped + 1 or what not in COUNTED, what
        link.run(line(udp(80, bytes(40))))
        (answer,) = asked(link, frame(READ, 1, SESSION_NUMBER, 8, count=3))
        assert answer[4] == (0, 0, 0), what
    (answer,) = asked(link, good())
    assert answer[:2] == (WRITTEN, 0)
    alive(link)
    print(link.counters)


def test_answers_go_where_the_question_came_from(link: Bench) -> None:
    """Three peers in turn, while answers wait on a line that stalls."""
    opened(link)
    link.stall(11, 50)
    asks = [
        (5000 + i % 3, frame(READ, i, SESSION_NUMBER, 4 * i, count=1 + 40 * (i % 3)))
        for i in range(24)
    ]
    came, _ = link.run(*(line(udp(FRAMES, text, host)) for host, text in asks))
    found = [datagram_of(text) for text in came]
    assert [(ports[1], parse(ports[2])[1]) for ports in found] == [
        (5000 + i % 3, i) for i in range(24)
    ]


def test_another_host_is_looked_for(link: Bench) -> None:
    """The device sends ARP requests; without an answer it gives up and serves other hosts."""
    other = bytes((192, 168, 1, 7))
    opened(link)
    link.arp(line(arp_reply(other)))
    came, _ = link.run(line(udp(FRAMES, frame(READ, 1, SESSION_NUMBER, 0, count=1), source=other)))
    assert came[0][30:34] == other
    link.arp(b"")
    silent = udp(FRAMES, frame(READ, 1, SESSION_NUMBER, 0, count=1), source=bytes((192, 168, 1, 8)))
    assert link.run(line(silent), quiet=STAND)[0] == []
    assert link.counters["link_resets"] == 1
    link.arp(line(arp_reply(HOST_IP)))
    alive(link)


def test_two_carriers_share_one_session(link: Bench) -> None:
    """The session is opened over the UART; each answer leaves on the carrier of its frame."""
    link.stall(13, 30)
    _, (answer,) = link.run(uart=[frame(OPEN, 0, SESSION_NUMBER, 0)])
    assert answer[0] == OPENED
    busy, refused = asked(link, frame(OPEN, 0, 77, 0), frame(READ, 0, 77, 0, count=1))
    assert (busy[0], busy[4]) == (REFUSED, (BUSY,))
    assert (refused[0], refused[4]) == (REFUSED, (SESSION,))
    rng = random.Random(4)
    texts = [words(rng, 20) for _ in range(30)]
    writes = [frame(WRITE, i, SESSION_NUMBER, 80 * i, text) for i, text in enumerate(texts)]
    came, by_uart = link.run(*(line(udp(FRAMES, text)) for text in writes[1::2]), uart=writes[::2])
    assert [parse(datagram_of(text)[2])[:2] for text in came] == [
        (WRITTEN, i) for i in range(1, 30, 2)
    ]
    assert [answer[:2] for answer in by_uart] == [(WRITTEN, i) for i in range(0, 30, 2)]
    reads = [frame(READ, i, SESSION_NUMBER, 80 * i, count=20) for i in range(30)]
    came, by_uart = link.run(*(line(udp(FRAMES, text)) for text in reads), uart=reads)
    for found in ([parse(datagram_of(text)[2]) for text in came], by_uart):
        assert [list(answer[4]) for answer in found] == texts
