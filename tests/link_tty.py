"""A pseudo-terminal in front of a simulated SoC, in place of a real UART."""

import os
import select
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

TICK = 0.05


class Tty:
    """A tty, `name`, connected to the UART behind a TCP port; a context manager.

    attach: connects it to another TCP port, as if the board were reloaded.
    hang_up: closes its other end, as if the adapter were pulled out.
    """

    def __init__(self, port: int) -> None:
        self._ours, self._theirs = os.openpty()
        self.name = os.ttyname(self._theirs)
        self._port = self._new = port
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def attach(self, port: int) -> None:
        """See the class."""
        self._new = port

    def hang_up(self) -> None:
        """See the class. Idempotent."""
        self._ends.set()
        self._thread.join(10)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.hang_up()
        os.close(self._theirs)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._port = self._new
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as far:
                far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._relay(far)
        os.close(self._ours)

    def _relay(self, far: socket.socket) -> None:
        """Copies bytes in both directions until the connection closes or must change."""
        while not self._ends.is_set() and self._port == self._new:
            ready = select.select([self._ours, far], [], [], TICK)[0]
            if self._ours in ready:
                far.sendall(os.read(self._ours, 4096))
            if far in ready:
                data = far.recv(4096)
                if not data:
                    return
                while data:
                    data = data[os.write(self._ours, data) :]
