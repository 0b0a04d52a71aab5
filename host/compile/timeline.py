"""When the parts of the engine work on a layer: the recurrences of its pipelines, in cycles.

Every event of a pipeline waits for the event before it in its own stage, for its input, and for
room in the stage behind. The cycles of all events of a row of the output follow from those of the
row before; once two rows are alike, the others are not calculated one by one.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

READ_TO_MACRO = 4
"""Cycles from the issue of a beat until the macro accepts it: two stages of addresses, the memory,
the aligner."""

IN_FLIGHT = 5
"""Beats between the walker and the macro."""

ENCODING = 2
"""Stages of the macro before the window."""

FINISHED = 1
"""Cycles from a finished product until the accumulator may take it."""

RESIDUAL_READ = 4
"""Cycles from an output until a beat that is issued then finds the port taken by its residual."""

READS = 48
"""The last reads of residuals that are kept: more than a macro's buffer holds."""

STAGES = 3
"""Stages of the accumulator; all stand still while a sum waits for the requantiser."""

TABLE = 2
"""Cycles of a row tile's table beyond one for each unit."""


@dataclass(frozen=True)
class Tile:
    """A row tile for the timeline.

    rows: rows of weights that the macro receives. heads: rows of the header. units: of the row
    tile. beats: of a move of the window by a pixel. reach: moves before a row's first window.
    """

    rows: int
    heads: int
    units: int
    beats: int
    reach: int


@dataclass(frozen=True)
class Pace:
    """What all row tiles of a layer share.

    storing: cycles from the last row of a bank until its windows are accepted. per_row: cycles in
    which the macro takes a row. steps: cycles of a product. latency: from a product's last step
    until it is finished. room: products that fit the macro's buffer. stride: pixels from window to
    window. width: windows in a row of the output. residual: whether each output's residual takes a
    beat of the windows' read port.
    """

    storing: int
    per_row: int
    steps: int
    latency: int
    room: int
    stride: int
    width: int
    residual: bool


