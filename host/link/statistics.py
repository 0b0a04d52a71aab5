"""What a link counted."""

import dataclasses


@dataclasses.dataclass
class LinkStatistics:
    """Counts since the link was opened, for a report or JSON.

    bytes_sent, bytes_received: on the line, all that frames cost included.
    resends: frames sent once more. damaged: what came and failed its check. foreign: right frames
    that nobody waits for: late doubles, other sessions. sessions: opened by this link.
    round_trip: seconds from a frame to its answer, smoothed; 0 before the first.
    """

    bytes_sent: int = 0
    bytes_received: int = 0
    frames_sent: int = 0
    frames_received: int = 0
    resends: int = 0
    damaged: int = 0
    foreign: int = 0
    sessions: int = 0
    round_trip: float = 0.0
