"""What every link offers: words read from and written to the device's 32-bit bus."""

from typing import Protocol

from dscim.arrays import Words
from dscim.host.link.statistics import LinkStatistics


class Link(Protocol):
    """A way to the device's bus. Addresses are in bytes, multiples of 4; words are 32 bits.

    Every call is bounded in time and either does all it was asked or raises
    `dscim.errors.LinkError`; it never returns a value that the device did not send.
    """

    @property
    def statistics(self) -> LinkStatistics:
        """What crossed the link since it was opened."""

    def read(self, address: int, count: int) -> Words:
        """The `count` words at `address`, `address + 4`, ... as uint32 of shape (count,)."""

    def write(self, address: int, words: Words) -> None:
        """Writes uint32 `words` of shape (n,) to `address`, `address + 4`, ...; n may be 0."""

    def close(self) -> None:
        """Ends the link; what belongs to it (a simulator, a port) is released. Idempotent."""


def check_place(address: int, count: int) -> None:
    """ValueError unless `count` words at `address` are on the 32-bit bus."""
    if address % 4 or count < 0 or not 0 <= address <= (1 << 32) - 4 * count:
        raise ValueError(f"{count} words at {address:#x} are not on the bus of 32-bit addresses")
