"""Bytes outside frames, in a small SoC: UARTBone's, strays, incomplete frames, noise."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.link_bytes import CLOSE, OPEN, OPENED, WRITE, WRITTEN, cobs, frame
from tests.link_soc import MEMORY, OUTSIDE, TIMEOUT, WORDS, Client, connected, random_words


@pytest.fixture
def client() -> Iterator[Client]:
    with connected() as connection:
        yield connection


def test_uartbone_works_without_a_session(client: Client) -> None:
    rng = np.random.default_rng(6)
    for place in range(0, 2000, 200):
        words = random_words(rng, 200)
        words[3:9] = [0] * 6  # a zero within a command belongs to it
        client.bone_write(OUTSIDE + 4 * place, words)
        assert client.bone_read(OUTSIDE + 4 * place, 200) == words
    assert client.open(1)[4][-1] == 1
    assert client.counters()["frames_dropped"] == 0
    client.ask(frame(CLOSE, 0, 1, 0))
    assert client.bone_read(OUTSIDE + 4 * 1800, 200) == words


def test_bytes_outside_frames_never_reach_uartbone_during_a_session(client: Client) -> None:
    client.open(1)
    client.bone_write(OUTSIDE, [0x0101_0101])  # 0x01, then the address: begins a frame with its 0
    client.send(b"\0" + bytes([1, 1, 8, 4]) + b"stray\0")
    client.nothing()
    client.ask(frame(CLOSE, 0, 1, 0))
    assert client.bone_read(OUTSIDE) == [0]


def test_a_frame_that_stops_is_given_up(client: Client) -> None:
    whole = b"\0" + cobs(frame(OPEN, 0, 5, 0))
    client.send(whole[:9])
    client.simulator.pass_cycles(TIMEOUT // 2)
    client.nothing()
    client.simulator.pass_cycles(TIMEOUT)
    client.bone_write(OUTSIDE, [4])
    assert client.bone_read(OUTSIDE) == [4]
    client.send(whole)  # only its last zero is missing
    client.simulator.pass_cycles(TIMEOUT + 1000)
    assert client.frames(1)[0][0] == OPENED
    client.session = 5
    assert client.counters()["frames_dropped"] == 1


def fill_outside(client: Client, rng) -> list[int]:
    """Fills the memory that frames do not reach with random words."""
    pattern = random_words(rng, WORDS)
    for place in range(0, WORDS, 128):
        client.bone_write(OUTSIDE + 4 * place, pattern[place : place + 128])
    return pattern


def check_outside(client: Client, pattern: list[int]) -> None:
    client.ask(frame(CLOSE, 0, client.session, 0))
    for place in range(0, WORDS, 128):
        assert client.bone_read(OUTSIDE + 4 * place, 128) == pattern[place : place + 128]


def test_random_bytes_do_nothing_to_a_session(client: Client) -> None:
    """Hundreds of thousands of them; the session continues at once."""
    rng = np.random.default_rng(8)
    pattern = fill_outside(client, rng)
    client.open(1)
    for sequence in range(4):
        client.send(rng.bytes(100_000))
        came = client.ask(frame(WRITE, sequence, 1, MEMORY, [sequence]))
        assert came == [(WRITTEN, sequence, 1, sequence + 1, ())]
    found = client.counters()
    assert client.read(MEMORY, WORDS) == [3] + [0] * (WORDS - 1)
    assert found["frames_taken"] == 6
    assert found["frames_dropped"] > 1000
    check_outside(client, pattern)


TAILS = [
    b"",
    b"\0",
    b"\0\5\6\7",
    b"\1",
    b"\1\xff",
    b"\1\2" + bytes(4),
    b"\1\2" + bytes(7),
    b"\2\xff" + (OUTSIDE >> 2).to_bytes(4, "big"),
    b"\2\4\x3f\0\0\0",
    b"\1\4\x3f" + bytes(7),
    b"\x80\x80",
    b"\3\0" + bytes(4),
    b"\0" + cobs(frame(OPEN, 0, 3, 0))[:9],
]
"""Incomplete frames and UARTBone commands, some to unused addresses, before a silence."""


def test_usable_soon_after_random_bytes(client: Client) -> None:
    """Without a session UARTBone receives them, too; a silence of 100,000 cycles is enough."""
    rng = np.random.default_rng(9)
    pattern = fill_outside(client, rng)
    client.send(rng.bytes(100_000))
    client.simulator.pass_cycles(4_000_000)
    for session, tail in enumerate(TAILS, 100):
        client.send(tail)
        client.simulator.pass_cycles(TIMEOUT + 1000)
        client.discard()
        assert client.open(session)[0] == OPENED
        client.ask(frame(CLOSE, 0, session, 0))
    client.open(1)
    check_outside(client, pattern)
