"""How fast a link goes: how long an answer may take, and how long a frame may be."""

from dscim.gateware.link.protocol import MOST_WORDS

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 0.1
"""A frame that was lost often is sent again at least so often: it is the line, no congestion."""


class RoundTrip:
    """How long answers take, and after how long one is missing.

    The estimate of Jacobson and Karels (RFC 6298): smoothed mean and deviation, of frames that
    were sent once only (Karn). least: seconds, the shortest patience.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self.seconds = 0.0
        self._deviation = 0.0
        self._known = False

    def measured(self, seconds: float) -> None:
        """Takes one measurement into account."""
        if self._known:
            self._deviation += (abs(seconds - self.seconds) - self._deviation) / 4
            self.seconds += (seconds - self.seconds) / 8
        else:
            self.seconds, self._deviation, self._known = seconds, seconds / 2, True

    def patience(self, sends: int) -> float:
        """Seconds after which a frame sent `sends` times is sent again; each time longer."""
        first = self.seconds + 4 * self._deviation if self._known else FIRST_SECONDS
        longer: float = max(self._least, first) * 1.5 ** min(sends - 1, 20)
        return min(longer, max(LONGEST_SECONDS, first))


class FrameSize:
    """Words of the next frame: shorter ones where bits flip, the longest where none do.

    Growth and loss balance where about one frame of seven is lost.
    """

    LEAST, FIRST = 4, 64

    def __init__(self, adapts: bool) -> None:
        self.words = self.FIRST if adapts else MOST_WORDS
        self._adapts = adapts

    def arrived(self) -> None:
        """A frame came through at the first try."""
        if self._adapts:
            self.words = min(MOST_WORDS, self.words + max(1, self.words // 8))

    def lost(self) -> None:
        """A frame did not."""
        if self._adapts:
            self.words = max(self.LEAST, self.words // 2)
