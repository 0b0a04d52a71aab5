"""A request on its way, and a refusal of one."""

import dataclasses

from dscim.gateware.link.protocol import Reason
from dscim.host.errors import LinkError
from dscim.host.link.frames import OVERHEAD, Frame

MOST_COPIES = 4


class Refused(LinkError):
    """The device refused `request`, for `reason`; nothing of it was done. `frame` says so."""

    def __init__(self, frame: Frame, request: Frame, name: str) -> None:
        self.reason = int(frame.words[0])
        self.frame = frame
        place = f"{request.count} words at {request.address:#x}"
        why = {Reason.ADDRESS: f"{place} are not what frames may reach",
               Reason.LOCKED: f"{place} are memory, which is not read while the engine runs",
               Reason.SESSION: "its session is over",
               Reason.BUSY: "another host's session is open"}
        said = next((text for reason, text in why.items() if reason == self.reason),
                    f"reason {self.reason} for kind {request.kind}")
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


def copies(sends: int) -> int:
    """How often a frame goes that was sent so often without an answer: what holds up all others
    had better come through."""
    return min(1 + sends, MOST_COPIES)


def cost_of(request: Frame) -> int:
    """Bytes that a request and its answer take, about."""
    return 2 * OVERHEAD + 4 * request.count
