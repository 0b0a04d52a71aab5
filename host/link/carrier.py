"""What carries frames: a stream of bytes with zeros between, or datagrams of one frame each."""

import time
from collections.abc import Sequence
from typing import Protocol

from dscim.gateware.link.protocol import MOST_WORDS
from dscim.host.link import cobs
from dscim.host.link.frames import OVERHEAD, DamagedFrame
from dscim.host.link.transport import BRIDGE_SECONDS, Transport

FRAME_BYTES = len(cobs.wire(bytes(OVERHEAD))) + 4 * MOST_WORDS
"""About the longest frame on a line."""

DAMAGED = b""
"""What `receive` gives in the place of bytes that are no frame's code."""

LINE_SECONDS = 0.05
"""How much of a serial line's time may be in flight: more than its adapter's latency."""

STREAM_BYTES = 1 << 16
"""Bytes in flight where something holds them back: less than the buffers of a socket."""


BONE_HEADER, BONE_SHIFT, BONE_COMMANDS, BONE_READ = 6, 3, range(1, 5), 2
"""Bytes of a command of UARTBone without its data, zeros that go before an OPEN, commands."""

BONE_SECONDS = 1.0


class Carrier(Protocol):
    """Frames both ways, unreliably. Every call is bounded; LinkError when the way is closed.

    stream: bytes in order, whose bits may flip, rather than datagrams, which get lost whole.
    byte_seconds: what a byte takes on the line, 0 where that is not known.
    bytes_in_flight: of requests and answers together, as many as neither end loses.
    reads_in_flight: READ frames that may wait in the device.
    bone: LiteX's own bridge on such a way.
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
        """Seconds of a clock that never goes back."""

    def send(self, frames: Sequence[bytes]) -> None:
        """Sends each of `frames`, in this order."""

    def harmless(self, frame: bytes) -> bool:
        """Whether something else than a dscim device can take no harm from `greet`."""

    def greet(self, frame: bytes) -> None:
        """Sends a frame to what may be no dscim device."""

    def receive(self, wait: float, worth: int = 1) -> list[bytes]:
        """What has come, after at most `wait` seconds; DAMAGED for what is no frame.

        worth: of fewer bytes nobody has a use yet; where it is cheap they wait for the others.
        """

    def bone_word(self, address: int) -> int | None:
        """What LiteX's own bridge reads at the byte `address`; None where none answers.

        Whatever is there takes no harm from it.
        """

    def close(self) -> None:
        """Releases the way. Idempotent."""


class StreamCarrier:
    """Frames on a UART's bytes: 0x00, the frame's code, 0x00.

    A serial line cannot hold the host back: what is in flight stays within the device's buffer,
    1024 words of frames. A socket to a simulator holds back.
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
        self._splitter = cobs.Splitter()

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
        self.transport.send(b"".join(map(cobs.wire, frames)))

    def harmless(self, frame: bytes) -> bool:
        """Whether LiteX's UARTBone takes the greeting for commands that it does not know."""
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


def _greeting(frame: bytes) -> bytes:
    """The frame on a line, zeros before and after it, as whole headers of UARTBone's commands.

    The zeros before shift the ones and twos of every OPEN's code away from the headers' beginnings.
    """
    data = bytes(BONE_SHIFT) + cobs.wire(frame)
    return data + bytes(-len(data) % BONE_HEADER)


def _decoded(piece: bytes) -> bytes:
    try:
        return cobs.decode(piece)
    except DamagedFrame:
        return DAMAGED
