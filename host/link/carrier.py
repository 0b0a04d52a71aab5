"""Carriers of frames: the interface, the carrier over a byte stream, and the pacing of frames."""

import time
from collections.abc import Sequence
from typing import Protocol

from dscim.gateware.link.protocol import MAX_WORDS
from dscim.host.link.frames import OVERHEAD, DamagedFrame, Splitter, cobs_decode, wire
from dscim.host.link.transport import BRIDGE_SECONDS, Transport

FRAME_BYTES = len(wire(bytes(OVERHEAD))) + 4 * MAX_WORDS
"""Approximate bytes of the longest frame on a UART."""

DAMAGED = b""
"""Returned by `receive` in place of bytes that are not valid COBS code."""

LINE_SECONDS = 0.05
"""A serial line may have as many bytes in flight as it transfers in this time.

It is longer than the latency of a USB adapter.
"""

STREAM_BYTES = 1 << 16
"""Bytes in flight if the receiver can hold the sender back: fewer than a socket buffers."""

BONE_HEADER = 6
"""Bytes of a UARTBone command without its data."""

BONE_SHIFT = 3
"""Zeros sent before an OPEN; see `_greeting`."""

BONE_COMMANDS, BONE_READ = range(1, 5), 2
"""UARTBone's commands, and the one that reads."""

BONE_SECONDS = 1.0
"""Seconds to wait for UARTBone's answer."""

FIRST_SECONDS = 0.25
"""Seconds to wait for an answer before a round trip has been measured."""

MAX_SECONDS = 0.1
"""The longest time between two sends of a lost frame, unless the round trip takes longer.

It need not grow, because noise on the line causes losses, not congestion.
"""

MIN_SECONDS = {True: 0.03, False: 0.01}
"""The shortest wait for an answer on a stream (True) and with datagrams (False).

Schedulers and adapters add latency.
"""


class Carrier(Protocol):
    """Sends and receives frames, unreliably. Every call is bounded in time; LinkError if closed.

    name: the port or address, for messages.
    stream: True for bytes in order whose bits may flip, False for datagrams, which are lost whole.
    byte_seconds: seconds per byte on the line, 0 if unknown.
    bytes_in_flight: most bytes of requests and answers together; neither end loses these.
    reads_in_flight: maximum number of READ frames that may wait in the device.
    bone: LiteX's own bridge on this kind of line.
    bytes_sent, bytes_received: counted on the line.
    """

    name: str
    stream: bool
    byte_seconds: float
    bytes_in_flight: int
    reads_in_flight: int
    bone: str

    @property
    def bytes_sent(self) -> int:
        """See the class."""

    @property
    def bytes_received(self) -> int:
        """See the class."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""

    def send(self, frames: Sequence[bytes]) -> None:
        """Sends `frames` in order."""

    def harmless(self, frame: bytes) -> bool:
        """Whether `greet` with this frame is safe for a device that is not a dscim device."""

    def greet(self, frame: bytes) -> None:
        """Sends a frame to a device that may not be a dscim device."""

    def receive(self, wait: float, worth: int = 1) -> list[bytes]:
        """The frames received within at most `wait` seconds; DAMAGED in place of a damaged one.

        worth: bytes worth waking up for; a carrier that can wait for more at once ignores fewer.
        """

    def bone_word(self, address: int) -> int | None:
        """The word that LiteX's own bridge reads at byte `address`; None if none answers.

        Safe for whatever else is connected.
        """

    def close(self) -> None:
        """Releases the line. Idempotent."""


class StreamCarrier:
    """A Carrier over a byte stream such as a UART: 0x00, the frame's COBS code, 0x00.

    A serial line cannot hold the host back, so LINE_SECONDS limits the bytes in flight. A socket to
    a simulator can.
    """

    stream = True
    reads_in_flight = 62
    bone = "UARTBone"

    def __init__(self, transport: Transport) -> None:
        self.name = transport.name
        self.transport = transport
        self.byte_seconds = transport.byte_seconds
        self.bytes_in_flight = STREAM_BYTES
        if self.byte_seconds:
            self.bytes_in_flight = max(3 * FRAME_BYTES, int(LINE_SECONDS / self.byte_seconds))
        self._splitter = Splitter()

    @property
    def bytes_sent(self) -> int:
        """See Carrier."""
        return self.transport.bytes_sent

    @property
    def bytes_received(self) -> int:
        """See Carrier."""
        return self.transport.bytes_received

    def now(self) -> float:
        """See Carrier."""
        return time.monotonic()

    def send(self, frames: Sequence[bytes]) -> None:
        """See Carrier."""
        self.transport.send(b"".join(map(wire, frames)))

    def harmless(self, frame: bytes) -> bool:
        """Whether LiteX's UARTBone sees only unknown commands in the greeting."""
        return all(command not in BONE_COMMANDS for command in _greeting(frame)[::BONE_HEADER])

    def greet(self, frame: bytes) -> None:
        """See Carrier."""
        self.transport.send(_greeting(frame))

    def receive(self, wait: float, worth: int = 1) -> list[bytes]:
        """See Carrier."""
        data = self.transport.take(wait, max(1, worth - self._splitter.kept))
        return [_decoded(piece) for piece in self._splitter.split(data)]

    def bone_word(self, address: int) -> int | None:
        """See Carrier."""
        self.transport.take(2 * BRIDGE_SECONDS)
        self.transport.pending()
        self.transport.send(bytes((BONE_READ, 1)) + (address >> 2).to_bytes(4, "big"))
        answer = self.transport.take(BONE_SECONDS)
        answer += self.transport.take(2 * BRIDGE_SECONDS)
        return int.from_bytes(answer, "big") if len(answer) == 4 else None

    def close(self) -> None:
        """See Carrier."""
        self.transport.close()


