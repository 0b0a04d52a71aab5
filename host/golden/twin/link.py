"""An exact model of the device's end of the link: tests compare the gateware with it.

It accesses any Link, such as `ModelLink`, and has the counters of the gateware.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from dscim.gateware.link.protocol import TAKE_OVER, WINDOW, Kind, Reason
from dscim.host.link.base import Link
from dscim.host.link.frames import (
    ANSWER,
    MAX_CODE,
    SEQUENCES,
    DamagedFrame,
    Frame,
    cobs_decode,
    data_of,
    wire,
)

BEHIND = SEQUENCES // 2
"""A WRITE that seems at least this far ahead is an earlier one, which has been applied."""


@dataclasses.dataclass
class TwinCounters:
    """The counters of the link, named as in `dscim.gateware.registers`."""

    frames_taken: int = 0
    frames_dropped: int = 0
    frames_doubled: int = 0
    frames_ahead: int = 0
    frames_refused: int = 0
    stray_bytes: int = 0
    sessions_opened: int = 0


class Twin:
    """Takes frames and returns their answers.

    link: target of WRITE and READ, within `regions` of byte addresses.
    spec_hash, window, lease: contents of OPENED; lease in cycles, 0 for one that never expires.
    clock: returns the cycles since reset.
    locked: whether a READ of these byte addresses must wait for the engine.
    """

    def __init__(
        self,
        link: Link,
        regions: Sequence[range],
        *,
        spec_hash: int = 0,
        window: int = WINDOW,
        lease: int = 0,
        clock: Callable[[], int] = lambda: 0,
        locked: Callable[[range], bool] = lambda place: False,
    ) -> None:
        self.window = window
        self.lease = lease
        self._link = link
        self._regions = regions
        self._spec_hash = spec_hash
        self._clock = clock
        self._locked = locked
        self.reset()

    def reset(self) -> None:
        """Resets the model as the board's button does; the memories behind the link stay."""
        self.counters = TwinCounters()
        self._boot = 0
        self._session = 0  # the open session, 0 for none
        self._ended = 0  # the session that ended last
        self._renewed = 0
        self._first = 0  # the first missing WRITE
        self._applied: set[int] = set()  # WRITEs after it

    @property
    def open(self) -> bool:
        """Whether a session is open."""
        if self._session and self.lease and self._clock() - self._renewed >= self.lease:
            self._end()
        return bool(self._session)

    def _end(self) -> None:
        self._ended, self._session = self._session, 0

    def answer(self, raw: bytes) -> bytes | None:
        """The answer to the frame in `raw`, or None."""
        try:
            frame = Frame.decode(raw)
        except DamagedFrame:
            self.counters.frames_dropped += 1
            return None
        if frame.kind & ANSWER:
            self.counters.frames_dropped += 1
            return None
        self.counters.frames_taken += 1
        if self._ours(frame):
            self._renewed = self._clock()
        answer = self._answer(frame)
        if answer and answer.kind == Kind.REFUSED:
            self.counters.frames_refused += 1
        return answer.encode() if answer else None

    def _answer(self, frame: Frame) -> Frame | None:
        known = {
            Kind.OPEN: self._opens,
            Kind.CLOSE: self._closes,
            Kind.WRITE: self._writes,
            Kind.READ: self._reads,
        }
        act = known.get(frame.kind)  # type: ignore[call-overload]
        if act is None or (frame.kind in (Kind.OPEN, Kind.CLOSE) and frame.data):
            return _refuse(frame, Reason.KIND)
        answer: Frame | None = act(frame)
        return answer

    def _opens(self, frame: Frame) -> Frame:
        if frame.session in (0, self._ended):
            return _refuse(frame, Reason.SESSION)
        if not self._ours(frame):
            if self.open and frame.address != TAKE_OVER:
                left = self.lease - (self._clock() - self._renewed) if self.lease else 0
                return dataclasses.replace(_refuse(frame, Reason.BUSY), address=left)
            self._begin(frame.session)
        words = [
            self._boot,
            self._spec_hash,
            self.window,
            self.lease,
            self.counters.sessions_opened,
        ]
        return _reply(frame, Kind.OPENED, data=data_of(np.array(words, np.uint32)))

    def _begin(self, session: int) -> None:
        if self.open:
            self._end()
        if not self.counters.sessions_opened:
            self._boot = (self._clock() ^ session) & 0xFFFF_FFFF
        self.counters.sessions_opened += 1
        self._session, self._renewed, self._first = session, self._clock(), 0
        self._applied.clear()

    def _closes(self, frame: Frame) -> Frame:
        if self._ours(frame):
            self._end()
        if not frame.session or frame.session != self._ended:
            return _refuse(frame, Reason.SESSION)
        return _reply(frame, Kind.CLOSED)

    def _ours(self, frame: Frame) -> bool:
        return self.open and frame.session == self._session

    def _rejection(self, frame: Frame) -> Reason | None:
        """The reason for which the address of a WRITE or READ is refused, or None."""
        place = range(frame.address, frame.address + 4 * frame.count)
        if place.start % 4 or not any(
            region.start <= place.start < region.stop and place.stop <= region.stop
            for region in self._regions
        ):
            return Reason.ADDRESS
        if frame.kind == Kind.READ and self._locked(place):
            return Reason.LOCKED
        return None

    def _writes(self, frame: Frame) -> Frame | None:
        if not self._ours(frame):
            return _refuse(frame, Reason.SESSION)
        ahead = (frame.sequence - self._first) % SEQUENCES
        if ahead >= BEHIND or frame.sequence in self._applied:
            self.counters.frames_doubled += 1
            return _reply(frame, Kind.WRITTEN, address=self._first)
        if ahead >= self.window:
            self.counters.frames_ahead += 1
            return None
        rejection = self._rejection(frame)
        if rejection is not None:
            return _refuse(frame, rejection)
        self._link.write(frame.address, frame.words)
        self._applied.add(frame.sequence)
        while self._first in self._applied:
            self._applied.remove(self._first)
            self._first = (self._first + 1) % SEQUENCES
        return _reply(frame, Kind.WRITTEN, address=self._first)

    def _reads(self, frame: Frame) -> Frame:
        if not self._ours(frame):
            return _refuse(frame, Reason.SESSION)
        rejection = self._rejection(frame)
        if rejection is not None:
            return _refuse(frame, rejection)
        words = self._link.read(frame.address, frame.count)
        return _reply(frame, Kind.DATA, address=frame.address, data=data_of(words))


