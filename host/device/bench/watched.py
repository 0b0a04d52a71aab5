"""A client of LiteX's that cannot keep its caller for ever."""

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from dscim.errors import LinkError
from dscim.host.device.bench.clients import Client

STALLED_SECONDS = 10.0
TICK = 0.2


class Watched:
    """`client`, closed when one of its calls takes longer than STALLED_SECONDS: CommUART knows no
    end of its own. A context manager. Whatever its calls raise is a LinkError that says so."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._name = type(client).__name__
        self._since = float("inf")
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def read(self, address: int, count: int) -> list[int]:
        """`count` words, as the client gives them."""
        try:
            self._since = time.monotonic()
            words: list[int] = self._client.read(address, count)
        except Exception as error:
            raise LinkError(f"LiteX's {self._name} failed: {error!r}.") from error
        self._since = float("inf")
        return words

    def write(self, address: int, words: list[int]) -> None:
        """Writes words, in the client's way."""
        try:
            self._since = time.monotonic()
            self._client.write(address, words)
        except Exception as error:
            raise LinkError(f"LiteX's {self._name} failed: {error!r}.") from error
        self._since = float("inf")

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

    def _watch(self) -> None:
        while not self._ends.wait(TICK):
            if time.monotonic() - self._since > STALLED_SECONDS:
                with suppress(Exception):  # its own `close` may fail under its own call
                    self._client.close()
                return
