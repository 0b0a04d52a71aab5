"""What a link benchmark needs: results, a stopwatch, and the check of words."""

import dataclasses
import time

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError


@dataclasses.dataclass(frozen=True)
class Latency:
    """Seconds to read one word: minimum, median and 99th percentile."""

    rounds: int
    least: float
    median: float
    most_99: float


@dataclasses.dataclass(frozen=True)
class Rate:
    """Data bytes moved and verified, in `seconds`.

    cycles: of the device, 0 if it has none. cpu: CPU seconds of this process.
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
        """Bytes per second."""
        return self.bytes / self.seconds

    @property
    def per_cycle(self) -> float | None:
        """Bytes per cycle of the device, None if it counts no cycles."""
        return self.bytes / self.cycles if self.cycles else None


class Stopwatch:
    """Measures wall-clock and CPU seconds of this process from its creation."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """(wall-clock seconds, CPU seconds)."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def verify(address: int, expected: Words, found: Words) -> None:
    """LinkError with the first wrong word, unless the words at byte `address` are as expected."""
    wrong = np.flatnonzero(expected != found)
    if len(wrong):
        place = int(wrong[0])
        raise LinkError(
            f"{len(wrong)} of {len(expected)} words are wrong, the first at "
            f"{address + 4 * place:#x}: {found[place]:#010x} instead of "
            f"{expected[place]:#010x}."
        )
