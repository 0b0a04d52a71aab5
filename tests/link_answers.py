"""A UDP port for tests that answers datagrams."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def answering(answer: Callable[[bytes], bytes | None]) -> Iterator[int]:
    """A UDP port of the loopback; `answer` returns the reply to a datagram, or None."""
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.bind(("127.0.0.1", 0))
    port.settimeout(0.1)
    ends = threading.Event()

    def serve() -> None:
        while not ends.is_set():
            with suppress(TimeoutError, ConnectionRefusedError):
                data, host = port.recvfrom(2048)
                reply = answer(data)
                if reply is not None:
                    port.sendto(reply, host)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(port.getsockname()[1])
    finally:
        ends.set()
        thread.join(10)
        port.close()
