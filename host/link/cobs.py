"""Consistent overhead byte stuffing: any bytes as bytes without a zero, so that zeros delimit.

S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Trans. Networking 7 (1999).
On the wire a frame is 0x00, its code, 0x00.
"""

from dscim.gateware.link.protocol import MOST_WORDS
from dscim.host.link.frames import OVERHEAD, DamagedFrame

RUN = 254
"""Bytes without a zero that one code byte covers."""

MOST_CODE = OVERHEAD + 4 * MOST_WORDS + (OVERHEAD + 4 * MOST_WORDS) // RUN + 2
"""Bytes of the longest frame's code."""

_CODES = [bytes([length + 1]) for length in range(RUN + 1)]


def encode(data: bytes) -> bytes:
    """The code of `data`, at least one byte and none of them zero."""
    parts: list[bytes] = []
    for group in data.split(b"\0"):
        rest = group
        while len(rest) >= RUN:
            parts += (_CODES[RUN], rest[:RUN])
            rest = rest[RUN:]
        parts += (_CODES[len(rest)], rest)
    return b"".join(parts)


def decode(code: bytes) -> bytes:
    """The bytes whose code this is; DamagedFrame where it is none."""
    parts = []
    place, end = 0, len(code)
    if not end or 0 in code:
        raise DamagedFrame("An empty code, or one with a zero.")
    while place < end:
        following = place + code[place]
        if following > end:
            raise DamagedFrame("A code that ends too early.")
        parts.append(code[place + 1 : following])
        if following - place <= RUN and following < end:
            parts.append(b"\0")
        place = following
    return b"".join(parts)


def wire(frame: bytes) -> bytes:
    """The bytes of a frame on a line."""
    return b"\0" + encode(frame) + b"\0"


class Splitter:
    """Cuts a stream of bytes at its zeros; what lies between may be a frame's code."""

    def __init__(self) -> None:
        self._kept = b""

    def split(self, data: bytes) -> list[bytes]:
        """The pieces that the zeros in `data` complete, empty ones left out.

        What is longer than any frame is cut short: it is none, and nothing grows without bound.
        """
        *whole, kept = (self._kept + data).split(b"\0")
        self._kept = kept[: MOST_CODE + 1]
        return [piece[: MOST_CODE + 1] for piece in whole if piece]

    @property
    def kept(self) -> int:
        """Bytes of the piece that has begun."""
        return len(self._kept)

    def drop(self) -> bool:
        """Forgets a piece that was begun; whether there was one."""
        begun, self._kept = bool(self._kept), b""
        return begun
