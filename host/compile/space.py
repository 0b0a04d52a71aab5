"""Room in the activation memory: which words are taken."""


class Space:
    """Hands out runs of words, lowest first, and takes them back."""

    def __init__(self, words: int) -> None:
        """words: all there are, from address 0."""
        self.words = words
        self._taken: dict[int, int] = {}

    def take(self, words: int) -> int | None:
        """The address of a run of `words` words that is now taken; None when there is none."""
        base = 0
        for start in sorted(self._taken):
            if start - base >= words:
                break
            base = start + self._taken[start]
        if base + words > self.words:
            return None
        self._taken[base] = words
        return base

    def release(self, base: int) -> None:
        """Gives back the run that begins at `base`."""
        del self._taken[base]
