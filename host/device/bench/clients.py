"""LiteX's own clients, connected to a simulated SoC: Etherbone, UARTBone, and RemoteClient."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from types import TracebackType
from typing import Any, Self

from litex.tools.litex_client import RemoteClient
from litex.tools.litex_server import RemoteServer
from litex.tools.remote.comm_uart import CommUART
from litex.tools.remote.comm_udp import CommUDP

from dscim.errors import LinkError
from dscim.gateware.link.protocol import ETHERBONE_PORT
from dscim.sim.server import Simulator

STALLED_SECONDS = 10.0
"""Time limit of a client's call."""

TICK = 0.2
"""Seconds between two checks of the time limit."""

Client = Any
"""read(address, count) -> list, write(address, list), close()."""

Opener = Callable[[Simulator], AbstractContextManager[Client]]


@contextmanager
def udp(simulator: Simulator) -> Iterator[Client]:
    """LiteX's client for Etherbone.

    Its own `open` binds the port that it sends to, which the simulator on this machine already
    uses; so its socket is made here.
    """
    comm = CommUDP("127.0.0.1", simulator.udp[ETHERBONE_PORT])
    comm.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    comm.socket.settimeout(comm.timeout)
    try:
        yield comm
    finally:
        comm.close()


@contextmanager
def uart(simulator: Simulator) -> Iterator[Client]:
    """LiteX's client for UARTBone."""
    comm = CommUART(f"socket://127.0.0.1:{simulator.port}")
    try:
        yield comm
    finally:
        comm.close()


def remote(opener: Opener) -> Opener:
    """LiteX's RemoteClient, connected to its server, which uses the client of `opener`."""

    @contextmanager
    def opened(simulator: Simulator) -> Iterator[Client]:
        with opener(simulator) as comm, redirect_stdout(io.StringIO()):
            server = RemoteServer(comm, "127.0.0.1", 0)
            server.open()
            thread = threading.Thread(target=_serve, args=(server,))
            thread.start()
            client = RemoteClient("127.0.0.1", server.socket.getsockname()[1])
            try:
                client.open()
                yield client
            finally:
                client.close()
                comm.close()  # ends a call that the server may still wait for
                server.socket.shutdown(socket.SHUT_RDWR)
                thread.join()
                server.socket.close()

    return opened


def _serve(server: RemoteServer) -> None:
    """Serves until its socket is shut down. (The threads of its own `start` never end.)"""
    with suppress(Exception):  # any error of the client when it is closed
        server._serve_thread()


class Watched:
    """A client of LiteX with a time limit: it is closed if a call exceeds STALLED_SECONDS.

    CommUART itself waits indefinitely. Any error of a call is raised as LinkError. A context
    manager.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._name = type(client).__name__
        self._since = float("inf")
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def read(self, address: int, count: int) -> list[int]:
        """Reads `count` words at the byte `address`."""
        with self._limited():
            words: list[int] = self._client.read(address, count)
        return words

    def write(self, address: int, words: list[int]) -> None:
        """Writes words at the byte `address`."""
        with self._limited():
            self._client.write(address, words)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Limits the time of a call, and raises its errors as LinkError."""
        self._since = time.monotonic()
        try:
            yield
        except Exception as error:
            raise LinkError(f"LiteX's {self._name} failed: {error!r}.") from error
        self._since = float("inf")

    def _watch(self) -> None:
        while not self._ends.wait(TICK):
            if time.monotonic() - self._since > STALLED_SECONDS:
                with suppress(Exception):  # its `close` may fail during its own call
                    self._client.close()
                return
