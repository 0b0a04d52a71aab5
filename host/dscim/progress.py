"""Callbacks that report the progress of slow work."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
"""Takes a line for the user."""

Progress = Callable[[str, int, int], None]
"""Takes the name of the work, the number of steps done, and their total."""

Tick = Callable[[int, int], None]
"""Takes the number of steps done and their total."""


def silent(line: str) -> None:
    """A `Say` that discards the line."""


@contextmanager
def step(say: Say, what: str) -> Iterator[None]:
    """Prints `what` before a step, and `what` with its seconds when the step succeeds."""
    say(what)
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.1f} s")
