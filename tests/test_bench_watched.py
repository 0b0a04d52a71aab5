"""Calls of a LiteX client that hangs or fails end with an error."""

import threading
import time

import pytest

from dscim.errors import LinkError
from dscim.host.device.bench import clients
from dscim.host.device.bench.clients import Watched


class Hanging:
    """Like CommUART: a read that only ends when its port is closed."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def read(self, address: int, count: int) -> list[int]:
        self._closed.wait(30)
        raise AttributeError("port")

    def write(self, address: int, words: list[int]) -> None:
        raise OSError("gone")

    def close(self) -> None:
        self._closed.set()


def test_a_call_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "STALLED_SECONDS", 0.3)
    start = time.monotonic()
    with Watched(Hanging()) as client, pytest.raises(LinkError, match=r"Hanging failed.*port"):
        client.read(0, 1)
    assert time.monotonic() - start < 10


def test_a_call_that_fails_is_reported() -> None:
    with Watched(Hanging()) as client, pytest.raises(LinkError, match=r"Hanging failed.*gone"):
        client.write(0, [1])
