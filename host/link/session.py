"""The device's bus over frames: no word is lost, invented or written twice."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.gateware.link.protocol import Kind, Reason
from dscim.host.link.base import LinkStatistics
from dscim.host.link.carrier import Carrier
from dscim.host.link.exchange import Answer, Exchange
from dscim.host.link.frames import (
    SEQUENCES,
    Frame,
    Refused,
    check_place,
    check_words,
    data_of,
    words_of,
)
from dscim.host.link.handshake import Busy, Opening, end_session

MAX_RESUMES = 20
"""How many sessions one call may lose to expired leases."""


class FrameLink:
    """A Link that transfers words in checked, acknowledged frames over `carrier`.

    timeout: seconds without an answer after which a call fails.
    wait: seconds to wait until another host is done. take_over: whether to end its session instead.
    memories: ranges of byte addresses where writing a word twice does no harm. Elsewhere a word
        is written exactly once or, if there is an error, at most once.
    watch: called while the link waits; raises an error if the device cannot answer any more.

    If the lease expires while this host computes, the link opens a new session. If the device was
    reset or another host used it in the meantime, that is an error. A failed write ends the
    link, because the device may have carried out a part of it; a failed read may be repeated.
    Raises LinkError; Busy if another host's session is open. Calls of several threads run one after
    the other; `close` first ends the call in progress, which raises LinkError.
    """

    def __init__(
        self,
        carrier: Carrier,
        *,
        timeout: float = 5.0,
        wait: float = 0.0,
        take_over: bool = False,
        memories: Sequence[range] = (),
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._lock = threading.RLock()
        self._closing = False
        self._device_watch = watch
        self._carrier = carrier
        self._timeout = timeout
        self._memories = memories
        self._counted = LinkStatistics()
        self._ended: str | None = None
        self._next_write = self._last_read = 0  # sequence numbers
        try:
            self.opened = Opening(carrier, self._counted, self._watch).open(
                take_over=take_over, wait=wait, timeout=timeout
            )
        except BaseException:
            carrier.close()
            raise
        self._exchange = Exchange(carrier, timeout, self._counted, self._watch)

    @property
    def statistics(self) -> LinkStatistics:
        """See `dscim.host.link.base.Link`."""
        self._counted.bytes_sent = self._carrier.bytes_sent
        self._counted.bytes_received = self._carrier.bytes_received
        return self._counted

    def read(self, address: int, count: int) -> Words:
        """See `dscim.host.link.base.Link`."""
        check_place(address, count)
        data = bytearray(4 * count)

        def requests(start: int) -> Iterator[Frame]:
            while start < count:
                size = min(self._exchange.size.words, count - start)
                self._last_read = (self._last_read + 1) % SEQUENCES
                yield Frame(
                    Kind.READ,
                    self._last_read,
                    self.opened.session,
                    address + 4 * start,
                    requested=size,
                )
                start += size

        def answer(request: Frame, frame: Frame) -> bool:
            if frame.address != request.address or frame.count != request.count:
                return False
            start = request.address - address
            data[start : start + len(frame.data)] = frame.data
            return True

        with self._lock:
            self._carry(address, requests, answer, self._carrier.reads_in_flight, harmless=True)
        return words_of(data)

    def write(self, address: int, words: Words) -> None:
        """See `dscim.host.link.base.Link`."""
        check_words(address, words)
        data = data_of(words)

        def requests(start: int) -> Iterator[Frame]:
            while start < len(words):
                size = min(self._exchange.size.words, len(words) - start)
                yield Frame(
                    Kind.WRITE,
                    self._next_write,
                    self.opened.session,
                    address + 4 * start,
                    data[4 * start : 4 * (start + size)],
                )
                self._next_write = (self._next_write + 1) % SEQUENCES
                start += size

        end = address + 4 * len(words)
        memory = any(part.start <= address and end <= part.stop for part in self._memories)
        with self._lock:
            try:
                self._carry(address, requests, lambda request, frame: True, SEQUENCES, memory)
            except BaseException as error:
                known = isinstance(error, LinkError)
                self._end(str(error) if known else "A write was interrupted.")
                raise

    def close(self) -> None:
        """Ends the session and releases the carrier. Idempotent."""
        self._closing = True
        with self._lock:
            self._end("It was closed.")
            self._carrier.close()

    def _watch(self) -> None:
        if self._closing:
            raise LinkError(f"The link to {self._carrier.name} was closed during a transfer.")
        self._device_watch()

    def _carry(
        self,
        address: int,
        requests: Callable[[int], Iterator[Frame]],
        answer: Answer,
        most: int,
        harmless: bool,
    ) -> None:
        """Sends all requests and takes their answers; opens a new session when one expires.

        requests: makes those from word `start` on. most: how many may be in flight. harmless:
        whether sending a request twice does no harm.
        """
        if self._ended is not None:
            raise LinkError(f"The link to {self._carrier.name} has ended: {self._ended}")
        start = 0
        for _ in range(MAX_RESUMES):
            try:
                return self._exchange.run(requests(start), most, self.opened.window, answer)
            except Refused as refused:
                if refused.reason != Reason.SESSION:
                    raise
                exchange = self._exchange
                first = exchange.first_open
                assert first is not None
                untouched = (
                    exchange.certain
                    and not exchange.answered
                    and first.sequence == refused.frame.sequence
                )
                self._resume(harmless or untouched)
                start = (first.address - address) // 4
        raise LinkError(
            f"{self._carrier.name} lost {MAX_RESUMES} sessions in one transfer; "
            f"its lease of {self.opened.lease} cycles is too short."
        )

    def _resume(self, harmless: bool) -> None:
        """Opens a new session after the device has ended the last one.

        harmless: whether requests may be sent again. Raises LinkError with the cause unless only
        the lease has expired and `harmless` holds.
        """
        name, before = self._carrier.name, self.opened
        opening = Opening(self._carrier, self._counted, self._watch)
        try:
            self.opened = opening.open(take_over=False, wait=0.0, timeout=self._timeout)
        except Busy:
            raise self._over(f"Another host has taken over {name}.") from None
        self._next_write = 0
        between = (self.opened.sessions - before.sessions) % (1 << 32)
        if self.opened.boot != before.boot:
            raise self._over(
                f"The device at {name} was reset or reloaded during the session: "
                "its contents may be lost; start again."
            )
        if between > self.opened.numbers:
            raise self._over(
                f"Another host has taken over {name}, or used it after this host's lease had "
                "expired: its contents may have changed; start again."
            )
        if not harmless:
            raise self._over(
                f"The lease of {name} expired during a write to registers, "
                "which may or may not have been carried out; start again."
            )

    def _over(self, reason: str) -> LinkError:
        """Ends the link for `reason`; returns the error to raise."""
        self._end(reason)
        return LinkError(reason)

    def _end(self, reason: str) -> None:
        """Makes every later call fail, and closes the session if the device still answers."""
        if self._ended is not None:
            return
        self._ended = reason
        with suppress(LinkError):  # the line is down: the lease will end the session
            end_session(self._carrier, self.opened.session, self._counted)
