"""Byte streams that a UART link runs over: a serial port, or a TCP socket without its delays."""

import errno
import select
import socket
import time
from typing import Protocol

import serial

from dscim.host.errors import LinkError

MOST_WORDS = 255  # of a command of UARTBone
BRIDGE_SECONDS = 0.1  # UARTBone drops a command that takes longer, in the SoC's time
CHUNK = 1 << 18  # bytes asked of a socket at once
MOST_WORTH = 1 << 14  # bytes waited for at once, well within a socket's buffer
POLL_SECONDS = 0.01  # a serial port returns at its first byte, or after this


class Disturbed(LinkError):
    """Nothing came or went for the time-out, or what came is out of step; trying again may help."""


class Taken(LinkError):
    """Another program on this machine has the port."""


class Transport(Protocol):
    """Bytes both ways. Every call is bounded: `timeout` seconds without a byte end it.

    byte_seconds: what a byte takes on the line; 0 where nothing but the SoC limits it.
    words_per_command: as many as the bridge receives or sends in half its time-out, 255 at most.
    reads_in_flight: read commands that may wait for the bridge; 1 where a busy bridge loses them.
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
        """What has come, after at most `wait` seconds for a first byte; LinkError when closed.

        worth: fewer bytes than so many need not end the wait.
        """

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; Disturbed when they do not come, LinkError when closed."""

    def pending(self) -> bytes:
        """What has come and was not asked for, without waiting; LinkError when closed."""

    def close(self) -> None:
        """Releases the port. Idempotent."""


def open_transport(target: str, baudrate: int, timeout: float) -> Transport:
    """The transport for `target`: "socket://HOST:PORT", or a port as pyserial names it."""
    if target.startswith("socket://"):
        return SocketTransport(target, timeout)
    return SerialTransport(target, baudrate, timeout)


class _Stream:
    """What both transports do with the bytes that `take` gives."""

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
        return Disturbed(f"{self.name} took no byte for {self._timeout:g} s")


class SocketTransport(_Stream):
    """A TCP stream to a simulator, which holds bytes back and loses none; sent without delay."""

    byte_seconds = 0.0
    words_per_command = MOST_WORDS
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
        return Taken(f"{self.name} closed the connection: another host has it (--wait SECONDS "
                     "waits for its end), or it ended.")


class SerialTransport(_Stream):
    """A serial port through pyserial, ours alone. A UART has no way to hold the sender back."""

    reads_in_flight = 1

    def __init__(self, target: str, baudrate: int, timeout: float) -> None:
        super().__init__(target, timeout)
        self.byte_seconds = 10 / baudrate
        in_time = int(BRIDGE_SECONDS / 2 / self.byte_seconds) // 4
        self.words_per_command = max(1, min(MOST_WORDS, in_time))
        try:
            self._port = serial.serial_for_url(target, baudrate, timeout=POLL_SECONDS,
                                               exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.EBUSY):
                raise Taken(f"Serial port '{target}' is in use by another program of this machine; "
                            "wait for its end (--wait SECONDS) or end it.") from None
            raise LinkError(f"Serial port '{target}' does not open: {error}.") from None

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
        except (OSError, TypeError) as error:   # TypeError: pyserial's port closed under it
            raise self._failed(error) from None

    def close(self) -> None:
        """See Transport."""
        self._port.close()

    def _failed(self, error: Exception) -> LinkError:
        return LinkError(f"Serial port '{self.name}' failed: {error}.")
