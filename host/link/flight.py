"""Requests on their way, and a refusal of one."""

import dataclasses
from collections.abc import Iterable, Iterator
from itertools import takewhile

from dscim.errors import LinkError
from dscim.gateware.link.protocol import Reason
from dscim.host.link.frames import OVERHEAD, SEQUENCES, Frame

MOST_COPIES = 4


class Refused(LinkError):
    """The device refused `request`, for `reason`; nothing of it was done. `frame` says so."""

    def __init__(self, frame: Frame, request: Frame, name: str) -> None:
        self.reason = int(frame.words[0])
        self.frame = frame
        place = f"{request.count} words at {request.address:#x}"
        why = {
            Reason.ADDRESS: f"{place} are not what frames may reach",
            Reason.LOCKED: f"{place} are memory, which is not read while the engine runs",
            Reason.SESSION: "its session is over",
            Reason.BUSY: "another host's session is open",
        }
        said = next(
            (text for reason, text in why.items() if reason == self.reason),
            f"reason {self.reason} for kind {request.kind}",
        )
        super().__init__(f"{name} refused a frame: {said}.")


@dataclasses.dataclass(eq=False, slots=True)
class Flight:
    """A request on its way. turns: the first and the last of the numbers it was sent under."""

    request: Frame
    raw: bytes
    index: int
    cost: int
    sends: int = 0
    sent: float = 0.0
    turns: tuple[int, int] = (0, 0)


class Flights:
    """What is on its way. load: bytes that it takes, about. repeated: how many of it were sent
    more than once."""

    def __init__(self) -> None:
        self.load = self.repeated = 0
        self._by_sequence: dict[int, Flight] = {}  # in the order of requests
        self._by_turn: dict[int, Flight] = {}  # by the last turn, in order
        self._turn = 0

    def __len__(self) -> int:
        return len(self._by_sequence)

    def __iter__(self) -> Iterator[Flight]:
        """In the order in which they were sent last."""
        return iter(self._by_turn.values())

    @property
    def first(self) -> Flight | None:
        """The one asked for first."""
        return next(iter(self._by_sequence.values()), None)

    def get(self, sequence: int) -> Flight | None:
        """The one with that sequence number."""
        return self._by_sequence.get(sequence)

    def add(self, request: Frame, index: int) -> Flight:
        """One more, not sent yet."""
        flight = Flight(request, request.encode(), index, cost_of(request))
        self._by_sequence[request.sequence] = flight
        self.load += flight.cost
        return flight

    def sent(self, flights: Iterable[Flight], now: float) -> None:
        """They were sent, or sent again, one turn each."""
        for flight in flights:
            self._by_turn.pop(flight.turns[1], None)
            self._turn += 1
            flight.turns = (flight.turns[0] or self._turn, self._turn)
            self._by_turn[self._turn] = flight
            self.repeated += flight.sends == 1
            flight.sends += 1
            flight.sent = now

    def finish(self, flight: Flight) -> None:
        """It is answered."""
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
        """Nothing is on its way any more."""
        self._by_sequence.clear()
        self._by_turn.clear()
        self.load = self.repeated = 0


def copies(sends: int) -> int:
    """How often a frame goes that was sent so often without an answer: what holds up all others
    had better come through."""
    return min(1 + sends, MOST_COPIES)


def cost_of(request: Frame) -> int:
    """Bytes that a request and its answer take, about."""
    return 2 * OVERHEAD + 4 * request.count