class LineTwin:
    """A Twin behind a UART: takes bytes and returns bytes.

    bone: receives the bytes outside frames, which are for UARTBone, and returns its answers.
    """

    def __init__(self, twin: Twin, bone: Callable[[bytes], bytes] = lambda data: b"") -> None:
        self.twin = twin
        self._bone = bone
        self._inside: bytearray | None = None  # the code of an unfinished frame so far

    def answer(self, data: bytes) -> bytes:
        """The bytes with which the device answers `data`."""
        return b"".join(self._byte(byte) for byte in data)

    def quiet(self) -> bytes:
        """The answer after a pause on the line that ends an unfinished frame."""
        answer = self._end() if self._inside else b""
        self._inside = None
        return answer

    def _byte(self, byte: int) -> bytes:
        if byte == 0:
            if self._inside is None:
                self._inside = bytearray()
                return b""
            return self._end() if self._inside else b""
        if self._inside is not None:
            if len(self._inside) <= MAX_CODE:
                self._inside.append(byte)
            return b""
        if self.twin.open:
            self.twin.counters.stray_bytes += 1
            return b""
        return self._bone(bytes([byte]))

    def _end(self) -> bytes:
        """Ends a frame; the 0x00 that ends a damaged one also starts the next."""
        assert self._inside is not None
        dropped = self.twin.counters.frames_dropped
        try:
            raw = cobs_decode(bytes(self._inside))
        except DamagedFrame:
            raw = b""
        answer = self.twin.answer(raw)
        self._inside = bytearray() if self.twin.counters.frames_dropped != dropped else None
        return wire(answer) if answer else b""


def _reply(frame: Frame, kind: Kind, *, address: int = 0, data: bytes = b"") -> Frame:
    return Frame(kind, frame.sequence, frame.session, address, data)


def _refuse(frame: Frame, reason: Reason) -> Frame:
    return _reply(
        frame, Kind.REFUSED, address=frame.address, data=data_of(np.array([reason], np.uint32))
    )
