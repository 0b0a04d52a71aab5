"""Serves the protocol on a pseudo-terminal or a TCP port, to one host at a time."""

import os
import select
import socket
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol as Interface

from dscim.errors import UserError
from dscim.host.device.dut.protocol import Protocol

CHUNK = 4096
MAX_KEPT = 1 << 16
"""The limit on the bytes that wait during an inference."""

STALLED_SECONDS = 5.0
"""A host that takes no byte for this long is given up; what it has not taken is discarded."""

IN_USE = b"e-[Another host is connected]\r\n"


class Port(Interface):
    """A place where one host at a time connects.

    address: as pyserial takes it.
    """

    address: str

    def take(self, wait: float | None) -> bytes | None:
        """The bytes that have come within `wait` seconds, None: any time; None if the host left."""

    def send(self, data: bytes) -> None:
        """Sends all of `data`; discards what the host does not take in STALLED_SECONDS."""

    def close(self) -> None:
        """Releases the port."""


class Terminal:
    """A pseudo-terminal. A host that leaves is not noticed: the next one finds an open port."""

    def __init__(self) -> None:
        self._device, self._host = os.openpty()  # the host's side stays open
        tty.setraw(self._host)
        os.set_blocking(self._device, False)
        self.address = os.ttyname(self._host)

    def take(self, wait: float | None) -> bytes | None:
        """See Port."""
        if not select.select([self._device], [], [], wait)[0]:
            return b""
        with suppress(BlockingIOError):
            return os.read(self._device, CHUNK)
        return b""

    def send(self, data: bytes) -> None:
        """See Port."""
        rest = memoryview(data)
        while rest and select.select([], [self._device], [], STALLED_SECONDS)[1]:
            with suppress(BlockingIOError):
                rest = rest[os.write(self._device, rest) :]

    def close(self) -> None:
        """See Port."""
        os.close(self._device)
        os.close(self._host)


class TcpPort:
    """A TCP port of 127.0.0.1; 0: a free one. While a host is connected, others are turned away."""

    def __init__(self, port: int) -> None:
        self._host: socket.socket | None = None
        try:
            self._server = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"Port {port} cannot be opened ({os.strerror(error.errno or 0)}); choose another "
                "one, or 0."
            ) from None
        self.address = f"socket://127.0.0.1:{self._server.getsockname()[1]}"

    def take(self, wait: float | None) -> bytes | None:
        """See Port."""
        watched = [self._server] + ([self._host] if self._host else [])
        ready = select.select(watched, [], [], wait)[0]
        data: bytes | None = self._received() if self._host in ready else b""
        if self._server in ready:  # after the last host has left, if it has
            self._welcome()
        return data

    def send(self, data: bytes) -> None:
        """See Port."""
        if self._host is None:
            return
        try:
            self._host.settimeout(STALLED_SECONDS)
            self._host.sendall(data)
        except OSError:  # it has left, or takes nothing
            self._leave()

    def close(self) -> None:
        """See Port."""
        self._leave()
        self._server.close()

    def _received(self) -> bytes | None:
        """The bytes that the host has sent; None if it has left."""
        assert self._host is not None
        with suppress(OSError):
            data = self._host.recv(CHUNK)
            if data:
                return data
        self._leave()
        return None

    def _welcome(self) -> None:
        """Takes a host, or turns it away."""
        fresh, _ = self._server.accept()
        if self._host is None:
            fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._host = fresh
            return
        with fresh, suppress(OSError):
            fresh.settimeout(0)
            fresh.send(IN_USE)

    def _leave(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None


Make = Callable[[Callable[[bytes], None], Callable[[], bool]], Protocol]
"""Makes a protocol from its `send` and `waiting`."""


def serve(port: Port, make: Make, ready: Callable[[], None] = lambda: None) -> None:
    """Answers the hosts at `port`, without an end.

    ready: called when hosts may connect, after the lines that a device sends at its start: as on a
    board, a host that opens a terminal later discards them.
    Bytes that come during an inference wait, up to MAX_KEPT; more wait in the system's buffers.
    LinkError or SimulationError if the device is lost.
    """
    kept: list[bytes | None] = []

    def waiting() -> bool:
        if sum(len(part or b"") for part in kept) < MAX_KEPT:
            came = port.take(0)
            if came != b"":
                kept.append(came)
        return any(part is None or b"%" in part for part in kept)

    protocol = make(port.send, waiting)
    protocol.start()
    ready()
    while True:
        part = kept.pop(0) if kept else port.take(None)
        if part is None:
            protocol.forget()
        else:
            protocol.receive(part)
