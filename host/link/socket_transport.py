"""A TCP stream to a simulator, as a transport."""

import select
import socket

from dscim.errors import LinkError
from dscim.host.link.transport import BRIDGE_WORDS, Stream, Taken

CHUNK = 1 << 18
"""Bytes asked of a socket at once."""

MOST_WORTH = 1 << 14
"""Bytes waited for at once, well within a socket's buffer."""


class SocketTransport(Stream):
    """A TCP stream to a simulator, which holds bytes back and loses none; sent without delay."""

    byte_seconds = 0.0
    words_per_command = BRIDGE_WORDS
    reads_in_flight = 64  # their answers fit the simulator's buffer

    def __init__(self, target: str, timeout: float) -> None:
        super().__init__(target, timeout)
        host, _, port = target.removeprefix("socket://").rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise LinkError(f"'{target}' is no target; write socket://HOST:PORT.")
        try:
            self._socket = socket.create_connection((host, int(port)), timeout)
        except OSError as error:
            reason = error.strerror or error
            raise LinkError(f"Nothing answers at {target} ({reason}); is it running?") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._writable.register(self._socket, select.POLLOUT)
        self._worth = 1

    def send(self, data: bytes) -> None:
        """See Transport."""
        rest = memoryview(data)
        try:
            while rest:
                try:
                    done = self._socket.send(rest)
                except BlockingIOError:
                    if not self._writable.poll(1000 * self._timeout):
                        raise self.stalled() from None
                    continue
                self.bytes_sent += done
                rest = rest[done:]
        except OSError:
            raise self._closed() from None

    def take(self, wait: float, worth: int = 1) -> bytes:
        """See Transport."""
        try:
            self._wait(wait, worth)
            came = self._socket.recv(CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            raise self._closed() from None
        if not came:
            raise self._closed()
        self.bytes_received += len(came)
        return came

    def close(self) -> None:
        """See Transport."""
        self._socket.close()

    def _wait(self, seconds: float, worth: int) -> None:
        """Until `worth` bytes have come, or the other end closes, or so many seconds."""
        if seconds <= 0:
            return
        worth = min(worth, MOST_WORTH)
        if worth != self._worth:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, worth)
            self._worth = worth
        self._readable.poll(1000 * seconds)

    def _closed(self) -> LinkError:
        """One client at a time: a connection that is closed before a byte came is a second one."""
        if self.bytes_received:
            return LinkError(f"{self.name} closed the connection; is it running?")
        return Taken(
            f"{self.name} closed the connection: another host has it (--wait SECONDS "
            "waits for its end), or it ended."
        )
