"""What a benchmark of a link measures."""

import dataclasses
import time

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError


@dataclasses.dataclass(frozen=True)
class Latency:
    """Seconds of a read of one word: the least, the middle one, and that 99 % stay below."""

    rounds: int
    least: float
    median: float
    most_99: float


@dataclasses.dataclass(frozen=True)
class Rate:
    """Data bytes moved and verified, in `seconds`.

    cycles: of the device, 0 where it has none. cpu: seconds that this process computed for them.
    """

    bytes: int
    seconds: float
    cycles: int
    cpu: float

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(
            self.bytes + other.bytes,
            self.seconds + other.seconds,
            self.cycles + other.cycles,
            self.cpu + other.cpu,
        )

    @property
    def per_second(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds

    @property
    def per_cycle(self) -> float | None:
        """Bytes a cycle of the device, None where it counts none."""
        return self.bytes / self.cycles if self.cycles else None


class Stopwatch:
    """Seconds by the clock on the wall, and of this process, since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Both, on the wall first."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def verify(address: int, expected: Words, found: Words) -> None:
    """LinkError names the first of the words at byte `address` that is not as expected."""
    wrong = np.flatnonzero(expected != found)
    if len(wrong):
        place = int(wrong[0])
        raise LinkError(
            f"{len(wrong)} of {len(expected)} words are wrong, the first at "
            f"{address + 4 * place:#x}: {found[place]:#010x} instead of "
            f"{expected[place]:#010x}."
        )
