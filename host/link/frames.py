"""Frames as bytes: header, data and check, and their COBS code on a UART.

A frame is, little-endian: kind (1 byte), words of data (1), sequence (2), session (4), address (4),
the data, and a CRC-32 of everything before it (4). A READ's count is the number of words requested,
and no data follow. For the meaning of the kinds see `dscim.gateware.link.protocol`, for the
device's answers `dscim.host.golden.twin.link`.

On a UART a frame is sent as 0x00, its COBS code, 0x00. The code (consistent overhead byte stuffing)
contains no zero, so zeros can delimit it: S. Cheshire and M. Baker, "Consistent Overhead Byte
Stuffing", IEEE/ACM Trans. Networking 7 (1999).
"""

import dataclasses
import struct
import zlib

import numpy as np

from dscim.arrays import Words
from dscim.checks import check_array
from dscim.errors import ArgumentError, LinkError
from dscim.gateware.link.protocol import HEADER_WORDS, MAX_WORDS, Kind, Reason

SEQUENCES = 1 << 16
"""Sequence numbers wrap here."""

HEADER = struct.Struct("<BBHII")
assert HEADER.size == 4 * HEADER_WORDS
CHECK = struct.Struct("<I")
OVERHEAD = HEADER.size + CHECK.size
"""Bytes of a frame in addition to its data."""

ANSWER = 0x80
"""The bit of a kind that is set in answers and clear in requests."""

RUN = 254
"""Bytes without a zero that one code byte covers."""

MAX_CODE = OVERHEAD + 4 * MAX_WORDS + (OVERHEAD + 4 * MAX_WORDS) // RUN + 2
"""Bytes in the code of the longest frame."""

_CODES = [bytes([length + 1]) for length in range(RUN + 1)]


class DamagedFrame(LinkError):
    """The bytes are not one complete, correct frame."""


@dataclasses.dataclass(slots=True)
class Frame:
    """kind: 8 bits. sequence: 16. session, address: 32. data: whole words, little-endian.

    requested: the number of words that a READ requests, 0..255; 0 for every other kind.
    """

    kind: int
    sequence: int
    session: int
    address: int
    data: bytes = b""
    requested: int = 0

    def encode(self) -> bytes:
        """The frame's bytes with their check; ValueError unless the data are 0..255 words."""
        if len(self.data) % 4 or self.count > MAX_WORDS or bool(self.data and self.requested):
            raise ValueError(
                f"A frame holds or requests 0..{MAX_WORDS} words of 4 bytes, not "
                f"{len(self.data)} bytes of data and {self.requested} words requested."
            )
        header = HEADER.pack(self.kind, self.count, self.sequence, self.session, self.address)
        return header + self.data + CHECK.pack(zlib.crc32(self.data, zlib.crc32(header)))

    @classmethod
    def decode(cls, raw: bytes) -> "Frame":
        """The frame in `raw`; DamagedFrame unless its length and check are right."""
        if len(raw) < OVERHEAD:
            raise DamagedFrame(f"{len(raw)} bytes are too few for a frame.")
        kind, count, sequence, session, address = HEADER.unpack_from(raw)
        data = raw[HEADER.size : -CHECK.size]
        if len(data) != (0 if kind == Kind.READ else 4 * count):
            raise DamagedFrame(f"{len(raw)} bytes do not match a frame of {count} words.")
        if zlib.crc32(raw[: -CHECK.size]) != CHECK.unpack_from(raw, len(raw) - CHECK.size)[0]:
            raise DamagedFrame(f"A frame of {len(raw)} bytes fails its check.")
        return cls(kind, sequence, session, address, data, count if kind == Kind.READ else 0)

    @property
    def count(self) -> int:
        """Number of words that the frame carries or requests."""
        return self.requested or len(self.data) // 4

    @property
    def words(self) -> Words:
        """The data as uint32 words."""
        return words_of(self.data)


class Refused(LinkError):
    """The device refused `request` with `reason` and did nothing; `frame` is its answer."""

    def __init__(self, frame: Frame, request: Frame, name: str) -> None:
        self.reason = int(frame.words[0])
        self.frame = frame
        place = f"{request.count} words at {request.address:#x}"
        why = {
            Reason.ADDRESS: f"{place} are outside the addresses that frames may reach",
            Reason.LOCKED: f"{place} are in a memory, which cannot be read while the engine runs",
            Reason.SESSION: "its session is over",
            Reason.BUSY: "another host's session is open",
        }
        text = next(
            (text for reason, text in why.items() if reason == self.reason),
            f"reason {self.reason} for kind {request.kind}",
        )
        super().__init__(f"{name} refused a frame: {text}.")


def data_of(words: Words) -> bytes:
    """uint32 words as a frame's data."""
    return words.astype("<u4", copy=False).tobytes()


def words_of(data: bytes | bytearray) -> Words:
    """A frame's data as uint32 words; writable if `data` is."""
    return np.frombuffer(data, "<u4").astype(np.uint32, copy=False)


def check_place(address: int, count: int) -> None:
    """ArgumentError unless `count` words at the byte `address` are on the 32-bit bus."""
    if address % 4 or count < 0 or not 0 <= address <= (1 << 32) - 4 * count:
        raise ArgumentError(
            f"{count} words at {address:#x} are not on the bus: addresses are multiples of 4 below "
            "2**32."
        )


def check_words(address: int, words: Words) -> None:
    """ArgumentError unless `words` are (n,) uint32 that can be written at the byte `address`."""
    check_array("words to write", words, np.uint32, ("n",))
    check_place(address, len(words))


def cobs_encode(data: bytes) -> bytes:
    """The COBS code of `data`: at least one byte, none of them zero."""
    parts: list[bytes] = []
    for group in data.split(b"\0"):
        rest = group
        while len(rest) >= RUN:
            parts += (_CODES[RUN], rest[:RUN])
            rest = rest[RUN:]
        parts += (_CODES[len(rest)], rest)
    return b"".join(parts)


def cobs_decode(code: bytes) -> bytes:
    """The bytes with this COBS code; DamagedFrame if `code` is not valid."""
    parts = []
    place, end = 0, len(code)
    if not end or 0 in code:
        raise DamagedFrame("The COBS code is empty or contains a zero.")
    while place < end:
        following = place + code[place]
        if following > end:
            raise DamagedFrame("The COBS code ends too early.")
        parts.append(code[place + 1 : following])
        if following - place <= RUN and following < end:
            parts.append(b"\0")
        place = following
    return b"".join(parts)


def wire(frame: bytes) -> bytes:
    """The bytes of a frame on a UART: its COBS code between two zeros."""
    return b"\0" + cobs_encode(frame) + b"\0"


class Splitter:
    """Splits a stream of bytes at its zeros into pieces, each possibly the code of a frame."""

    def __init__(self) -> None:
        self._kept = b""

    def split(self, data: bytes) -> list[bytes]:
        """The pieces that the zeros in `data` complete; empty pieces are left out.

        A piece longer than any frame's code is truncated, so that memory stays bounded; it is
        still too long to be valid.
        """
        *whole, kept = (self._kept + data).split(b"\0")
        self._kept = kept[: MAX_CODE + 1]
        return [piece[: MAX_CODE + 1] for piece in whole if piece]

    @property
    def kept(self) -> int:
        """Number of bytes received of the unfinished piece."""
        return len(self._kept)
