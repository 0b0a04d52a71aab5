"""The codecs of frames: exact both ways; arbitrary bytes raise only the link's own error."""

import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dscim.gateware.link.protocol import MAX_WORDS, Kind
from dscim.host.link.frames import (
    MAX_CODE,
    OVERHEAD,
    RUN,
    DamagedFrame,
    Frame,
    Splitter,
    cobs_decode,
    cobs_encode,
    data_of,
    wire,
)

WORDS = st.lists(st.integers(0, 0xFFFF_FFFF), max_size=MAX_WORDS)
FRAMES = st.builds(
    lambda kind, sequence, session, address, words: Frame(
        kind, sequence, session, address, data_of(np.array(words, np.uint32))
    ),
    st.integers(0, 255).filter(lambda kind: kind != Kind.READ),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF),
    WORDS,
) | st.builds(
    Frame,
    st.just(Kind.READ),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF),
    requested=st.integers(0, MAX_WORDS),
)


@settings(deadline=None)
@given(FRAMES)
def test_a_frame_comes_back_as_it_was(frame: Frame) -> None:
    raw = frame.encode()
    assert Frame.decode(raw) == frame
    assert len(raw) == OVERHEAD + len(frame.data)
    assert data_of(frame.words) == frame.data


def test_the_bytes_of_a_frame() -> None:
    body = bytes.fromhex("02 01 3412 78563412 10000020 efbeadde")
    words = np.array([0xDEADBEEF], np.uint32)
    frame = Frame(2, 0x1234, 0x1234_5678, 0x2000_0010, data_of(words))
    assert frame.encode() == body + zlib.crc32(body).to_bytes(4, "little")


@settings(deadline=None)
@given(st.binary(max_size=1200))
def test_any_bytes_are_a_frame_or_damaged(raw: bytes) -> None:
    with suppress(DamagedFrame):
        assert Frame.decode(raw).encode() == raw


@settings(deadline=None)
@given(FRAMES, st.data())
def test_a_damaged_frame_is_reported(frame: Frame, data: st.DataObject) -> None:
    raw = bytearray(frame.encode())
    for bit in data.draw(st.sets(st.integers(0, 8 * len(raw) - 1), min_size=1, max_size=4)):
        raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedFrame):
        Frame.decode(bytes(raw))


def test_a_frame_holds_no_more_than_its_count_can_say() -> None:
    for size in (3, 4 * MAX_WORDS + 4):
        with pytest.raises(ValueError, match=str(size)):
            Frame(2, 0, 1, 0, bytes(size)).encode()
    with pytest.raises(ValueError, match="256"):
        Frame(3, 0, 1, 0, requested=256).encode()


@settings(deadline=None)
@given(st.binary(max_size=1200))
@example(b"")
@example(bytes(600))
@example(b"\1" * 253)
@example(b"\1" * 254)
@example(b"\1" * 254 + b"\0")
@example(b"\1" * 255)
@example(b"\1" * 508)
def test_a_code_has_no_zero_and_comes_back(data: bytes) -> None:
    code = cobs_encode(data)
    assert 0 not in code
    assert cobs_decode(code) == data
    assert len(code) <= len(data) + len(data) // RUN + 1


@pytest.mark.parametrize(
    ("data", "code"),
    [  # from the paper, and edge cases
        ("", "01"),
        ("00", "0101"),
        ("0000", "010101"),
        ("11220033", "0311220233"),
        ("11000000", "0211010101"),
        ("01" * 254, "ff" + "01" * 254 + "01"),
        ("00" + "01" * 255, "01ff" + "01" * 254 + "0201"),
    ],
)
def test_codes(data: str, code: str) -> None:
    assert cobs_encode(bytes.fromhex(data)).hex() == code
    assert cobs_decode(bytes.fromhex(code)).hex() == data


def test_a_code_without_the_last_byte_is_right_too() -> None:
    data = b"\1" * 254
    assert cobs_decode(b"\xff" + data) == data


@settings(deadline=None)
@given(st.binary(max_size=1200))
def test_any_bytes_are_a_code_or_damaged(code: bytes) -> None:
    with suppress(DamagedFrame):
        cobs_decode(code)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(1, 30))
def test_a_stream_is_cut_at_its_zeros(frames: list[bytes], step: int) -> None:
    stream = b"".join(map(wire, frames))
    splitter = Splitter()
    pieces: list[bytes] = []
    for start in range(0, len(stream), step):
        pieces += splitter.split(stream[start : start + step])
    assert [cobs_decode(piece) for piece in pieces] == frames


def test_a_stream_without_zeros_does_not_grow() -> None:
    splitter = Splitter()
    for _ in range(100):
        assert splitter.split(b"x" * 1000) == []
    (piece,) = splitter.split(b"\0")
    assert len(piece) == MAX_CODE + 1
    assert splitter.split(b"\2x\0") == [b"\2x"]
