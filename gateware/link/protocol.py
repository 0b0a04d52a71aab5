"""The link's frames, declared once for both sides.

All integers are little-endian. A frame: kind (1 byte), count of data words (1), sequence (2),
session (4), address (4), the data (4*count), CRC-32 of everything before it (4). On a UART it is
sent as 0x00, its COBS code, 0x00; on Ethernet it is a UDP datagram.
"""

import enum

HEADER_WORDS = 3
"""Words of 32 bits before the data: kind, count and sequence; session; address."""

MAX_WORDS = 255
"""The most data words in a frame."""

WINDOW = 32
"""WRITE frames that the device accepts, counted from the first missing one."""

QUIET_SECONDS = 0.1
"""Time without a byte, by the SoC's clock, after which an incomplete frame is dropped."""

LEASE_SECONDS = 1
"""Time without a valid frame, by the SoC's clock, after which a session ends."""

ETHERBONE_PORT = 1234
"""UDP port of LiteX's Etherbone."""

FRAMES_PORT = 1235
"""UDP port of frames: one frame per datagram, from its header to its CRC, without COBS."""

TAKE_OVER = 1
"""The address of an OPEN that may end another host's session."""


class Kind(enum.IntEnum):
    """The kind of a frame; answers have bit 7 set."""

    OPEN = 1
    WRITE = 2
    READ = 3
    CLOSE = 4
    OPENED = 0x81
    WRITTEN = 0x82
    DATA = 0x83
    CLOSED = 0x84
    REFUSED = 0xFF


class Reason(enum.IntEnum):
    """Why a frame was refused: the data word of REFUSED."""

    BUSY = 1
    """Another session is active; `address` is the number of cycles left of its lease."""
    SESSION = 2
    """The session is not open: its lease has ended, or the device was reset."""
    ADDRESS = 3
    """Not a multiple of 4, or not entirely inside one region that frames may access."""
    KIND = 4
    """Unknown kind, or data words where none are allowed."""
    LOCKED = 5
    """Memories cannot be read while the engine runs."""