class Timeline:
    """The events of one descriptor of products. Cycle 0 is that in which the layer begins.

    ready: the first cycle in which the requantiser accepts an output.
    """

    def __init__(self, pace: Pace, ready: int = 0) -> None:
        self._pace = pace
        self._issued = deque([-1 << 30] * IN_FLIGHT)  # accepted by the macro, newest last
        self._walker = 0  # the cycle of the last issue
        self._written = deque([-1 << 30] * ENCODING)
        self._taken = -1 << 30
        self._accepted = deque([-1 << 30] * pace.room)
        self._still = deque([(-1 << 30, -1 << 30)] * STAGES)  # when the accumulator stood still
        self._reads: deque[int] = deque(maxlen=READS)  # issues that would meet a residual's read
        self._output = ready  # the cycle from which the next output is accepted, but for `_busy`
        self._loader = 2  # the loader may open the next row tile
        self._searched = 2  # the search may open the next row tile
        self._freed = deque([0, 0])  # when the halves of the table became free
        self._swapped = 0  # the bank in use came into use
        self._left = 0  # the last beat of the row tile before was accepted
        self._tiles = 0
        self._busy = 0  # cycles of the requantiser for the last output
        self._open, self._new_bank = 0, True  # the macro accepts the row tile's windows
        self._row_taken = 0  # the last window of the row before was taken

    def run(self, tile: Tile, pixels: int, column: int, drain: int) -> None:
        """A row tile over the strip of `pixels` windows, from `column` of a row of the output.

        drain: cycles of the requantiser for each, 0 if sums stay.
        """
        pace = self._pace
        open_ = self._load(tile)
        first = self._search(tile)
        self._walker = max(first, self._walker + 1)  # the cycle in which the walker opens it
        rows = list(_rows(pixels, column, pace.width))
        self._open, self._new_bank = max(open_, self._left + 1), True
        before = None
        place = 0
        while place < len(rows):
            self._row(tile, rows[place], drain)
            place += 1
            state = self._state()
            alike = place > 1 and state == before and rows[place - 1] == pace.width
            before = state
            if alike:
                same = 0
                while place + same < len(rows) and rows[place + same] == pace.width:
                    same += 1
                self._skip(same * (self._taken - self._row_taken))
                place += same
            self._row_taken = self._taken
        self._freed.append(self._walker)
        self._freed.popleft()

    @property
    def end(self) -> int:
        """The cycle in which the requantiser accepts the last output."""
        return self._output

    def _load(self, tile: Tile) -> int:
        """Loads the weights; the cycle from which the macro accepts windows for them."""
        opened = self._loader
        first = opened + tile.heads + 2
        if self._tiles:
            first = max(first, self._swapped + 1)
        last = first + (tile.rows - 1) * self._pace.per_row
        self._loader = last
        self._tiles += 1
        return last + self._pace.storing

    def _search(self, tile: Tile) -> int:
        opened = max(self._searched, self._freed[0] + 1)
        self._searched = opened + tile.units + TABLE
        return self._searched

    def _row(self, tile: Tile, windows: int, drain: int) -> None:
        """A row of the output."""
        pace = self._pace
        moves = pace.stride if tile.reach else 1
        for window in range(windows):
            beats = tile.beats * (moves if window else tile.reach + 1)
            self._window(beats, drain)

    def _window(self, beats: int, drain: int) -> None:
        """A window: its beats, its product, its sum."""
        pace, issued, written = self._pace, self._issued, self._written
        for beat in range(beats):
            self._walker = max(self._walker + 1, issued[0] + 1)
            while self._walker in self._reads:
                self._walker += 1
            accepted = max(self._walker + READ_TO_MACRO, issued[-1] + 1, written[0], self._open)
            arrived = max(accepted + ENCODING, written[-1] + 1)
            if not beat:
                arrived = max(arrived, self._taken)
            issued.append(accepted)
            issued.popleft()
            written.append(arrived)
            written.popleft()
        self._left = accepted
        accepted_sums = self._accepted
        taken = max(written[-1] + 1, self._taken + pace.steps, accepted_sums[0] + 1)
        if self._new_bank:
            self._swapped, self._new_bank = taken, False
        self._taken = taken
        finished = taken + pace.steps + pace.latency + FINISHED
        summed = self._moving(max(finished, accepted_sums[-1] + 1))
        accepted_sums.append(summed)
        accepted_sums.popleft()
        if drain:
            self._leave(summed, drain)

    def _leave(self, summed: int, drain: int) -> None:
        """The sum of a product that was accepted at `summed` goes to the requantiser."""
        arrived = summed
        for _ in range(STAGES - 1):
            arrived = self._moving(arrived + 1)
        arrived += 1
        self._output = max(arrived, self._output + self._busy)
        self._busy = drain
        if self._pace.residual:
            self._reads.append(self._output + RESIDUAL_READ)
        if self._output > arrived:
            self._still.append((arrived, self._output))
            self._still.popleft()

    def _moving(self, cycle: int) -> int:
        """The first cycle from `cycle` on in which the accumulator moves."""
        for begins, ends in self._still:
            if begins <= cycle < ends:
                cycle = ends
        return cycle

    def _state(self) -> tuple[int, ...]:
        """The events that decide the next ones, from the last window on."""
        now = self._taken
        still = (cycle for times in self._still for cycle in times)
        lately = (
            *self._issued,
            *self._written,
            *self._accepted,
            *still,
            *self._reads,
            self._output,
        )
        return (self._walker - now, *(max(event - now, -(1 << 12)) for event in lately))

    def _skip(self, cycles: int) -> None:
        """The same events, later."""
        self._walker += cycles
        self._taken += cycles
        self._output += cycles
        self._left += cycles
        for events in (self._issued, self._written, self._accepted, self._reads):
            for place, event in enumerate(events):
                events[place] = event + cycles
        self._still = deque((begins + cycles, ends + cycles) for begins, ends in self._still)


def _rows(pixels: int, column: int, width: int) -> Iterator[int]:
    """The windows of a strip in each row of the output that it crosses."""
    while pixels:
        windows = min(pixels, width - column)
        yield windows
        pixels, column = pixels - windows, 0
