"""ARP, pings, noise and stalled lines: none of them stops the link."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.ethernet_bench import WORDS, Bench
from tests.ethernet_lines import (
    DEVICE,
    ICMP,
    IPV4,
    PROBE,
    UDP,
    arp_reply,
    arp_request,
    datagram_of,
    echo_request,
    ethernet,
    ip,
    line,
    packet_of,
    record,
    udp,
)
from tests.ethernet_link import (
    ETHERBONE,
    FRAMES,
    SESSION_NUMBER,
    STAND,
    alive,
    good,
    opened,
    sound_bench,
    words,
)
from tests.link_bytes import DATA, OPEN, OPENED, READ, WRITE, WRITTEN, frame, parse


@pytest.fixture
def link() -> Iterator[Bench]:
    with sound_bench() as bench:
        yield bench


def test_arp_and_pings(link: Bench) -> None:
    (reply,), _ = link.run(line(arp_request()))
    assert reply[:14] == bytes.fromhex("020000000001") + DEVICE + b"\x08\x06"
    assert reply[22:28] == DEVICE
    for size in [*range(65), 100, 120]:
        (pong,), _ = link.run(line(echo_request(bytes(range(size)))))
        protocol, body = packet_of(pong)
        assert protocol == ICMP
        assert body[8:] == bytes(range(size))
    assert link.run(line(echo_request(bytes(1400))))[0] == []
    alive(link)


def test_pings_back_to_back(link: Bench) -> None:
    """The device answers one at a time and drops the others. Frames are not delayed, although it
    must first find the host's address."""
    pings = [line(echo_request(bytes([i]) * 112)) for i in range(20)]
    came, _ = link.run(*pings, line(udp(FRAMES, frame(OPEN, 0, SESSION_NUMBER, 0))))
    texts = [packet_of(pong)[1][8:] for pong in came[:-1]]
    assert 1 <= len(texts) < 20
    assert [bytes([text[0]]) * 112 for text in texts] == texts
    assert parse(datagram_of(came[-1])[2])[0] == OPENED


@pytest.mark.parametrize("rounds", [40, pytest.param(4000, marks=pytest.mark.slow)])
def test_mutated_datagrams_do_not_stop_the_link(link: Bench, rounds: int) -> None:
    """25 per round, with random bytes, lengths and counts, on a line that stalls."""
    rng, texts = random.Random(17), [good(), record([1] * 9), record(read=[0] * 9), PROBE]
    link.stall(17, 20)
    for _ in range(rounds):
        lines = []
        for _ in range(25):
            text = bytearray(rng.choice(texts))
            for _ in range(rng.randrange(4)):
                text[rng.randrange(len(text))] = rng.getrandbits(8)
            text = text[: rng.randrange(len(text) + 1)] + rng.randbytes(rng.choice([0, 0, 0, 9]))
            lines.append(
                line(
                    udp(
                        rng.choice([FRAMES, ETHERBONE]),
                        bytes(text),
                        length=rng.choice([None] * 5 + [rng.randrange(100)]),
                    ),
                    flip=rng.choice([None] * 9 + [rng.randrange(400)]),
                )
            )
        link.run(*lines, quiet=3000)
        alive(link)
    print(link.counters)


def test_floods_of_arp_and_pings_hold_nothing_up(link: Bench) -> None:
    """Requests, unsolicited answers and pings of every size, some of them damaged: writes and
    reads between them all succeed."""
    rng = random.Random(23)
    opened(link)
    flood = [
        line(arp_request()),
        line(arp_reply()),
        line(arp_reply(bytes((192, 168, 1, 9)))),
        line(echo_request(bytes(56))),
        line(echo_request(bytes(112)), flip=500),
        line(echo_request(bytes(1400))),
        line(arp_request(), flip=200),
    ]
    text = words(rng, 200)
    answered = Counter[int]()
    for sequence in range(40):
        place = 4 * rng.randrange(WORDS - 200)
        asks = [
            frame(WRITE, sequence, SESSION_NUMBER, place, text),
            frame(READ, sequence, SESSION_NUMBER, place, count=200),
        ]
        lines = rng.choices(flood, k=30)
        for i, ask in zip(sorted(rng.sample(range(30), 2)), asks, strict=True):
            lines.insert(i, line(udp(FRAMES, ask)))
        came, _ = link.run(*lines)
        found = [
            parse(datagram_of(text)[2])
            for text in came
            if text[12:14] == b"\x08\0" and text[23] == UDP
        ]
        assert [answer[0] for answer in found] == [WRITTEN, DATA]
        assert list(found[1][4]) == text
        answered.update(text[21] if text[12:14] == b"\x08\x06" else text[23] + 256 for text in came)
    print(answered, link.counters)
    assert answered[2] > 20  # ARP answers; none while it looks an address up
    assert answered[256 + ICMP] > 10
    assert link.counters["link_resets"] == 0


def test_a_stalled_line_is_reset(link: Bench) -> None:
    opened(link)
    reads = [line(udp(FRAMES, frame(READ, i, SESSION_NUMBER, 0, count=255))) for i in range(8)]
    link.run(*reads, most=1)
    while not link.run(most=10)[0]:
        pass
    link.run(most=400)  # answers end 524 cycles apart and take 280 on the line
    link.freeze(True)
    link.run(quiet=STAND)
    assert link.counters["link_resets"] >= 1
    link.freeze(False)
    link.run(quiet=STAND)  # the truncated frame absorbs the device's ARP request
    alive(link)
    assert link.broken == 1
    link.broken = 0


def test_a_ping_with_a_wrong_length_is_survived(link: Bench) -> None:
    """It is longer than its header says: LiteEth's buffer misses its end and stalls."""
    text = ip(ICMP, b"\x08\0\0\0" + bytes(96))
    link.run(line(ethernet(IPV4, text + bytes(1000))), quiet=STAND)
    assert link.counters["link_resets"] == 1
    alive(link)
