"""What a benchmark of a link measures."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dscim.host.errors import LinkError
from dscim.host.link.base import Words

Step = Callable[[str, int, int], None]
"""Moves a progress bar: what, done, total."""


@dataclasses.dataclass(frozen=True)
class Latency:
    """Seconds of a read of one word: the least, the middle one, and that 99 % stay below."""

    rounds: int
    least: float
    median: float
    most_99: float


@dataclasses.dataclass(frozen=True)
class Rate:
    """Data bytes moved and verified, in `seconds`; `cycles` of the device, 0 where it has none."""

    bytes: int
    seconds: float
    cycles: int

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.bytes + other.bytes, self.seconds + other.seconds,
                    self.cycles + other.cycles)

    @property
    def per_second(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds

    @property
    def per_cycle(self) -> float | None:
        """Bytes a cycle of the device, None where it counts none."""
        return self.bytes / self.cycles if self.cycles else None


def verify(address: int, expected: Words, found: Words) -> None:
    """LinkError names the first of the words at byte `address` that is not as expected."""
    wrong = np.flatnonzero(expected != found)
    if len(wrong):
        place = int(wrong[0])
        raise LinkError(f"{len(wrong)} of {len(expected)} words are wrong, the first at "
                        f"{address + 4 * place:#x}: {found[place]:#010x} instead of "
                        f"{expected[place]:#010x}.")