class RoundTrip:
    """Measures how long answers take, and decides how long to wait for one.

    The estimate of Jacobson and Karels (RFC 6298): smoothed mean and deviation, from frames that
    were sent only once (Karn). stream: as in Carrier. seconds: the smoothed mean.
    """

    def __init__(self, stream: bool) -> None:
        self._least = MIN_SECONDS[stream]
        self.seconds = 0.0
        self._deviation = 0.0
        self._known = False

    def measured(self, seconds: float) -> None:
        """Adds one measurement."""
        if self._known:
            self._deviation += (abs(seconds - self.seconds) - self._deviation) / 4
            self.seconds += (seconds - self.seconds) / 8
        else:
            self.seconds, self._deviation, self._known = seconds, seconds / 2, True

    def patience(self, sends: int) -> float:
        """Seconds after which a frame sent `sends` times is sent again; longer each time."""
        first = self.seconds + 4 * self._deviation if self._known else FIRST_SECONDS
        longer: float = max(self._least, first) * 1.5 ** min(sends - 1, 20)
        return min(longer, max(MAX_SECONDS, first))


class FrameSize:
    """`words` of data in the next frame: fewer on a stream that loses frames, else the maximum.

    Growth and loss balance when about one frame in seven is lost.
    """

    MIN, FIRST = 4, 64

    def __init__(self, stream: bool) -> None:
        self.words = self.FIRST if stream else MAX_WORDS
        self._adapts = stream

    def arrived(self) -> None:
        """A frame arrived at the first attempt."""
        if self._adapts:
            self.words = min(MAX_WORDS, self.words + max(1, self.words // 8))

    def lost(self) -> None:
        """A frame was lost."""
        if self._adapts:
            self.words = max(self.MIN, self.words // 2)


def _greeting(frame: bytes) -> bytes:
    """The frame on a line, with zeros before and after it, in whole UARTBone command headers.

    The zeros before it shift the ones and twos in the code of every OPEN away from the positions
    where UARTBone expects a command.
    """
    data = bytes(BONE_SHIFT) + wire(frame)
    return data + bytes(-len(data) % BONE_HEADER)


def _decoded(piece: bytes) -> bytes:
    """The frame with this COBS code, or DAMAGED."""
    try:
        return cobs_decode(piece)
    except DamagedFrame:
        return DAMAGED
