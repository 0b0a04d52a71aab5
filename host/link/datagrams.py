"""The carrier of frames as UDP datagrams."""

import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import closing, suppress

from dscim.errors import LinkError
from dscim.gateware.link.protocol import ETHERBONE_PORT

BUFFER = 1 << 20
"""Size of the receive buffer requested from the system, in bytes."""

ETHERBONE = struct.Struct(">HBBIBBBBII")
"""An Etherbone record of one word: magic, version, sizes, padding; flags, byte enables, words
written, words read; return address; an address, or the word."""

ETHERBONE_MAGIC, ETHERBONE_VERSION, ETHERBONE_SIZES, ETHERBONE_BYTES = 0x4E6F, 0x10, 0x44, 0x0F
ETHERBONE_SECONDS = 0.5
"""Seconds to wait for Etherbone's answer."""


class DatagramCarrier:
    """A Carrier to the UDP port `port` of `host`.

    etherbone: the port of LiteX's Etherbone there. Raises LinkError if `host` is unreachable.
    """

    stream = False
    byte_seconds = 0.0
    bytes_in_flight = 1 << 16
    reads_in_flight = 32
    bone = "Etherbone"
    MAX_BYTES = 2048
    """The size of a receive buffer, above that of any datagram."""

    def __init__(self, host: str, port: int, etherbone: int = ETHERBONE_PORT) -> None:
        self.name = f"udp://{host}:{port}"
        self.bytes_sent = self.bytes_received = 0
        self._bone = host, etherbone
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        try:
            self._socket.connect((host, port))
        except OSError as error:
            self._socket.close()
            raise LinkError(f"{self.name} cannot be reached: {error.strerror or error}.") from None

    def now(self) -> float:
        """See Carrier."""
        return time.monotonic()

    def send(self, frames: Sequence[bytes]) -> None:
        """See Carrier. A datagram that finds no buffer space is lost, as on any network."""
        for frame in frames:
            try:
                self.bytes_sent += self._socket.send(frame)
            except BlockingIOError:
                pass
            except OSError as error:
                self._failed(error)

    def harmless(self, frame: bytes) -> bool:
        """Always: a datagram reaches only the port that it is addressed to."""
        return True

    def greet(self, frame: bytes) -> None:
        """See Carrier."""
        self.send([frame])

    def receive(self, wait: float, worth: int = 1) -> list[bytes]:
        """See Carrier. Stops at `worth` bytes, because looking for more would cost another call."""
        frames: list[bytes] = []
        came = 0
        try:
            if wait > 0:
                self._readable.poll(1000 * wait)
            while came < worth:
                frame = self._socket.recv(self.MAX_BYTES)
                came += len(frame) or 1
                self.bytes_received += len(frame)
                frames.append(frame)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(error)
        return frames

    def bone_word(self, address: int) -> int | None:
        """See Carrier. LiteEth's Etherbone answers to its own port number, so that one is bound."""
        request = ETHERBONE.pack(
            ETHERBONE_MAGIC,
            ETHERBONE_VERSION,
            ETHERBONE_SIZES,
            0,
            0,
            ETHERBONE_BYTES,
            0,
            1,
            address,
            address,
        )
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as bone, suppress(OSError):
            with suppress(OSError):  # in use: a simulator answers to any port
                bone.bind(("", self._bone[1]))
            bone.settimeout(ETHERBONE_SECONDS)
            bone.connect(self._bone)
            bone.send(request)
            answer = bone.recv(self.MAX_BYTES)
            if len(answer) == ETHERBONE.size:
                magic, _, _, _, _, _, written, read, place, word = ETHERBONE.unpack(answer)
                if (magic, written, read, place) == (ETHERBONE_MAGIC, 1, 0, address):
                    return int(word)
        return None

    def close(self) -> None:
        """See Carrier."""
        self._socket.close()

    def _failed(self, error: OSError) -> None:
        """Raises LinkError, except for a closed port that may still open.

        ICMP's "refused" is about an earlier datagram; once the device has answered, it is an error.
        """
        if isinstance(error, ConnectionRefusedError):
            if self.bytes_received:
                raise LinkError(f"Nothing listens at {self.name} any more.")
            return
        raise LinkError(f"The connection to {self.name} failed: {error}.")
