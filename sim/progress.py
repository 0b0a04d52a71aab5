"""What a slow step tells while it runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


def silent(line: str) -> None:
    """Says nothing."""


@contextmanager
def step(say: Say, what: str) -> Iterator[None]:
    """Says `what` at the start of a step, and `what` with its seconds at a good end."""
    say(what)
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.1f} s")
