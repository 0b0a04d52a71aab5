"""Callbacks by which slow work reports how far it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
"""Takes a line for the user."""

Progress = Callable[[str, int, int], None]
"""Takes what is being done, how many of it are done, and of how many."""

Tick = Callable[[int, int], None]
"""Takes how many are done, and of how many."""


def silent(line: str) -> None:
    """Says nothing."""


@contextmanager
def step(say: Say, what: str) -> Iterator[None]:
    """Says `what` at the start of a step, and `what` with its seconds at a good end."""
    say(what)
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.1f} s")
