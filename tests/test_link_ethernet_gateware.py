"""Frames and Etherbone over Ethernet, raw frame by raw frame: what is right is done and answered,
anything else is dropped and counted, and nothing stops the link."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.ethernet_bench import CLK_FREQ, WORDS, Bench, bench
from tests.ethernet_lines import (
    DEVICE,
    HOST_IP,
    ICMP,
    IPV4,
    PREAMBLE,
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
from tests.link_bytes import (
    BUSY,
    CLOSE,
    CLOSED,
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

ETHERBONE, FRAMES = 1234, 1235
SESSION_NUMBER = 0x5E55_1014
STAND = 3*CLK_FREQ//100
"""Cycles in which the watchdog has seen what stands still."""


@pytest.fixture
def link() -> Iterator[Bench]:
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
    texts = [frame(OPEN, 0, number, 1), frame(WRITE, 0, number, 40, [7]),
             frame(READ, 5, number, 40, count=1), frame(CLOSE, 0, number, 0)]
    kinds = [answer[0] for answer in asked(link, *texts)]
    assert kinds == [OPENED, WRITTEN, DATA, CLOSED]
    (probe,), _ = link.run(line(udp(ETHERBONE, PROBE)))
    assert datagram_of(probe)[2][:4] == bytes.fromhex("4e6f1244")


def words(rng: random.Random, count: int) -> list[int]:
    return [rng.getrandbits(32) for _ in range(count)]


def test_bytes_a_cycle(link: Bench) -> None:
    """At least 0.8 written, 0.5 read; a line of 32 bits a cycle."""
    texts = [words(random.Random(1), 255) for _ in range(32)]
    opened(link)
    came = asked(link, *(frame(WRITE, i, SESSION_NUMBER, 1020*i, text)
                         for i, text in enumerate(texts)))
    written = 31*1020/(link.arrived[-1] - link.arrived[0])
    assert [answer[:2] for answer in came] == [(WRITTEN, i) for i in range(32)]
    came = asked(link, *(frame(READ, i, SESSION_NUMBER, 1020*i, count=255) for i in range(32)))
    read = 31*1020/(link.arrived[-1] - link.arrived[0])
    print(f"{written:.2f} bytes a cycle written, {read:.2f} read")
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
        text, place = words(rng, size), 4*rng.randrange(WORDS - 255)
        write, read = asked(link, frame(WRITE, sequence, SESSION_NUMBER, place, text),
                            frame(READ, sequence, SESSION_NUMBER, place, count=size))
        assert write == (WRITTEN, sequence, SESSION_NUMBER, sequence + 1, ())
        assert read == (DATA, sequence, SESSION_NUMBER, place, tuple(text))
    assert link.counters["frames_taken"] == 17
    assert link.counters["frames_dropped"] == 0


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


def good() -> bytes:
    return frame(WRITE, 0, SESSION_NUMBER, 8, [1, 2, 3])


def wrong_lines() -> dict[str, bytes]:
    """What goes over the line for a frame that must not be taken, by what is wrong with it."""
    text = good()
    whole = line(udp(FRAMES, text))
    datagram = b"\x13\x88\x04\xd3" + (8 + len(text)).to_bytes(2, "big") + b"\0\0" + text
    lines = {f"cut to {n}": line(udp(FRAMES, text[:n])) for n in range(len(text))}
    lines |= {f"bit {n} turned": line(udp(FRAMES, text), flip=n) for n in range(0, 8*70, 7)}
    lines |= {f"{n} bytes more": line(udp(FRAMES, text + bytes(n)))
              for n in (1, 2, 3, 4, 5, 40, 1400)}
    lines |= {f"length {n}": line(udp(FRAMES, text, length=n))
              for n in (0, 7, 8, 9, 12, 8 + len(text) - 4, 8 + len(text) + 4, 2000, 65535)}
    lines |= {f"{n} bytes on the line": whole[:n] for n in (1, 4, 8, 9, 12, 13, 30, 50, 60, 80)}
    lines |= {
        "two frames": line(udp(FRAMES, text + text)),
        "bad CRC": line(udp(FRAMES, text[:-1] + bytes([text[-1] ^ 1]))),
        "count 255": line(udp(FRAMES, frame(WRITE, 0, SESSION_NUMBER, 8, [1], count=255))),
        "count 0": line(udp(FRAMES, frame(WRITE, 0, SESSION_NUMBER, 8, [1], count=0))),
        "a READ with data": line(udp(FRAMES, frame(READ, 0, SESSION_NUMBER, 8, [1]))),
        "foreign port": line(udp(80, text)),
        "foreign address": line(udp(FRAMES, text, target=bytes((192, 168, 1, 51)))),
        "broadcast": line(udp(FRAMES, text, target=b"\xff"*4)),
        "TCP": line(ethernet(IPV4, ip(6, datagram))),
        "no IP": line(ethernet(0x86DD, ip(UDP, datagram))),
        "a bad IP header": line(ethernet(IPV4, b"\x46" + ip(UDP, datagram)[1:])),
        "no preamble": whole[8:],
        "preamble alone": PREAMBLE,
        "noise": random.Random(5).randbytes(300),
    }
    return lines


@pytest.mark.parametrize("percent", [0, 30])
def test_what_is_wrong_is_dropped(link: Bench, percent: int) -> None:
    """One frame whose end LiteEth did not see may take the next one with it: nothing more."""
    link.stall(7, percent)
    opened(link)
    for what, text in wrong_lines().items():
        came, _ = link.run(text)
        assert came == [], what
        link.run(line(udp(80, bytes(40))))
        (answer,) = asked(link, frame(READ, 1, SESSION_NUMBER, 8, count=3))
        assert answer[4] == (0, 0, 0), what
    (answer,) = asked(link, good())
    assert answer[:2] == (WRITTEN, 0)
    alive(link)
    print(link.counters)


def test_answers_go_where_the_question_came_from(link: Bench) -> None:
    """Of three peers, in turn, while answers wait on a line that stalls."""
    opened(link)
    link.stall(11, 50)
    asks = [(5000 + i % 3, frame(READ, i, SESSION_NUMBER, 4*i, count=1 + 40*(i % 3)))
            for i in range(24)]
    came, _ = link.run(*(line(udp(FRAMES, text, host)) for host, text in asks))
    found = [datagram_of(text) for text in came]
    assert [(ports[1], parse(ports[2])[1]) for ports in found] == [
        (5000 + i % 3, i) for i in range(24)]


def test_another_host_is_looked_for(link: Bench) -> None:
    """Its address is asked for; when nobody answers, the link gives up and serves the others."""
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
    """The session is opened over the UART; each answer leaves where its frame came in."""
    link.stall(13, 30)
    _, (answer,) = link.run(uart=[frame(OPEN, 0, SESSION_NUMBER, 0)])
    assert answer[0] == OPENED
    busy, refused = asked(link, frame(OPEN, 0, 77, 0), frame(READ, 0, 77, 0, count=1))
    assert (busy[0], busy[4]) == (REFUSED, (BUSY,))
    assert (refused[0], refused[4]) == (REFUSED, (SESSION,))
    rng = random.Random(4)
    texts = [words(rng, 20) for _ in range(30)]
    writes = [frame(WRITE, i, SESSION_NUMBER, 80*i, text) for i, text in enumerate(texts)]
    came, by_uart = link.run(*(line(udp(FRAMES, text)) for text in writes[1::2]),
                             uart=writes[::2])
    assert [parse(datagram_of(text)[2])[:2] for text in came] == [
        (WRITTEN, i) for i in range(1, 30, 2)]
    assert [answer[:2] for answer in by_uart] == [(WRITTEN, i) for i in range(0, 30, 2)]
    reads = [frame(READ, i, SESSION_NUMBER, 80*i, count=20) for i in range(30)]
    came, by_uart = link.run(*(line(udp(FRAMES, text)) for text in reads), uart=reads)
    for found in ([parse(datagram_of(text)[2]) for text in came], by_uart):
        assert [list(answer[4]) for answer in found] == texts


def test_etherbone_reads_and_writes(link: Bench) -> None:
    text = words(random.Random(6), 255)
    for count in (1, 2, 100, 254, 255):
        came, _ = link.run(line(udp(ETHERBONE, record(text[:count], base=400))),
                           line(udp(ETHERBONE, record(read=[400 + 4*i for i in range(count)],
                                                      base=0xCAFE))), quiet=2000)
        (answer,) = came
        source, target, body = datagram_of(answer)
        assert (source, target) == (ETHERBONE, ETHERBONE)
        assert body == record(text[:count], base=0xCAFE)
    assert link.counters["stray_datagrams"] == 0
    alive(link)


@pytest.mark.parametrize("percent", [0, 40])
def test_etherbone_takes_what_comes_at_once(link: Bench, percent: int) -> None:
    """Requests of all sizes back to back, as far as they find room; in the order they came."""
    rng, lines, expected, memory = random.Random(8), [], [], [0]*1024
    link.stall(8, percent)
    for count in [1, 60, 2, 90, 3, 80, 100]:
        place, text = rng.randrange(1024 - count), words(rng, count)
        memory[place:place + count] = text
        lines.append(line(udp(ETHERBONE, record(text, base=4*place))))
    for _ in range(2):
        lines.append(line(udp(ETHERBONE, record(read=[4*place]))))
        expected.append(record([memory[place]]))
    came, _ = link.run(*lines, quiet=2000)
    assert [datagram_of(text)[2] for text in came] == expected
    for count in [255]*4:
        link.run(line(udp(ETHERBONE, record(words(rng, count), base=0))),
                 line(udp(ETHERBONE, record(text := words(rng, count), base=0))), quiet=2000)
        (answer,), _ = link.run(line(udp(ETHERBONE, record(read=[4*i for i in range(255)]))),
                                quiet=2000)
        assert datagram_of(answer)[2] == record(text)
    assert link.counters["stray_datagrams"] == 0


def test_pings_one_upon_the_other(link: Bench) -> None:
    """One at a time is answered; those that come are right, and frames are not held up, though
    the device has to ask first where the answers go."""
    pings = [line(echo_request(bytes([i])*112)) for i in range(20)]
    came, _ = link.run(*pings, line(udp(FRAMES, frame(OPEN, 0, SESSION_NUMBER, 0))))
    texts = [packet_of(pong)[1][8:] for pong in came[:-1]]
    assert 1 <= len(texts) < 20
    assert [bytes([text[0]])*112 for text in texts] == texts
    assert parse(datagram_of(came[-1])[2])[0] == OPENED


def test_etherbone_only_reads_while_a_session_is_open(link: Bench) -> None:
    opened(link)
    asked(link, frame(WRITE, 0, SESSION_NUMBER, 400, [11, 22]))
    came, _ = link.run(line(udp(ETHERBONE, record([1, 2, 3], base=400))),
                       line(udp(ETHERBONE, record(read=[400, 404, 408]))))
    assert datagram_of(came[0])[2] == record([11, 22, 0])
    assert link.counters["stray_writes"] == 3
    asked(link, frame(CLOSE, 0, SESSION_NUMBER, 0))
    came, _ = link.run(line(udp(ETHERBONE, record([1, 2, 3], base=400))),
                       line(udp(ETHERBONE, record(read=[400, 404, 408]))))
    assert datagram_of(came[0])[2] == record([1, 2, 3])
    assert link.counters["stray_writes"] == 3


def test_etherbone_gives_up_where_nobody_answers(link: Bench) -> None:
    """Once a record; frames go on, and what follows is served."""
    nowhere = 4*WORDS
    came, _ = link.run(line(udp(ETHERBONE, record(read=[nowhere + 4*i for i in range(200)]))),
                       line(udp(ETHERBONE, record([1, 2], base=nowhere))),
                       line(udp(ETHERBONE, record([5], base=8))),
                       line(udp(ETHERBONE, record(read=[8, nowhere, 8]))), quiet=4000)
    assert [datagram_of(text)[2] for text in came] == [
        record([0xFFFF_FFFF]*200), record([5, 0xFFFF_FFFF, 0xFFFF_FFFF])]
    assert link.cycle < 4000 + 6000
    assert link.counters["link_resets"] == 0
    alive(link)


def wrong_records() -> dict[str, bytes]:
    """Etherbone datagrams that LiteEth would choke on or misunderstand."""
    right = record([1, 2], base=400)
    read = record(read=[0, 4])
    return {f"cut to {n}": right[:n] for n in range(len(right))} | {
        "an empty record": record(), "both": record([1], [4]),
        "more written than comes": record([1, 2], wcount=3),
        "less written than comes": record([1, 2], wcount=1),
        "more read than comes": record(read=[4], rcount=255),
        "less read than comes": record(read=[4]*255, rcount=1),
        "more than fits": record([1]*300, wcount=255),
        "two records": right + right[8:],
        "a probe with a record": PROBE + right[12:], "a short probe": PROBE[:8],
        "a probe's answer": record([1], word=0x4E6F_1244), "magic": record([1], word=0x4E6E_1044),
        "version 2": record([1], word=0x4E6F_2044), "64 bits": record([1], word=0x4E6F_1088),
        "a FIFO's flag": read[:8] + b"\x04" + read[9:], "a word more": read + bytes(4),
        "a byte more": read + b"\0",
    }


def test_etherbone_survives_what_is_wrong(link: Bench) -> None:
    wrong = wrong_records()
    for count, (what, text) in enumerate(wrong.items(), 1):
        assert link.run(line(udp(ETHERBONE, text)))[0] == [], what
        assert link.counters["stray_datagrams"] == count, what
        (probe,), _ = link.run(line(udp(ETHERBONE, PROBE)))
        assert datagram_of(probe)[2][:4] == bytes.fromhex("4e6f1244"), what
    came, _ = link.run(line(udp(ETHERBONE, record([9], base=0))),
                       line(udp(ETHERBONE, record(read=[0, 400]))))
    assert datagram_of(came[0])[2] == record([9, 0])
    assert link.counters["link_resets"] == 0


@pytest.mark.parametrize("rounds", [40, pytest.param(4000, marks=pytest.mark.slow)])
def test_mutated_datagrams_do_not_stop_the_link(link: Bench, rounds: int) -> None:
    """25 a round, whatever they were made from, with any bytes, lengths and counts; one line
    stalls."""
    rng, texts = random.Random(17), [good(), record([1]*9), record(read=[0]*9), PROBE]
    link.stall(17, 20)
    for _ in range(rounds):
        lines = []
        for _ in range(25):
            text = bytearray(rng.choice(texts))
            for _ in range(rng.randrange(4)):
                text[rng.randrange(len(text))] = rng.getrandbits(8)
            text = text[:rng.randrange(len(text) + 1)] + rng.randbytes(rng.choice([0, 0, 0, 9]))
            lines.append(line(udp(rng.choice([FRAMES, ETHERBONE]), bytes(text),
                                  length=rng.choice([None]*5 + [rng.randrange(100)])),
                              flip=rng.choice([None]*9 + [rng.randrange(400)])))
        link.run(*lines, quiet=3000)
        alive(link)
    print(link.counters)


def test_floods_of_arp_and_pings_hold_nothing_up(link: Bench) -> None:
    """Requests, answers that nobody asked for, pings of every size, some of them damaged: words
    are written and read between them, and arrive."""
    rng = random.Random(23)
    opened(link)
    flood = [line(arp_request()), line(arp_reply()), line(arp_reply(bytes((192, 168, 1, 9)))),
             line(echo_request(bytes(56))), line(echo_request(bytes(112)), flip=500),
             line(echo_request(bytes(1400))), line(arp_request(), flip=200)]
    text = words(rng, 200)
    answered = Counter[int]()
    for sequence in range(40):
        place = 4*rng.randrange(WORDS - 200)
        asks = [frame(WRITE, sequence, SESSION_NUMBER, place, text),
                frame(READ, sequence, SESSION_NUMBER, place, count=200)]
        lines = rng.choices(flood, k=30)
        for i, ask in zip(sorted(rng.sample(range(30), 2)), asks, strict=True):
            lines.insert(i, line(udp(FRAMES, ask)))
        came, _ = link.run(*lines)
        found = [parse(datagram_of(text)[2]) for text in came
                 if text[12:14] == b"\x08\0" and text[23] == UDP]
        assert [answer[0] for answer in found] == [WRITTEN, DATA]
        assert list(found[1][4]) == text
        answered.update(text[21] if text[12:14] == b"\x08\x06" else text[23] + 256
                        for text in came)
    print(answered, link.counters)
    assert answered[2] > 20  # of ARP, which answers none while it looks one up
    assert answered[256 + ICMP] > 10
    assert link.counters["link_resets"] == 0


def test_a_line_that_stands_still_is_reset(link: Bench) -> None:
    opened(link)
    reads = [line(udp(FRAMES, frame(READ, i, SESSION_NUMBER, 0, count=255))) for i in range(8)]
    link.run(*reads, most=1)
    while not link.run(most=10)[0]:
        pass
    link.run(most=400)  # answers end 524 cycles apart, and take 280 on the line
    link.freeze(True)
    link.run(quiet=STAND)
    assert link.counters["link_resets"] >= 1
    link.freeze(False)
    link.run(quiet=STAND)  # what was cut off takes the device's ARP request with it
    alive(link)
    assert link.broken == 1
    link.broken = 0


def test_a_ping_that_lies_is_survived(link: Bench) -> None:
    """Longer than its header says: LiteEth's buffer never sees its end, and takes nothing more."""
    text = ip(ICMP, b"\x08\0\0\0" + bytes(96))
    link.run(line(ethernet(IPV4, text + bytes(1000))), quiet=STAND)
    assert link.counters["link_resets"] == 1
    alive(link)
