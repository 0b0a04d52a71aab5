"""The interface of every link: it reads and writes words of the device's 32-bit bus."""

import dataclasses
from typing import Protocol

from dscim.arrays import Words


@dataclasses.dataclass
class LinkStatistics:
    """Counts since the link was opened, for a report or JSON.

    bytes_sent, bytes_received: bytes on the line, including all framing.
    resends: frames sent again. damaged: frames that failed their check.
    foreign: valid frames that do not answer a request in flight, such as late duplicates and
        frames of other sessions. sessions: sessions opened by this link.
    round_trip: smoothed seconds from a frame to its answer; 0 before the first answer.
    """

    bytes_sent: int = 0
    bytes_received: int = 0
    frames_sent: int = 0
    frames_received: int = 0
    resends: int = 0
    damaged: int = 0
    foreign: int = 0
    sessions: int = 0
    round_trip: float = 0.0


class Link(Protocol):
    """Access to the device's bus. Addresses are in bytes, multiples of 4; words are 32 bits.

    Every call is bounded in time. It either does all of its work or raises
    `dscim.errors.LinkError`; it never returns a value that the device did not send.
    """

    @property
    def statistics(self) -> LinkStatistics:
        """Traffic since the link was opened."""

    def read(self, address: int, count: int) -> Words:
        """The `count` words at `address`, `address + 4`, ... as uint32 of shape (count,)."""

    def write(self, address: int, words: Words) -> None:
        """Writes uint32 `words` of shape (n,) to `address`, `address + 4`, ...; n may be 0."""

    def close(self) -> None:
        """Closes the link and releases what it owns (a simulator, a port). Idempotent."""
