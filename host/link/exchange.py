"""Many requests in flight, each sent again until it is answered."""

from collections.abc import Callable, Iterator
from itertools import islice, takewhile

from dscim.errors import LinkError
from dscim.gateware.link.protocol import Kind
from dscim.host.link.carrier import FRAME_BYTES, Carrier
from dscim.host.link.flight import Flight, Flights, Refused, copies, cost_of
from dscim.host.link.frames import ANSWER, OVERHEAD, DamagedFrame, Frame
from dscim.host.link.pace import FrameSize, RoundTrip
from dscim.host.link.statistics import LinkStatistics

REORDERED = 3
"""Answers to later datagrams after which an earlier one counts as lost."""

WAKE_PART = 4
"""Of what is in flight, one in so many answered is enough to look at and to send more."""

LEAST_SECONDS = {True: 0.03, False: 0.01}
"""The shortest patience, with a stream and with datagrams: schedulers and adapters are slow."""


class Exchange:
    """The requests of one session over a carrier.

    timeout: seconds without a new answer, after which it ends with LinkError. Not for threads.
    answered: requests of the last `run` that were answered. certain: none of them was sent twice.
    first_open: of those that it sent without an answer, the first; None when it ended well.
    """

    def __init__(self, carrier: Carrier, timeout: float, counted: LinkStatistics) -> None:
        self.timeout = timeout
        self.round_trip = RoundTrip(LEAST_SECONDS[carrier.stream])
        self.size = FrameSize(carrier.stream)
        self.answered = 0
        self.certain = True
        self._carrier = carrier
        self._counted = counted
        self._line = 2 * FRAME_BYTES * carrier.byte_seconds
        self._flights = Flights()
        self._newest = 0  # the first turn of the latest one whose own answer has come
        self._heard = 0.0  # when the last answer came

    def run(
        self,
        requests: Iterator[Frame],
        most: int,
        span: int,
        answer: Callable[[Frame, Frame], bool],
    ) -> None:
        """Sends every request until `answer(request, frame)` is true for one of its answers.

        At most `most` are in flight, and none that is `span` or more ahead of the first open one.
        Returns when all are answered. Raises Refused, or LinkError after `timeout` seconds
        without progress; requests in flight may or may not have been carried out then.
        """
        self._flights.clear()
        self.answered = 0
        self.certain = True
        upcoming = enumerate(requests)
        held = next(upcoming, None)
        now = progress = self._carrier.now()
        while held or self._flights:
            batch: list[Flight] = []
            while held and self._room(*held, most, span):
                batch.append(self._flights.add(held[1], held[0]))
                held = next(upcoming, None)
            self._send(batch)
            before = self.answered
            self._listen(answer)
            now = self._carrier.now()
            if self.answered != before:
                progress = now
            elif now - progress > self.timeout:
                raise LinkError(
                    f"{self._carrier.name} did not answer for {self.timeout:g} s: "
                    f"{len(self._flights)} frames have no answer."
                )
            self._resend(now)

    @property
    def first_open(self) -> Frame | None:
        """See the class."""
        first = self._flights.first
        return first.request if first else None

    def _room(self, index: int, request: Frame, most: int, span: int) -> bool:
        first = self._flights.first
        return first is None or (
            len(self._flights) < most
            and index - first.index < span
            and self._flights.load + cost_of(request) <= self._carrier.bytes_in_flight
        )

    def _send(self, batch: list[Flight]) -> None:
        if not batch:
            return
        raw = [flight.raw for flight in batch for _ in range(copies(flight.sends))]
        self._carrier.send(raw)
        again = len(raw) - sum(flight.sends == 0 for flight in batch)
        self._flights.sent(batch, self._carrier.now())
        self.certain &= not again
        self._counted.frames_sent += len(raw)
        self._counted.resends += again

    def _listen(self, answer: Callable[[Frame, Frame], bool]) -> None:
        """Waits for answers until the first flight is due, and takes them."""
        wait = min(max(0.0, self._next_due() - self._carrier.now()), self.timeout)
        for raw in self._carrier.receive(wait, self._worth()):
            try:
                frame = Frame.decode(raw)
            except DamagedFrame:
                self._counted.damaged += 1
                continue
            self._counted.frames_received += 1
            if not self._take(frame, answer):
                self._counted.foreign += 1

    def _worth(self) -> int:
        """Bytes of answers that are worth waking for: a part of those in flight, one at least."""
        first = self.first_open
        answer = OVERHEAD + (4 * first.count if first and first.kind == Kind.READ else 0)
        return answer * max(1, len(self._flights) // WAKE_PART)

    def _take(self, frame: Frame, answer: Callable[[Frame, Frame], bool]) -> bool:
        """Whether the frame answers what is in flight."""
        some = self.first_open
        if some is None or frame.session != some.session:
            return False
        flight = self._flights.get(frame.sequence)
        if frame.kind == Kind.REFUSED:
            if flight is None or len(frame.data) != 4:
                return False
            raise Refused(frame, flight.request, self._carrier.name)
        known = False
        if flight and frame.kind == flight.request.kind | ANSWER and answer(flight.request, frame):
            self._done(flight)
            known = True
        if frame.kind == Kind.WRITTEN and some.kind == Kind.WRITE:
            known |= self._finish_before(frame.address)
        return known

    def _done(self, flight: Flight) -> None:
        """The flight's own answer has come: what it tells of time and of others is used."""
        self._heard = self._carrier.now()
        if flight.sends == 1:
            self.round_trip.measured(self._heard - flight.sent)
            self._counted.round_trip = self.round_trip.seconds
            self.size.arrived()
        self._newest = max(self._newest, flight.turns[0])
        self._finish(flight)

    def _finish(self, flight: Flight) -> None:
        self._flights.finish(flight)
        self.answered += 1

    def _finish_before(self, missing: int) -> bool:
        """Finishes the WRITEs before the first missing one; whether there were any."""
        before = self._flights.before(missing)
        for flight in before:
            self._finish(flight)
        return bool(before)

    def _due(self, flight: Flight) -> float:
        """When the flight is late.

        Every answer shows that the device is still at its queue; but a datagram that was sent
        again is in no queue of frames that are all on their way.
        """
        alone = flight.sends > 1 and not self._carrier.stream
        since = flight.sent if alone else max(flight.sent, self._heard)
        return since + self.round_trip.patience(flight.sends) + self._line

    def _next_due(self) -> float:
        """When the first flight is late: where none was sent again, the one sent first."""
        if self._flights.repeated:
            return min(map(self._due, self._flights))
        return self._due(next(iter(self._flights)))

    def _resend(self, now: float) -> None:
        """Sends again what was passed by answers to later frames, and what is late.

        In a stream only the first of those that are late: its answer will pass the others if
        they are lost, and if they only wait in a queue it does not grow.
        """
        if not self._flights:
            return
        stream = self._carrier.stream
        passed = self._newest - (0 if stream else REORDERED)
        lost = list(takewhile(lambda flight: flight.turns[1] < passed, self._flights))
        late: list[Flight] = []
        if self._next_due() <= now and not (stream and lost):
            late = [
                flight
                for flight in islice(self._flights, len(lost), None)
                if self._due(flight) <= now
            ]
        if stream and late:
            late = [min(late, key=lambda flight: flight.index)]
            self._heard = now  # the others wait for what becomes of it
        for _ in range(len(lost) + sum(flight.sends > 1 for flight in late)):
            self.size.lost()
        self._send(lost + late)
