"""CRC-32, COBS, frame receiver and frame sender, compared with zlib and plain Python."""

import zlib

import numpy as np
import pytest
from migen import passive, run_simulation

from dscim.gateware.link.cobs import CobsDecoder, CobsEncoder
from dscim.gateware.link.crc32 import Crc32Checker, Crc32Inserter
from dscim.gateware.link.frames import FrameReceiver, FrameSender
from tests.link_bytes import READ, WRITE, cobs, decode, frame
from tests.streams import drain, feed

STALLS = [(0, 0), (0.4, 0.4)]


def beats(text: bytes) -> list[dict[str, int]]:
    return [{"data": byte, "last": int(i == len(text) - 1)} for i, byte in enumerate(text)]


def texts_of(came: list[dict[str, int]]) -> list[bytes]:
    texts, text = [], b""
    for beat in came:
        text += bytes([beat["data"]])
        if beat["last"]:
            texts, text = [*texts, text], b""
    assert not text
    return texts


def through(dut, sent, count: int, stalls, seed: int = 1, observe=()) -> list[dict[str, int]]:
    """The output of a module for the input `sent`."""
    came: list[dict[str, int]] = []
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    run_simulation(
        dut,
        [
            feed(dut.sink, sent, rng, stalls[0]),
            drain(dut.source, came, count, other, stalls[1]),
            *observe,
        ],
    )
    return came


def random_texts(rng, count: int) -> list[bytes]:
    """Random texts of 1 to 255 bytes with no, some or many zeros."""
    texts = []
    for _ in range(count):
        size = int(2 ** rng.uniform(0, 8))
        values = rng.integers(1, 256, size, dtype=np.uint8)
        values[rng.random(size) < rng.choice([0, 0, 0.01, 0.5, 1])] = 0
        texts.append(values.tobytes())
    return texts


@pytest.mark.parametrize("stalls", STALLS)
def test_crc_inserted_is_that_of_zlib(stalls):
    texts = random_texts(np.random.default_rng(2), 5)
    sent = [beat for text in texts for beat in beats(text)]
    came = through(Crc32Inserter(), sent, len(sent) + 4 * len(texts), stalls)
    assert texts_of(came) == [t + zlib.crc32(t).to_bytes(4, "little") for t in texts]


