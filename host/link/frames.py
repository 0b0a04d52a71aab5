"""Frames of the link: their bytes, checked; no state.

A frame is, little-endian: kind (1 byte), words of data (1), sequence (2), session (4), address (4),
the data, and a CRC-32 of all before (4). A READ's words are those it asks for; no data follow.
What the kinds mean: `dscim.gateware.link.protocol`; who answers how: `dscim.host.golden.twin.link`.
"""

import dataclasses
import struct
import zlib

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.gateware.link.protocol import HEADER_WORDS, MOST_WORDS, Kind

SEQUENCES = 1 << 16
"""Sequence numbers wrap here."""

HEADER = struct.Struct("<BBHII")
assert HEADER.size == 4 * HEADER_WORDS
CHECK = struct.Struct("<I")
OVERHEAD = HEADER.size + CHECK.size
"""Bytes of a frame beside its data."""


ANSWER = 0x80
"""The bit of a kind by which an answer differs from a request."""


class DamagedFrame(LinkError):
    """Bytes that are no whole, right frame."""


@dataclasses.dataclass(slots=True)
class Frame:
    """kind: 8 bits. sequence: 16. session, address: 32. data: whole words, little-endian.

    asked: the words that a READ asks for, 0..255; 0 in every other kind.
    """

    kind: int
    sequence: int
    session: int
    address: int
    data: bytes = b""
    asked: int = 0

    def encode(self) -> bytes:
        """The frame's bytes with its check; ValueError where the data are no 0..255 words."""
        if len(self.data) % 4 or self.count > MOST_WORDS or bool(self.data and self.asked):
            raise ValueError(
                f"{len(self.data)} bytes and {self.asked} words asked are not "
                f"0..{MOST_WORDS} words of 4."
            )
        header = HEADER.pack(self.kind, self.count, self.sequence, self.session, self.address)
        return header + self.data + CHECK.pack(zlib.crc32(self.data, zlib.crc32(header)))

    @classmethod
    def decode(cls, raw: bytes) -> "Frame":
        """The frame in `raw`; DamagedFrame unless length and check are right."""
        if len(raw) < OVERHEAD:
            raise DamagedFrame(f"{len(raw)} bytes are no frame.")
        kind, count, sequence, session, address = HEADER.unpack_from(raw)
        data = raw[HEADER.size : -CHECK.size]
        if len(data) != (0 if kind == Kind.READ else 4 * count):
            raise DamagedFrame(f"{len(raw)} bytes are no frame of {count} words.")
        if zlib.crc32(raw[: -CHECK.size]) != CHECK.unpack_from(raw, len(raw) - CHECK.size)[0]:
            raise DamagedFrame(f"A frame of {len(raw)} bytes fails its check.")
        return cls(kind, sequence, session, address, data, count if kind == Kind.READ else 0)

    @property
    def count(self) -> int:
        """Words that the frame carries, or asks for."""
        return self.asked or len(self.data) // 4

    @property
    def words(self) -> Words:
        """The data as uint32 words."""
        return words_of(self.data)


def data_of(words: Words) -> bytes:
    """uint32 words as a frame's data."""
    return words.astype("<u4", copy=False).tobytes()


def words_of(data: bytes | bytearray) -> Words:
    """A frame's data as uint32 words; writable where the data are."""
    return np.frombuffer(data, "<u4").astype(np.uint32, copy=False)
