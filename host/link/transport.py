"""Byte streams that a UART link runs over: a serial port, or a TCP socket without its delays."""

import socket
import time
from typing import Protocol

import serial

from dscim.host.errors import LinkError

MOST_WORDS = 255  # of a command of UARTBone
BRIDGE_SECONDS = 0.1  # UARTBone drops a command that takes longer, in the SoC's time
CHUNK = 1 << 18  # bytes asked of a socket at once


class Disturbed(LinkError):
    """Nothing came or went for the time-out, or what came is out of step; trying again may help."""


class Transport(Protocol):
    """Bytes both ways. Every call is bounded: `timeout` seconds without a byte end it.

    words_per_command: as many as the bridge receives or sends in half its time-out, 255 at most.
    reads_in_flight: read commands that may wait for the bridge; 1 where a busy bridge loses them.
    """

    name: str
    words_per_command: int
    reads_in_flight: int

    def send(self, data: bytes) -> None:
        """Sends all of `data`, or raises Disturbed or LinkError."""

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


class SocketTransport:
    """A TCP stream to a simulator, which holds bytes back and loses none; sent without delay."""

    words_per_command = MOST_WORDS
    reads_in_flight = 64  # their answers fit the simulator's buffer

    def __init__(self, target: str, timeout: float) -> None:
        self.name = target
        self._timeout = timeout
        host, _, port = target.removeprefix("socket://").rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise LinkError(f"'{target}' is no target; write socket://HOST:PORT.")
        try:
            self._socket = socket.create_connection((host, int(port)), timeout)
        except OSError as error:
            reason = error.strerror or error
            raise LinkError(f"Nothing answers at {target} ({reason}); is it running?") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._kept = bytearray()

    def send(self, data: bytes) -> None:
        """Sends all of `data`, or raises Disturbed or LinkError."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                raise Disturbed(f"{self.name} took no byte for {self._timeout:g} s") from None
            except OSError:
                raise self._closed() from None

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; Disturbed when they do not come, LinkError when closed."""
        while len(self._kept) < count:
            try:
                came = self._socket.recv(CHUNK)
            except TimeoutError:
                raise Disturbed(f"{self.name} sent no byte for {self._timeout:g} s") from None
            except OSError:
                raise self._closed() from None
            if not came:
                raise self._closed()
            self._kept += came
        data = bytes(self._kept[:count])
        del self._kept[:count]
        return data

    def pending(self) -> bytes:
        """What has come and was not asked for, without waiting; LinkError when closed."""
        data = bytes(self._kept)
        self._kept.clear()
        self._socket.settimeout(0)
        try:
            came = self._socket.recv(CHUNK)
        except BlockingIOError:
            return data
        except OSError:
            raise self._closed() from None
        finally:
            self._socket.settimeout(self._timeout)
        if not came:
            raise self._closed()
        return data + came

    def close(self) -> None:
        """Releases the port. Idempotent."""
        self._socket.close()

    def _closed(self) -> LinkError:
        return LinkError(f"{self.name} closed the connection; is it running, and free?")


class SerialTransport:
    """A serial port through pyserial. A UART has no way to hold the sender back."""

    reads_in_flight = 1

    def __init__(self, target: str, baudrate: int, timeout: float) -> None:
        self.name = target
        self._byte_seconds = 10 / baudrate
        in_time = int(BRIDGE_SECONDS / 2 / self._byte_seconds) // 4
        self.words_per_command = max(1, min(MOST_WORDS, in_time))
        self._timeout = timeout
        try:
            self._port = serial.serial_for_url(target, baudrate, timeout=timeout)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise LinkError(f"Serial port '{target}' does not open: {error}.") from None

    def send(self, data: bytes) -> None:
        """Sends all of `data`, or raises Disturbed or LinkError."""
        self._port.write_timeout = self._timeout + 2 * len(data) * self._byte_seconds
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise Disturbed(f"{self.name} took no byte for {self._timeout:g} s") from None
        except OSError as error:
            raise self._failed(error) from None

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; Disturbed when they do not come, LinkError when closed."""
        data = b""
        latest = time.monotonic()
        try:
            while len(data) < count:
                came = self._port.read(min(count - len(data), self._port.in_waiting or 1))
                now = time.monotonic()
                if not came and now - latest >= self._timeout:
                    raise Disturbed(f"{self.name} sent no byte for {self._timeout:g} s")
                latest = now if came else latest
                data += came
        except OSError as error:
            raise self._failed(error) from None
        return data

    def pending(self) -> bytes:
        """What has come and was not asked for, without waiting; LinkError when closed."""
        try:
            waiting = self._port.in_waiting
            return bytes(self._port.read(waiting)) if waiting else b""
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Releases the port. Idempotent."""
        self._port.close()

    def _failed(self, error: OSError) -> LinkError:
        return LinkError(f"Serial port '{self.name}' failed: {error}.")
