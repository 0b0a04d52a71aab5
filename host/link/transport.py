"""Byte streams that a UART link runs over: a serial port, or a TCP socket to a simulator."""

import errno
import select
import socket
import time
from typing import Protocol

import serial

from dscim.errors import LinkError

BRIDGE_WORDS = 255
"""Maximum number of words per UARTBone command."""

BRIDGE_SECONDS = 0.1
"""UARTBone drops a command that takes longer than this, in the SoC's time."""

POLL_SECONDS = 0.01
"""A read of a serial port returns at its first byte, or after this time."""

CHUNK = 1 << 18
"""Maximum bytes per read of a socket."""

MAX_WORTH = 1 << 14
"""Maximum bytes to wait for at once, well within a socket's buffer."""


class Disturbed(LinkError):
    """No byte moved within the timeout, or the bytes are out of step; a retry may help."""


class Taken(LinkError):
    """The port is in use: by another program on this machine, or by another host."""


class Transport(Protocol):
    """Sends and receives bytes. Every call ends after `timeout` seconds without a byte.

    byte_seconds: seconds per byte on the line; 0 if only the SoC limits the rate.
    words_per_command: words that UARTBone transfers in half its time-out, at most 255.
    reads_in_flight: read commands that may wait for UARTBone; 1 if it loses them when busy.
    bytes_sent, bytes_received: counted on the line.
    """

    name: str
    byte_seconds: float
    words_per_command: int
    reads_in_flight: int
    bytes_sent: int
    bytes_received: int

    def send(self, data: bytes) -> None:
        """Sends all of `data`, or raises Disturbed or LinkError."""

    def take(self, wait: float, worth: int = 1) -> bytes:
        """The bytes received within at most `wait` seconds; LinkError if the port is closed.

        worth: bytes worth waking up for; fewer need not end the wait.
        """

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; Disturbed if they do not arrive, LinkError if closed."""

    def pending(self) -> bytes:
        """Bytes received and not read yet, without waiting; LinkError if the port is closed."""

    def close(self) -> None:
        """Releases the port. Idempotent."""


def open_transport(target: str, baudrate: int, timeout: float) -> Transport:
    """The transport for `target`: "socket://HOST:PORT", or a port as pyserial names it."""
    if target.startswith("socket://"):
        return SocketTransport(target, timeout)
    return SerialTransport(target, baudrate, timeout)


class _Stream:
    """The part that both transports share, based on their `take`."""

    def __init__(self, name: str, timeout: float) -> None:
        self.name = name
        self.bytes_sent = self.bytes_received = 0
        self._timeout = timeout
        self._kept = bytearray()

    def take(self, wait: float, worth: int = 1) -> bytes:
        """See Transport."""
        raise NotImplementedError

    def receive(self, count: int) -> bytes:
        """See Transport."""
        while len(self._kept) < count:
            came = self.take(self._timeout, count - len(self._kept))
            if not came:
                raise Disturbed(f"{self.name} sent no byte for {self._timeout:g} s")
            self._kept += came
        data = bytes(self._kept[:count])
        del self._kept[:count]
        return data

    def pending(self) -> bytes:
        """See Transport."""
        data = bytes(self._kept) + self.take(0)
        self._kept.clear()
        return data

    def _stalled(self) -> Disturbed:
        """The error for a port that does not take bytes."""
        return Disturbed(f"{self.name} took no byte for {self._timeout:g} s")


class SerialTransport(_Stream):
    """A serial port through pyserial, opened exclusively. A UART cannot hold the sender back."""

    reads_in_flight = 1

    def __init__(self, target: str, baudrate: int, timeout: float) -> None:
        super().__init__(target, timeout)
        self.byte_seconds = 10 / baudrate
        in_time = int(BRIDGE_SECONDS / 2 / self.byte_seconds) // 4
        self.words_per_command = max(1, min(BRIDGE_WORDS, in_time))
        try:
            self._port = serial.serial_for_url(
                target, baudrate, timeout=POLL_SECONDS, exclusive=True
            )
        except (OSError, ValueError) as error:  # SerialException is an OSError
            if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.EBUSY):
                raise Taken(
                    f"Serial port '{target}' is in use by another program on this machine; "
                    "wait until it is free (--wait SECONDS) or stop that program."
                ) from None
            raise LinkError(f"Serial port '{target}' cannot be opened: {error}.") from None

    def send(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._port.write_timeout = self._timeout + 2 * len(data) * self.byte_seconds
            self._port.write(data)
            self.bytes_sent += len(data)
        except serial.SerialTimeoutException:
            raise self._stalled() from None
        except OSError as error:
            raise self._failed(error) from None

    def take(self, wait: float, worth: int = 1) -> bytes:
        """See Transport."""
        deadline = time.monotonic() + wait
        try:
            while True:
                waiting = self._port.in_waiting
                if waiting or wait > 0:
                    came = bytes(self._port.read(waiting or 1))
                    if came:
                        self.bytes_received += len(came)
                        return came
                if time.monotonic() >= deadline:
                    return b""
        except (OSError, TypeError) as error:  # TypeError: pyserial's port closed during a call
            raise self._failed(error) from None

    def close(self) -> None:
        """See Transport."""
        self._port.close()

    def _failed(self, error: Exception) -> LinkError:
        return LinkError(f"Serial port '{self.name}' failed: {error}.")


class SocketTransport(_Stream):
    """A TCP stream to a simulator, which loses no bytes and can hold the sender back."""

    byte_seconds = 0.0
    words_per_command = BRIDGE_WORDS
    reads_in_flight = 64  # their answers fit the simulator's buffer

    def __init__(self, target: str, timeout: float) -> None:
        super().__init__(target, timeout)
        host, _, port = target.removeprefix("socket://").rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise LinkError(f"'{target}' is not a valid target; write socket://HOST:PORT.")
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
                        raise self._stalled() from None
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
        """Waits until `worth` bytes have arrived or the connection is closed, at most `seconds`."""
        if seconds <= 0:
            return
        worth = min(worth, MAX_WORTH)
        if worth != self._worth:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, worth)
            self._worth = worth
        self._readable.poll(1000 * seconds)

    def _closed(self) -> LinkError:
        """The error for a closed connection: Taken if the simulator has not sent a byte.

        A simulator serves one client, and closes a second connection at once.
        """
        if self.bytes_received:
            return LinkError(f"{self.name} closed the connection; is it running?")
        return Taken(
            f"{self.name} closed the connection: another host uses it (--wait SECONDS waits until "
            "it is free), or it has stopped."
        )