def flipped(text: bytes, bit: int) -> bytes:
    return bytes(b ^ (bit // 8 == i) << bit % 8 for i, b in enumerate(text))


@pytest.mark.parametrize("stalls", STALLS)
def test_crc_checked_finds_flipped_bits(stalls):
    """Some of them; test_link_soc flips every bit."""
    text = frame(WRITE, 7, 0x1234_5678, 0x100)
    bits = range(0, 8 * len(text), 9)
    texts = [text, *(flipped(text, bit) for bit in bits), text]
    sent = [beat for t in texts for beat in beats(t)]
    came = through(Crc32Checker(), sent, len(sent), stalls)
    assert texts_of(came) == texts
    assert [beat["error"] for beat in came if beat["last"]] == [0] + [1] * len(bits) + [0]


EDGES = (
    [bytes([1]) * n for n in (1, 253, 254, 255, 507, 508, 509)]
    + [bytes(n) for n in (1, 2, 300)]
    + [
        bytes([7]) * 253 + b"\0",
        bytes([7]) * 254 + b"\0",
        bytes([7]) * 255 + b"\0",
        b"\0" + bytes([7]) * 254,
        bytes([7]) * 254 + b"\0\0",
        bytes([7]) * 508 + b"\0x",
    ]
)


@pytest.mark.parametrize("stalls", STALLS)
def test_cobs_encodes(stalls):
    texts = EDGES + random_texts(np.random.default_rng(3), 5)
    codes = [cobs(text) for text in texts]
    assert [decode(code) for code in codes] == texts
    sent = [beat for text in texts for beat in beats(text)]
    came = through(CobsEncoder(), sent, sum(map(len, codes)), stalls)
    assert texts_of(came) == codes


@pytest.mark.parametrize("stalls", STALLS)
def test_cobs_decodes(stalls):
    """Both codes of a last block of 254, zeros between frames, and every kind of broken code."""
    texts = EDGES + random_texts(np.random.default_rng(4), 5)
    codes = [cobs(text) for text in texts] + [cobs(bytes([9]) * 254) + b"\x01"]
    texts = [*texts, bytes([9]) * 254]
    broken = [b"\x01", b"\x05abc", b"\x02a\xffb", b"\xff", b"\x03"]
    sent = [{"data": byte} for code in codes for byte in b"\0" + code + b"\0"]
    sent += [{"data": byte} for code in broken for byte in code + b"\0\0"]
    sent += [{"data": byte} for byte in cobs(b"end") + b"\0"]
    dut = CobsDecoder()
    came: list[dict[str, int]] = []

    def collect(goal: int):
        yield from drain(dut.source, came, goal, np.random.default_rng(5), stalls[1])

    shown = sum(max(1, len(decode(code) or b"")) for code in codes)
    held = [1, 3, 3, 1, 1]  # beats of each broken code: its bytes, at least the last
    run_simulation(
        dut,
        [feed(dut.sink, sent, np.random.default_rng(6), stalls[0]), collect(shown + sum(held) + 3)],
    )
    frames, errors = texts_of(came), [beat["error"] for beat in came if beat["last"]]
    assert frames[: len(texts)] == texts
    assert frames[-1] == b"end"
    assert errors == [0] * len(texts) + [1] * len(broken) + [0]


@passive
def count(signal, totals: dict[str, int], name: str):
    while True:
        totals[name] = totals.get(name, 0) + (yield signal)
        yield


def words_of(text: bytes) -> list[tuple[int, int]]:
    """(word, last) of a valid frame as the engine receives them."""
    values = np.frombuffer(text[:-4], "<u4")
    return [(int(value), int(i == len(values) - 1)) for i, value in enumerate(values)]


def received(texts: list[bytes], right: list[bytes], stalls) -> dict[str, int]:
    """Feeds frames; asserts that exactly the valid ones come out; returns the counters."""
    dut, totals = FrameReceiver(), {}
    sent = [beat for text in texts for beat in beats(text)]
    expected = [pair for text in right for pair in words_of(text)]
    came = through(
        dut,
        sent,
        len(expected),
        stalls,
        observe=[count(getattr(dut, name), totals, name) for name in ("taken", "dropped")],
    )
    assert [(beat["data"], beat["last"]) for beat in came] == expected
    return totals


SHORT = frame(WRITE, 3, 0xCAFE, 0x40, [0x0102_0304])


@pytest.mark.parametrize("stalls", STALLS)
def test_receiver_passes_valid_frames_only(stalls):
    rng = np.random.default_rng(8)
    right, texts = [], []
    for i in range(6):
        words = [int(w) for w in rng.integers(0, 1 << 32, (0, 1, 2, 9)[i % 4])]
        good = frame(WRITE, i, 5, 64, words) if i % 4 else frame(READ, i, 5, 64, count=200)
        wrong = [
            frame(WRITE, i, 5, 64, [1, 2], count=3),
            frame(WRITE, i, 5, 64, [1, 2], count=1),
            frame(WRITE, i, 5, 64, [7] * 20, count=9),
            frame(READ, i, 5, 64, [1]),
            good + b"\0",
            bytes(rng.bytes(50)),
        ]
        bad = wrong[i % len(wrong)]
        right, texts = [*right, good], [*texts, good, bad]
    totals = received([*texts, SHORT], [*right, SHORT], stalls)
    assert totals == {"taken": 7, "dropped": 6}


def test_receiver_drops_cut_frames():
    cut = [SHORT[:n] for n in range(1, len(SHORT))]
    totals = received([SHORT, *cut, SHORT], [SHORT, SHORT], (0, 0))
    assert totals == {"taken": 2, "dropped": len(cut)}


@pytest.mark.parametrize("stalls", STALLS)
def test_sender_builds_frames(stalls):
    rng = np.random.default_rng(9)
    texts = [
        frame(0x83, i, 77, 8 * i, [int(w) for w in rng.integers(0, 1 << 32, size)])
        for i, size in enumerate((0, 1, 5, 60, 0))
    ]
    sent = [{"data": word, "last": last} for text in texts for word, last in words_of(text)]
    came = through(FrameSender(), sent, sum(map(len, texts)), stalls)
    assert texts_of(came) == texts
