"""How a session begins and ends, and what is said of a port where none does."""

import dataclasses
import secrets
from collections.abc import Iterator

from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.link.protocol import TAKE_OVER, Kind, Reason
from dscim.host.link.carrier import Carrier, StreamCarrier
from dscim.host.link.frames import DamagedFrame, Frame
from dscim.host.link.statistics import LinkStatistics

TRY_SECONDS = 0.25
"""Between two OPENs: long enough that UARTBone gives up a command that swallowed the first."""

BUSY_SECONDS = 0.1
CLOSE_TRIES = 3
FEWEST_SENDS = 3
"""OPENs after which bytes that are no answer are named for what they are."""


class Busy(LinkError):
    """Another host's session is open."""


@dataclasses.dataclass(frozen=True)
class Opened:
    """What the device said of a session; see the link's protocol.

    numbers: session numbers that this host tried, for each may count as one of `sessions`.
    """

    session: int
    boot: int
    spec_hash: int
    window: int
    lease: int
    sessions: int
    numbers: int


class Opening:
    """One attempt to open a session over a carrier."""

    def __init__(self, carrier: Carrier, counted: LinkStatistics) -> None:
        self._carrier = carrier
        self._counted = counted
        self._numbers = self._sends = 0
        self._echoes = 0
        self._raw = b""
        self._session = 0

    def open(self, *, take_over: bool, wait: float, timeout: float) -> Opened:
        """A new session.

        take_over: end another host's. wait: seconds to wait for another host's end, after which
        it raises Busy. timeout: seconds without an answer, after which a LinkError names what is
        there instead of a dscim device.
        """
        carrier = self._carrier
        before = carrier.bytes_received
        begun = heard = carrier.now()
        self._renumber(take_over)
        while True:
            answer = self._try()
            now = carrier.now()
            if answer is None:
                echo = self._sends >= FEWEST_SENDS and self._echoes == self._sends
                if echo or now - heard > timeout:
                    raise LinkError(self._what_is_there(carrier.bytes_received - before))
                continue
            heard = now
            if answer.kind == Kind.OPENED:
                return self._opened(answer)
            reason = int(answer.words[0])
            if reason == Reason.BUSY and now - begun >= wait:
                raise Busy(
                    f"{carrier.name} is in use by another host; wait for its end "
                    f"(--wait SECONDS) or end its session (--take-over). If that host "
                    f"died, the device is free after {answer.address} more cycles."
                )
            if reason not in (Reason.BUSY, Reason.SESSION):
                raise LinkError(f"{carrier.name} refused to open a session: reason {reason}.")
            self._renumber(take_over)
            if reason == Reason.BUSY:
                self._pause(BUSY_SECONDS)

    def _renumber(self, take_over: bool) -> None:
        """A session number that nobody had."""
        self._numbers += 1
        while True:
            self._session = secrets.randbits(32)
            frame = Frame(
                Kind.OPEN, secrets.randbits(16), self._session, TAKE_OVER if take_over else 0
            )
            self._raw = frame.encode()
            if self._session and self._carrier.harmless(self._raw):
                return

    def _try(self) -> Frame | None:
        """Sends OPEN; what answers it within TRY_SECONDS."""
        self._carrier.greet(self._raw)
        self._counted.frames_sent += 1
        self._counted.resends += self._sends > 0
        self._sends += 1
        until = self._carrier.now() + TRY_SECONDS
        for frame in received(self._carrier, until, self._counted):
            if frame.encode() == self._raw:
                self._echoes += 1
            elif frame.session == self._session and (
                (frame.kind == Kind.OPENED and frame.count >= 4)
                or (frame.kind == Kind.REFUSED and frame.count == 1)
            ):
                return frame
        return None

    def _pause(self, seconds: float) -> None:
        for _ in received(self._carrier, self._carrier.now() + seconds, self._counted):
            pass

    def _opened(self, answer: Frame) -> Opened:
        boot, spec_hash, window, lease, *more = (int(word) for word in answer.words)
        self._counted.sessions += 1
        return Opened(
            self._session,
            boot,
            spec_hash,
            max(1, window),
            lease,
            more[0] if more else 0,
            self._numbers,
        )

    def _what_is_there(self, count: int) -> str:
        name = self._carrier.name
        if self._echoes:
            return (
                f"{name} only sends back what it is sent: its two lines are joined, or "
                "something there echoes; no device answers."
            )
        word = self._carrier.bone_word(registers.address("magic"))
        if word is not None:
            return f"{name} {_bone(word, self._carrier.bone)}"
        if count:
            return (
                f"{name} sent {count} bytes, but none that answer: another baud rate than the "
                "device's, or another device."
                if self._carrier.stream
                else f"{name} sent {count} bytes, but none that answer: something else has this "
                "port."
            )
        return (
            f"{name} is silent: no byte came for {self._sends} requests to open a session; "
            "is the device on, loaded, and connected there?"
        )


def end_session(carrier: Carrier, session: int, counted: LinkStatistics) -> bool:
    """Closes the session; whether the device said so."""
    raw = Frame(Kind.CLOSE, 0, session, 0).encode()
    for _ in range(CLOSE_TRIES):
        carrier.send([raw])
        counted.frames_sent += 1
        for frame in received(carrier, carrier.now() + BUSY_SECONDS, counted):
            if frame.session == session and frame.kind in (Kind.CLOSED, Kind.REFUSED):
                return True
    return False


def received(carrier: Carrier, until: float, counted: LinkStatistics) -> Iterator[Frame]:
    """The right frames that come before `until`."""
    while (left := until - carrier.now()) > 0:
        for raw in carrier.receive(left):
            try:
                frame = Frame.decode(raw)
            except DamagedFrame:
                counted.damaged += 1
                continue
            counted.frames_received += 1
            yield frame


def _bone(word: int, bone: str) -> str:
    """What a LiteX SoC without frames is, by the word that its bridge reads for `magic`."""
    if word == registers.MAGIC:
        way = (
            ", or use the target bone:PORT, which checks nothing on the way"
            if bone == StreamCarrier.bone
            else ""
        )
        return f"is a dscim device that knows no frames, only LiteX's {bone}: rebuild it{way}."
    return (
        f"answers LiteX's {bone}, but is no dscim device: it reads {word:#010x} where "
        f"{registers.MAGIC:#010x} is due."
    )
