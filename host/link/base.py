"""What every link offers: words read from and written to the device's 32-bit bus."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]


class Link(Protocol):
    """A way to the device's bus. Addresses are in bytes, multiples of 4; words are 32 bits.

    Every call is bounded in time and either does all it was asked or raises
    `dscim.host.errors.LinkError`; it never returns a value that the device did not send.
    """

    def read(self, address: int, count: int) -> Words:
        """The `count` words at `address`, `address + 4`, ... as uint32 of shape (count,)."""

    def write(self, address: int, words: Words) -> None:
        """Writes uint32 `words` of shape (n,) to `address`, `address + 4`, ...; n may be 0."""

    def close(self) -> None:
        """Ends the link; what belongs to it (a simulator, a port) is released. Idempotent."""
