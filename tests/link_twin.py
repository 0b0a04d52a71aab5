"""The device's answers in plain Python, written only from the text of the protocol."""

from tests.link_bytes import (
    ADDRESS,
    BUSY,
    CLOSE,
    CLOSED,
    DATA,
    KIND,
    LOCKED,
    OPEN,
    OPENED,
    READ,
    REFUSED,
    SESSION,
    WINDOW,
    WRITE,
    WRITTEN,
)


class Twin:
    """Takes valid frames and returns answers; `memory` holds words by byte address.

    regions: where READ and WRITE may go; `memories` may not be read while `locked`. Values that
    only the device knows are None: the boot number, the cycles that are left.
    """

    def __init__(self, regions, memories, identity, lease):
        self.regions, self.memories = regions, memories
        self.identity, self.lease = identity, lease
        self.memory = {}
        self.locked = False
        self.session = self.ended = 0  # 0: none
        self.sessions = 0
        self.counts = dict.fromkeys(("doubled", "ahead", "refused", "echoed"), 0)

    def answer(self, kind, sequence, session, address, words=(), count=None):
        """(kind, sequence, session, address, words) of the answer, or None."""
        count = len(words) if count is None else count
        if kind & 0x80:
            self.counts["echoed"] += 1
            return None
        if kind not in (OPEN, WRITE, READ, CLOSE) or (kind in (OPEN, CLOSE) and count):
            return self._refuse(sequence, session, address, KIND)
        mine = session == self.session != 0
        over = session == self.ended != 0
        if kind == OPEN:
            return self._open(sequence, session, address, mine, over)
        if kind == CLOSE:
            if not mine and not over:
                return self._refuse(sequence, session, address, SESSION)
            if mine:
                self.session, self.ended = 0, session
            return CLOSED, sequence, session, 0, ()
        if not mine:
            return self._refuse(sequence, session, address, SESSION)
        if kind == WRITE:
            return self._write(sequence, session, address, words)
        if not self._inside(address, count):
            return self._refuse(sequence, session, address, ADDRESS)
        if self.locked and any(address in memory for memory in self.memories):
            return self._refuse(sequence, session, address, LOCKED)
        data = tuple(self.memory.get(address + 4 * i, 0) for i in range(count))
        return DATA, sequence, session, address, data

    def _open(self, sequence, session, address, mine, over):
        if not session or over:
            return self._refuse(sequence, session, address, SESSION)
        if self.session and not mine and address != 1:
            return self._refuse(sequence, session, None, BUSY)
        if not mine:
            self.ended, self.session = self.session or self.ended, session
            self.sessions += 1
            self.missing, self.applied = 0, set()
        return (
            OPENED,
            sequence,
            session,
            0,
            (None, self.identity, WINDOW, self.lease, self.sessions),
        )

    def _write(self, sequence, session, address, words):
        distance = (sequence - self.missing) % 65536
        if distance >= 32768 or sequence in self.applied:
            self.counts["doubled"] += 1
            return WRITTEN, sequence, session, self.missing, ()
        if distance >= WINDOW:
            self.counts["ahead"] += 1
            return None
        if not self._inside(address, len(words)):
            return self._refuse(sequence, session, address, ADDRESS)
        self.memory |= {address + 4 * i: word for i, word in enumerate(words)}
        self.applied.add(sequence)
        while self.missing in self.applied:
            self.applied.remove(self.missing)
            self.missing = (self.missing + 1) % 65536
        return WRITTEN, sequence, session, self.missing, ()

    def _refuse(self, sequence, session, address, reason):
        self.counts["refused"] += 1
        return REFUSED, sequence, session, address, (reason,)

    def _inside(self, address, count):
        last = address + 4 * max(count - 1, 0)
        return address % 4 == 0 and any(address in r and last in r for r in self.regions)


def agree(came, expected) -> bool:
    """Whether an answer is the expected one, in which None matches any word."""
    kind, sequence, session, address, words = expected
    same = came[:3] == (kind, sequence, session) and len(came[4]) == len(words)
    return (
        same
        and address in (None, came[3])
        and all(w in (None, v) for v, w in zip(came[4], words, strict=True))
    )
