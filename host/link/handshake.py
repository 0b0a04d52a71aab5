"""Opens and closes sessions, and diagnoses a port where no session opens."""

import dataclasses
import secrets
from collections.abc import Callable, Iterator

from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.link.protocol import TAKE_OVER, Kind, Reason
from dscim.host.link.base import LinkStatistics
from dscim.host.link.carrier import Carrier, StreamCarrier
from dscim.host.link.frames import DamagedFrame, Frame

TRY_SECONDS = 0.25
"""Time between two OPENs: long enough for UARTBone to drop a command that absorbed the first."""

BUSY_SECONDS = 0.1
"""Time between two OPENs while another host's session is open; also the wait for CLOSED."""

CLOSE_TRIES = 3
"""CLOSEs that are sent before the session is left to its lease."""

MIN_SENDS = 3
"""OPENs that must all come back as an echo before the port is reported as one."""


class Busy(LinkError):
    """Another host's session is open."""


@dataclasses.dataclass(frozen=True)
class Opened:
    """The device's answer to OPEN; see `gateware/link/README.md`.

    numbers: session numbers that this host tried; the device may count each in `sessions`.
    """

    session: int
    boot: int
    spec_hash: int
    window: int
    lease: int
    sessions: int
    numbers: int


class Opening:
    """One attempt to open a session over a carrier.

    watch: called before each OPEN; an error that it raises ends the attempt.
    """

    def __init__(
        self,
        carrier: Carrier,
        counted: LinkStatistics,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._carrier = carrier
        self._watch = watch
        self._counted = counted
        self._numbers = self._sends = 0
        self._echoes = 0
        self._raw = b""
        self._session = 0

    def open(self, *, take_over: bool, wait: float, timeout: float) -> Opened:
        """Opens a new session.

        take_over: whether to end another host's session. wait: seconds to wait until another host
        is done, before Busy is raised. timeout: seconds to wait for an answer, before a LinkError
        reports what is connected instead of a dscim device.
        """
        carrier = self._carrier
        before = carrier.bytes_received
        begun = latest = carrier.now()
        self._renumber(take_over)
        while True:
            self._watch()
            answer = self._try()
            now = carrier.now()
            if answer is None:
                echo = self._sends >= MIN_SENDS and self._echoes == self._sends
                if echo or now - latest > timeout:
                    raise LinkError(self._diagnosis(carrier.bytes_received - before))
                continue
            latest = now
            if answer.kind == Kind.OPENED:
                return self._opened(answer)
            reason = int(answer.words[0])
            if reason == Reason.BUSY and now - begun >= wait:
                raise Busy(
                    f"{carrier.name} is in use by another host; wait until it is done "
                    f"(--wait SECONDS) or end its session (--take-over). If that host "
                    f"died, the device is free after {answer.address} more cycles."
                )
            if reason not in (Reason.BUSY, Reason.SESSION):
                raise LinkError(f"{carrier.name} refused to open a session: reason {reason}.")
            self._renumber(take_over)
            if reason == Reason.BUSY:
                self._pause(BUSY_SECONDS)

    def _renumber(self, take_over: bool) -> None:
        """Chooses a new random session number."""
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
        """Sends OPEN; returns its answer, or None if there is none within TRY_SECONDS."""
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

    def _diagnosis(self, count: int) -> str:
        """One sentence on the other end of the line, which sent `count` bytes."""
        name = self._carrier.name
        if self._echoes:
            return (
                f"{name} only echoes what it receives; no device answers. "
                "Its two lines may be connected to each other."
            )
        word = self._carrier.bone_word(registers.address("magic"))
        if word is not None:
            return f"{name} {_bone(word, self._carrier.bone)}"
        if count:
            return (
                f"{name} sent {count} bytes, but no valid answer: the baud rate does not match, "
                "or it is another device."
                if self._carrier.stream
                else f"{name} sent {count} bytes, but no valid answer: another service uses this "
                "port."
            )
        return (
            f"{name} is silent: it did not answer {self._sends} requests to open a session; "
            "is the device powered, configured and connected there?"
        )


def end_session(carrier: Carrier, session: int, counted: LinkStatistics) -> bool:
    """Closes the session; returns whether the device confirmed it."""
    raw = Frame(Kind.CLOSE, 0, session, 0).encode()
    for _ in range(CLOSE_TRIES):
        carrier.send([raw])
        counted.frames_sent += 1
        for frame in received(carrier, carrier.now() + BUSY_SECONDS, counted):
            if frame.session == session and frame.kind in (Kind.CLOSED, Kind.REFUSED):
                return True
    return False


def received(carrier: Carrier, until: float, counted: LinkStatistics) -> Iterator[Frame]:
    """The valid frames received before `until`."""
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
    """Describes a LiteX SoC without frames, by the word that its bridge reads for `magic`."""
    if word == registers.MAGIC:
        way = (
            ", or use the target bone:PORT, whose transfers are unchecked"
            if bone == StreamCarrier.bone
            else ""
        )
        return f"is a dscim device without frames, with LiteX's {bone} only: rebuild it{way}."
    return (
        f"answers LiteX's {bone}, but is not a dscim device: read {word:#010x}, "
        f"expected {registers.MAGIC:#010x}."
    )
