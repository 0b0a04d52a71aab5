"""Keeps many requests in flight at once, and resends each until it is answered."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile

from dscim.errors import LinkError
from dscim.gateware.link.protocol import Kind
from dscim.host.link.base import LinkStatistics
from dscim.host.link.carrier import FRAME_BYTES, Carrier, FrameSize, RoundTrip
from dscim.host.link.frames import ANSWER, OVERHEAD, SEQUENCES, DamagedFrame, Frame, Refused

REORDERED = 3
"""Answers to later datagrams after which an earlier one counts as lost."""

WAKE_PART = 4
"""The answers to this fraction (1/4) of the requests in flight are worth waking up for."""

WATCH_SECONDS = 0.5
"""The longest wait for an answer before `watch` is called again."""

MAX_COPIES = 4
"""Maximum number of copies of a frame that are sent at once."""

Answer = Callable[[Frame, Frame], bool]
"""answer(request, frame): whether `frame` answers `request`; takes its data."""


@dataclasses.dataclass(eq=False, slots=True)
class Flight:
    """A request in flight.

    index: its number in the run. cost: approximate bytes of request and answer. sends: how often
    it was sent, last at `sent`. turns: numbers of its first and last sending, counted over all.
    """

    request: Frame
    raw: bytes
    index: int
    cost: int
    sends: int = 0
    sent: float = 0.0
    turns: tuple[int, int] = (0, 0)


class InFlight:
    """The requests in flight. load: their total cost. repeated: how many were resent."""

    def __init__(self) -> None:
        self.load = self.repeated = 0
        self._by_sequence: dict[int, Flight] = {}  # in the order of requests
        self._by_turn: dict[int, Flight] = {}  # by the last turn, in order
        self._turn = 0

    def __len__(self) -> int:
        return len(self._by_sequence)

    def __iter__(self) -> Iterator[Flight]:
        """Iterates in the order in which they were last sent."""
        return iter(self._by_turn.values())

    @property
    def first(self) -> Flight | None:
        """The earliest request."""
        return next(iter(self._by_sequence.values()), None)

    def get(self, sequence: int) -> Flight | None:
        """The request with this sequence number."""
        return self._by_sequence.get(sequence)

    def add(self, request: Frame, index: int) -> Flight:
        """Adds a request that is not sent yet."""
        flight = Flight(request, request.encode(), index, cost_of(request))
        self._by_sequence[request.sequence] = flight
        self.load += flight.cost
        return flight

    def sent(self, flights: Iterable[Flight], now: float) -> None:
        """Records that these were sent, or sent again."""
        for flight in flights:
            self._by_turn.pop(flight.turns[1], None)
            self._turn += 1
            flight.turns = (flight.turns[0] or self._turn, self._turn)
            self._by_turn[self._turn] = flight
            self.repeated += flight.sends == 1
            flight.sends += 1
            flight.sent = now

    def finish(self, flight: Flight) -> None:
        """Removes a request that is answered."""
        del self._by_sequence[flight.request.sequence]
        del self._by_turn[flight.turns[1]]
        self.load -= flight.cost
        self.repeated -= flight.sends > 1

    def before(self, missing: int) -> list[Flight]:
        """Those with sequence numbers before `missing`, modulo SEQUENCES."""
        return list(
            takewhile(
                lambda flight: (missing - flight.request.sequence - 1) % SEQUENCES < SEQUENCES // 2,
                self._by_sequence.values(),
            )
        )

    def clear(self) -> None:
        """Removes all requests."""
        self._by_sequence.clear()
        self._by_turn.clear()
        self.load = self.repeated = 0


class Exchange:
    """The requests of one session over a carrier. Not thread-safe.

    timeout: seconds without a new answer, after which `run` raises LinkError.
    watch: called at least every WATCH_SECONDS; an error that it raises ends `run`.
    answered: requests of the last `run` that were answered. certain: whether none was sent twice.
    first_open: its first request without an answer; None when all were answered.
    """

    def __init__(
        self,
        carrier: Carrier,
        timeout: float,
        counted: LinkStatistics,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self.timeout = timeout
        self._watch = watch
        self.round_trip = RoundTrip(carrier.stream)
        self.size = FrameSize(carrier.stream)
        self.answered = 0
        self.certain = True
        self._carrier = carrier
        self._counted = counted
        self._line = 2 * FRAME_BYTES * carrier.byte_seconds
        self._flights = InFlight()
        self._newest = 0  # the first turn of the latest request whose own answer arrived
        self._latest = 0.0  # when the last answer arrived

    def run(self, requests: Iterator[Frame], most: int, span: int, answer: Answer) -> None:
        """Sends every request until `answer(request, frame)` is true for one of its answers.

        At most `most` are in flight, and none that is `span` or more after the first open one.
        Returns when all are answered. Raises Refused, or LinkError after `timeout` seconds
        without progress; the device may or may not have carried out the requests in flight.
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
            self._watch()
            self._receive(answer)
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
        """Sends each request: once at first, then in more copies the more often it was lost.

        Otherwise a request that is lost again and again would hold up all others.
        """
        if not batch:
            return
        raw = [flight.raw for flight in batch for _ in range(min(1 + flight.sends, MAX_COPIES))]
        self._carrier.send(raw)
        again = len(raw) - sum(flight.sends == 0 for flight in batch)
        self._flights.sent(batch, self._carrier.now())
        self.certain &= not again
        self._counted.frames_sent += len(raw)
        self._counted.resends += again

    def _receive(self, answer: Answer) -> None:
        """Waits for answers until the first request is overdue, and takes them."""
        wait = min(max(0.0, self._next_due() - self._carrier.now()), self.timeout, WATCH_SECONDS)
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
        """Bytes of answers worth waking up for: a part of those in flight, at least one answer."""
        first = self.first_open
        answer = OVERHEAD + (4 * first.count if first and first.kind == Kind.READ else 0)
        return answer * max(1, len(self._flights) // WAKE_PART)

    def _take(self, frame: Frame, answer: Answer) -> bool:
        """Takes an answer; returns whether the frame answers a request in flight."""
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
            before = self._flights.before(frame.address)
            for earlier in before:
                self._finish(earlier)
            known |= bool(before)
        return known

    def _done(self, flight: Flight) -> None:
        """Takes the time and the order of a request's own answer into account."""
        self._latest = self._carrier.now()
        if flight.sends == 1:
            self.round_trip.measured(self._latest - flight.sent)
            self._counted.round_trip = self.round_trip.seconds
            self.size.arrived()
        self._newest = max(self._newest, flight.turns[0])
        self._finish(flight)

    def _finish(self, flight: Flight) -> None:
        self._flights.finish(flight)
        self.answered += 1

    def _due(self, flight: Flight) -> float:
        """When the request is overdue.

        Every answer shows that the device is still working through its queue, so it restarts the
        wait; but a datagram sent again does not wait behind the others.
        """
        alone = flight.sends > 1 and not self._carrier.stream
        since = flight.sent if alone else max(flight.sent, self._latest)
        return since + self.round_trip.patience(flight.sends) + self._line

    def _next_due(self) -> float:
        """When the first request is overdue; if none was resent, that is the one sent first."""
        if self._flights.repeated:
            return min(map(self._due, self._flights))
        return self._due(next(iter(self._flights)))

    def _resend(self, now: float) -> None:
        """Resends requests that are overdue, or whose answer was overtaken by later ones.

        On a stream only the first of the overdue ones is resent: if the others are lost too, its
        answer will overtake them, and if they only wait in a queue, the queue does not grow.
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
            self._latest = now  # the others wait for its outcome
        for _ in range(len(lost) + sum(flight.sends > 1 for flight in late)):
            self.size.lost()
        self._send(lost + late)


def cost_of(request: Frame) -> int:
    """Approximate bytes of a request and its answer."""
    return 2 * OVERHEAD + 4 * request.count
