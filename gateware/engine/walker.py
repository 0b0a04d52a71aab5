"""The window walker: the beats of a row tile's windows, pixel by pixel."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Mux, Record, Signal

from dscim.gateware.engine.addresses import COORDINATE_BITS, Addresses, move_layout, read_layout
from dscim.gateware.engine.lines import Lines
from dscim.gateware.engine.table import TileTable
from dscim.gateware.specs import SocSpec

MAX_SHIFT_LOG2 = 3
"""log2 of the units by which a window moves in one beat at most."""


class WindowWalker(LiteXModule):
    """Issues the beats of row tile after row tile, one beat per cycle.

    In a row of the output the window moves by one pixel of the input at a time, if units take over
    what others held, else from window to window. It begins as many pixels before the row's first
    window as it takes to fill it. `last` ends the beats of a window.

    | port         | dir | meaning                                             |
    |--------------|-----|-----------------------------------------------------|
    | start        | in  | pulse: a layer begins; before its first row tile    |
    | tiles        | in  | stream: tile_layout                                 |
    | fields, plan | in  | the layer's                                         |
    | depthwise    | in  | the layer is depthwise                              |
    | source       | out | stream: read_layout and move_layout                 |
    """

    def __init__(self, spec: SocSpec, fields, plan, depthwise):
        self.start = Signal()
        self.source = stream.Endpoint([*read_layout(spec), *move_layout(spec)])

        # # #

        self.table = table = TileTable(spec, fields, plan)
        self.tiles = table.tiles
        self._spec, self._fields, self._plan = spec, fields, plan
        self._lines = Lines(self, spec.banks, fields.input_width)
        self.addresses = addresses = Addresses(spec, fields, table.source)
        self._now = Record(self._position_layout(), name="now")
        self._position = Signal((COORDINATE_BITS, True))  # of the window as it moves
        self._line = Signal((COORDINATE_BITS, True))  # of the row tile's first tap
        self._active = Signal()
        # what the next move does is known before: no comparison lies on the way from the table
        self._window, self._ends_row, self._single = (
            Signal(name=name) for name in ("window", "ends_row", "single")
        )  # the move ends a window; it is the last of its row; the last of the row tile
        self._reaches = Signal()
        self._planes = Signal.like(plan.read_planes)  # planes by which the window is still to move
        self._moved = Signal()
        self._open(depthwise)
        sink = addresses.sink
        self.comb += [
            sink.valid.eq(self._active),
            sink.place.eq(self._now.place),
            sink.x.eq(self._position),
            sink.line.eq(self._line),
            sink.last.eq(self._window & self._moved),
            sink.final.eq(self._window & self._moved & self._single),
            table.source.ready.eq(sink.final & sink.valid & sink.ready),
            addresses.source.connect(self.source),
        ]
        self._move(sink)
        moves = Signal()
        self.comb += moves.eq(sink.valid & sink.ready & self._moved)
        self._follow(moves)
        self._foresee(moves)

    def _position_layout(self):
        """The window of an output pixel: its column there, x, y of its first tap, and the place of
        the line of that tap's row, plane 0 of those that are read."""
        return [
            ("column", 12),
            ("x", (COORDINATE_BITS, True)),
            ("y", (COORDINATE_BITS, True)),
            ("place", self._lines.place("place").layout),
        ]

    def _open(self, depthwise):
        """The first window of a row tile: at the top, after the strip before, or as the strip's."""
        spec, fields, plan, tile = self._spec, self._fields, self._plan, self.table.source
        top, strip = self._lines.place("top"), Record(self._position_layout(), name="strip")
        first = Record(self._position_layout(), name="first")
        self.comb += [
            first.eq(strip),
            If(tile.begins, first.eq(self._now)),
            If(
                tile.begins & tile.opens,
                first.column.eq(0),
                first.x.eq(fields.origin_x),
                first.y.eq(fields.origin_y),
                first.place.eq(top),
            ),
        ]
        self._opening, self._first = Signal(), first
        self.comb += [
            self._opening.eq(tile.valid & ~self._active),
            self.table.first.eq(self._opening),
        ]
        self.sync += [
            If(
                self._opening,
                self._active.eq(1),
                strip.eq(first),
                self._now.eq(first),
                self._line.eq(first.y + tile.line),
                self._position.eq(first.x - tile.reach),
                self._reaches.eq(tile.reach != 0),
                self._planes.eq(Mux(tile.reach != 0, plan.read_planes, 0)),
                If(tile.begins & tile.opens & depthwise, top.eq(self._lines.further(top, 1))),
            ),
            If(
                self.start,
                top.bank.eq((plan.origin_lines + fields.input_plane) & (spec.banks - 1)),
                top.row.eq(fields.input_base + plan.origin_rows),
            ),
        ]

    def _move(self, sink):
        """The beats of a move: shifts by the planes of a tap, then words for the new units."""
        planes, beat = self._planes, self.table.beat
        code, size, last_shift = Signal(3), Signal(MAX_SHIFT_LOG2 + 1), Signal()
        self.comb += [
            *[
                If(planes >= 1 << power, code.eq(power + 1), size.eq(1 << power))
                for power in range(MAX_SHIFT_LOG2 + 1)
            ],
            last_shift.eq(planes <= size),
            sink.shift.eq(code),
            If(last_shift, sink.beat.raw_bits().eq(beat.raw_bits())),
            self._moved.eq(last_shift & beat.last),
            self.table.advance.eq(sink.valid & sink.ready & last_shift),
        ]
        self.sync += If(
            sink.valid & sink.ready,
            planes.eq(planes - size),
            If(self._moved, planes.eq(Mux(self._reaches, self._plan.read_planes, 0))),
        )

    def _follow(self, moves):
        """From move to move, from window to window, from row to row."""
        fields, plan, tile, now = self._fields, self._plan, self.table.source, self._now
        banks = self._spec.banks
        below = self._lines.moved(now.place, plan.step_lines & (banks - 1), plan.step_rows)
        row_x = Signal((COORDINATE_BITS, True))
        next_x = Signal((COORDINATE_BITS, True))
        self.comb += next_x.eq(now.x + fields.stride_x)
        self.sync += [
            row_x.eq(fields.origin_x - tile.reach),
            If(
                moves,
                self._position.eq(self._position + 1),
                If(
                    self._window,
                    now.column.eq(now.column + 1),
                    now.x.eq(next_x),
                    If(~self._reaches, self._position.eq(next_x)),
                    If(
                        self._ends_row,
                        now.column.eq(0),
                        now.x.eq(fields.origin_x),
                        now.y.eq(now.y + fields.stride_y),
                        now.place.eq(below),
                        self._line.eq(self._line + fields.stride_y),
                        self._position.eq(row_x),
                    ),
                    If(self._single, self._active.eq(0)),
                ),
            ),
        ]

    def _foresee(self, moves):
        """Whether the next move ends a window, and whether that is the last of a row, of the tile.

        to_go: moves before the one that ends a window. left: windows of the row tile.
        """
        fields, tile, column = self._fields, self.table.source, self._now.column
        to_go, left = Signal.like(tile.reach), Signal.like(tile.pixels)
        last, before_last = Signal.like(column), Signal.like(column)
        narrow, adjacent, reach = Signal(), Signal(), Signal.like(tile.reach)
        self.sync += [
            last.eq(fields.output_width - 1),
            before_last.eq(fields.output_width - 2),
            narrow.eq(fields.output_width == 1),
            adjacent.eq(fields.stride_x == 1),
            If(
                moves,
                to_go.eq(to_go - 1),
                self._window.eq(to_go == 1),
                If(
                    self._window,
                    left.eq(left - 1),
                    self._single.eq(left == 2),
                    self._ends_row.eq(Mux(self._ends_row, narrow, column == before_last)),
                    If(
                        self._ends_row,
                        to_go.eq(reach),
                        self._window.eq(~self._reaches),
                    ).Else(
                        to_go.eq(fields.stride_x - 1),
                        self._window.eq(~self._reaches | adjacent),
                    ),
                ),
            ),
            If(
                self._opening,
                reach.eq(tile.reach),
                to_go.eq(tile.reach),
                self._window.eq(tile.reach == 0),
                left.eq(tile.pixels),
                self._single.eq(tile.pixels == 1),
                self._ends_row.eq(self._first.column == last),
            ),
        ]
