"""Etherbone next to frames: valid and invalid datagrams, bursts, and unused addresses."""

import random
from collections.abc import Iterator

import pytest

from tests.ethernet_bench import WORDS, Bench
from tests.ethernet_lines import PROBE, datagram_of, line, record, udp
from tests.ethernet_link import ETHERBONE, SESSION_NUMBER, alive, asked, opened, sound_bench, words
from tests.link_bytes import CLOSE, WRITE, frame


@pytest.fixture
def link() -> Iterator[Bench]:
    with sound_bench() as bench:
        yield bench


def test_etherbone_reads_and_writes(link: Bench) -> None:
    text = words(random.Random(6), 255)
    for count in (1, 2, 100, 254, 255):
        came, _ = link.run(
            line(udp(ETHERBONE, record(text[:count], base=400))),
            line(udp(ETHERBONE, record(read=[400 + 4 * i for i in range(count)], base=0xCAFE))),
            quiet=4000,
        )
        (answer,) = came
        source, target, body = datagram_of(answer)
        assert (source, target) == (ETHERBONE, ETHERBONE)
        assert body == record(text[:count], base=0xCAFE)
    assert link.counters["stray_datagrams"] == 0
    alive(link)


@pytest.mark.parametrize("percent", [0, 40])
def test_etherbone_takes_bursts(link: Bench, percent: int) -> None:
    """Requests of all sizes back to back, as many as fit the buffer, served in order."""
    rng, lines, expected, memory = random.Random(8), [], [], [0] * 1024
    link.stall(8, percent)
    for count in [1, 60, 2, 90, 3, 80, 100]:
        place, text = rng.randrange(1024 - count), words(rng, count)
        memory[place : place + count] = text
        lines.append(line(udp(ETHERBONE, record(text, base=4 * place))))
    for _ in range(2):
        lines.append(line(udp(ETHERBONE, record(read=[4 * place]))))
        expected.append(record([memory[place]]))
    came, _ = link.run(*lines, quiet=2000)
    assert [datagram_of(text)[2] for text in came] == expected
    for count in [255] * 4:
        link.run(
            line(udp(ETHERBONE, record(words(rng, count), base=0))),
            line(udp(ETHERBONE, record(text := words(rng, count), base=0))),
            quiet=2000,
        )
        (answer,), _ = link.run(
            line(udp(ETHERBONE, record(read=[4 * i for i in range(255)]))), quiet=2000
        )
        assert datagram_of(answer)[2] == record(text)
    assert link.counters["stray_datagrams"] == 0


def test_etherbone_only_reads_while_a_session_is_open(link: Bench) -> None:
    opened(link)
    asked(link, frame(WRITE, 0, SESSION_NUMBER, 400, [11, 22]))
    came, _ = link.run(
        line(udp(ETHERBONE, record([1, 2, 3], base=400))),
        line(udp(ETHERBONE, record(read=[400, 404, 408]))),
    )
    assert datagram_of(came[0])[2] == record([11, 22, 0])
    assert link.counters["stray_writes"] == 3
    asked(link, frame(CLOSE, 0, SESSION_NUMBER, 0))
    came, _ = link.run(
        line(udp(ETHERBONE, record([1, 2, 3], base=400))),
        line(udp(ETHERBONE, record(read=[400, 404, 408]))),
    )
    assert datagram_of(came[0])[2] == record([1, 2, 3])
    assert link.counters["stray_writes"] == 3


def test_etherbone_gives_up_where_nothing_answers(link: Bench) -> None:
    """Once per record; the link continues and serves the next record."""
    nowhere = 4 * WORDS
    came, _ = link.run(
        line(udp(ETHERBONE, record(read=[nowhere + 4 * i for i in range(200)]))),
        line(udp(ETHERBONE, record([1, 2], base=nowhere))),
        line(udp(ETHERBONE, record([5], base=8))),
        line(udp(ETHERBONE, record(read=[8, nowhere, 8]))),
        quiet=4000,
    )
    assert [datagram_of(text)[2] for text in came] == [
        record([0xFFFF_FFFF] * 200),
        record([5, 0xFFFF_FFFF, 0xFFFF_FFFF]),
    ]
    assert link.cycle < 4000 + 6000
    assert link.counters["link_resets"] == 0
    alive(link)


def wrong_records() -> dict[str, bytes]:
    """Etherbone datagrams that would stop LiteEth or that it would misinterpret."""
    right = record([1, 2], base=400)
    read = record(read=[0, 4])
    return {f"cut to {n}": right[:n] for n in range(len(right))} | {
        "an empty record": record(),
        "both": record([1], [4]),
        "more written than comes": record([1, 2], wcount=3),
        "less written than comes": record([1, 2], wcount=1),
        "more read than comes": record(read=[4], rcount=255),
        "less read than comes": record(read=[4] * 255, rcount=1),
        "more than fits": record([1] * 300, wcount=255),
        "two records": right + right[8:],
        "a probe with a record": PROBE + right[12:],
        "a short probe": PROBE[:8],
        "a probe's answer": record([1], word=0x4E6F_1244),
        "magic": record([1], word=0x4E6E_1044),
        "version 2": record([1], word=0x4E6F_2044),
        "64 bits": record([1], word=0x4E6F_1088),
        "a FIFO's flag": read[:8] + b"\x04" + read[9:],
        "a word more": read + bytes(4),
        "a byte more": read + b"\0",
    }


def test_etherbone_survives_invalid_records(link: Bench) -> None:
    wrong = wrong_records()
    for count, (what, text) in enumerate(wrong.items(), 1):
        assert link.run(line(udp(ETHERBONE, text)))[0] == [], what
        assert link.counters["stray_datagrams"] == count, what
        (probe,), _ = link.run(line(udp(ETHERBONE, PROBE)))
        assert datagram_of(probe)[2][:4] == bytes.fromhex("4e6f1244"), what
    came, _ = link.run(
        line(udp(ETHERBONE, record([9], base=0))), line(udp(ETHERBONE, record(read=[0, 400])))
    )
    assert datagram_of(came[0])[2] == record([9, 0])
    assert link.counters["link_resets"] == 0
