"""The link's frames, declared once for both sides.

All integers are little-endian. A frame: kind (1 byte), count of data words (1), sequence (2),
session (4), address (4), the data (4*count), CRC-32 of all before (4). On a UART it goes as 0x00,
its COBS code, 0x00; in UDP it is a datagram.
"""

import enum

HEADER_WORDS = 3
"""Words of 32 bits before the data: kind, count and sequence; session; address."""

MAX_WORDS = 255
"""Data words that a frame holds at most."""

WINDOW = 32
"""WRITE frames that the device takes from the first missing one on."""

QUIET_SECONDS = 0.1
"""Of the SoC's time without a byte, after which a frame that has stopped is given up."""

LEASE_SECONDS = 1
"""Of the SoC's time without a right frame, after which a session ends."""

ETHERBONE_PORT = 1234
"""UDP port where LiteX's Etherbone answers."""

FRAMES_PORT = 1235
"""UDP port of frames: a datagram is one frame, from its header to its CRC, without COBS."""

TAKE_OVER = 1
"""An OPEN's address when it ends another host's session."""


class Kind(enum.IntEnum):
    """What a frame is; answers have bit 7."""

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
    """Another session is alive; address is the cycles of its lease that are left."""
    SESSION = 2
    """Another session is open, or none: the lease has ended, or the device was reset."""
    ADDRESS = 3
    """Not a multiple of 4, or not all inside one region that frames may reach."""
    KIND = 4
    """No such kind, or data words where none may be."""
    LOCKED = 5
    """The memories are not read while the engine runs."""
