"""The reads of a row tile's windows, found once per row tile: which lines, for which units.

When a window moves on by a pixel, most units take over what another one holds: unit u what unit
u + planes held, the same plane at the tap to the right. The others, at most one for each line, are
new and read from memory. Lines that follow each other lie in different banks, so a beat reads up
to a word of every bank.
"""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Cat, If, Memory, Mux, Record, Signal, bits_for

from dscim.gateware.engine.lines import ROW_BITS, Lines, bank_bits, place_layout
from dscim.gateware.engine.tiles import tile_layout
from dscim.gateware.specs import SocSpec

TAP_BITS = 12

EDGE, LAST, BEFORE = 0, 1, 2
"""Where in its row of taps a new unit is: at the right edge of the window, at the tap of the row
tile's last unit, or at the one before."""


def beat_layout(spec: SocSpec):
    """A beat: the place of its first line; for each word whether its plane is a pixel's last, its
    tap's row in the row tile and where in it; for each unit whether it is written and with which
    word; whether the beat is the last."""
    words, units = spec.banks, spec.macro.units
    return [
        *place_layout(spec.banks),
        ("tail", words),
        ("edge", 2 * words),
        ("tap", bits_for(units) * words),
        ("write", units),
        ("select", bank_bits(words) * units),
        ("last", 1),
    ]


def window_layout(spec: SocSpec):
    """What all beats of a row tile share, and its tile_layout.

    line: the row of its first tap. last_tap: the pixel of its last tap. reach: moves before a row's
    first window, until every unit is filled.
    """
    return [
        *tile_layout(spec),
        ("line", TAP_BITS),
        ("last_tap", TAP_BITS),
        ("reach", TAP_BITS),
    ]


class TileTable(LiteXModule):
    """Finds the beats of a row tile, unit by unit; while one tile's are in use, the next one's.

    | port         | dir | meaning                                                            |
    |--------------|-----|--------------------------------------------------------------------|
    | tiles        | in  | stream: tile_layout                                                |
    | fields, plan | in  | the layer's                                                        |
    | source       | out | stream: window_layout; the tile in use until it is taken           |
    | first        | in  | pulse: the first beat of that tile is next                         |
    | advance      | in  | pulse: the beat after this one is next, after the last the first   |
    | beat         | out | beat_layout, from the cycle after `first` or `advance`             |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.tiles = tiles = stream.Endpoint(tile_layout(spec))
        self.source = source = stream.Endpoint(window_layout(spec))
        units = spec.macro.units
        self.first, self.advance = Signal(), Signal()
        self.beat = Record(beat_layout(spec))

        # # #

        ahead, coming = Signal(max=max(2, units)), Record(beat_layout(spec))
        half = 1 << len(ahead)
        memory = Memory(len(self.beat.raw_bits()), 2 * half, name="beats")
        reader, writer = memory.get_port(async_read=True), memory.get_port(write_capable=True)
        self.specials += memory, reader, writer
        using, filling = Signal(), Signal()  # the halves of the memory
        full = [Signal(name=f"full{k}") for k in range(2)]
        held = [Record(window_layout(spec), name=f"held{k}") for k in range(2)]
        self.search = search = Search(spec, fields, plan)
        taken = source.valid & source.ready
        self.comb += [
            reader.adr.eq(Cat(ahead, using)),
            coming.raw_bits().eq(reader.dat_r),
            source.valid.eq(Array(full)[using]),
            source.payload.raw_bits().eq(Array([record.raw_bits() for record in held])[using]),
            tiles.connect(search.tiles, omit={"valid", "ready"}),
            search.tiles.valid.eq(tiles.valid & ~Array(full)[filling]),
            tiles.ready.eq(search.tiles.ready),
            writer.adr.eq(Cat(search.beat, filling)),
            writer.dat_w.eq(search.entry.raw_bits()),
            writer.we.eq(search.write),
        ]
        for k, record in enumerate(held):
            self.sync += [
                If(taken & (using == k), full[k].eq(0)),
                If(
                    search.tiles.ready & (filling == k),
                    full[k].eq(1),
                    record.raw_bits().eq(search.found.raw_bits()),
                ),
            ]
        self.sync += [
            If(
                self.first | self.advance,
                self.beat.raw_bits().eq(coming.raw_bits()),
                ahead.eq(Mux(coming.last, 0, ahead + 1)),
            ),
            If(taken, using.eq(~using), ahead.eq(0)),
            If(search.tiles.ready, filling.eq(~filling)),
        ]


class Search(LiteXModule):
    """Goes through the units of a row tile, one per cycle, and writes its beats.

    | port         | dir | meaning                                                         |
    |--------------|-----|-----------------------------------------------------------------|
    | tiles        | in  | stream: tile_layout; accepted when `found` is complete          |
    | fields, plan | in  | the layer's                                                     |
    | found        | out | window_layout                                                   |
    | write        | out | `entry` is the beat of number `beat`                            |

    A unit is at tap (ky, kx), plane p. Lines are counted from plane 0 of the row tile's first tap:
    q whole rows of banks and w banks further. If a window has not all planes of its pixels, only
    the lines of one tap follow each other, so each tap's start at a whole row of banks.
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.tiles = tiles = stream.Endpoint(tile_layout(spec))
        self.found = found = Record(window_layout(spec))
        self.write = Signal()
        self.beat = Signal(max=max(2, spec.macro.units))
        self.entry = Record(beat_layout(spec))

        # # #

        self._spec, self._fields, self._plan = spec, fields, plan
        self._lines = Lines(self, spec.banks, fields.input_width)
        units = bits_for(spec.macro.units)
        self._ky, self._kx, self._plane = (
            Signal(TAP_BITS, name=name) for name in ("ky", "kx", "p")
        )
        self._unit, self._tap = Signal(units), Signal(units)  # both counted in the row tile
        self._last_plane, self._edge = Signal(), Signal()
        self._active, finishing, opens = Signal(), Signal(), Signal()
        left = Signal(units)
        ends, new, at_last = Signal(), Signal(), Signal()
        self.comb += [
            opens.eq(tiles.valid & ~self._active & ~finishing),
            tiles.ready.eq(finishing),
            self._last_plane.eq(self._plane == plan.read_planes - 1),
            self._edge.eq(self._kx == fields.kernel_width - 1),
            left.eq(tiles.units - self._unit),
            ends.eq(left == 1),
            new.eq(self._edge | (left <= plan.read_planes)),
            at_last.eq(left <= plan.read_planes - self._plane),
        ]
        self.sync += [
            finishing.eq(self._active & ends),
            If(self._active, self._unit.eq(self._unit + 1), If(ends, self._active.eq(0))),
            If(opens, self._active.eq(1), self._unit.eq(0)),
        ]
        self._walk(opens)
        self._describe(opens, found)
        self._collect(opens, finishing, new, at_last)

    def _walk(self, opens):
        """From unit to unit: its tap and plane, and the place of its line."""
        spec, plan, lines = self._spec, self._plan, self._lines
        layout = [("q", TAP_BITS), ("w", bank_bits(spec.banks)), ("rows", ROW_BITS)]
        # in the row tile; at the start of the tap's row; as if that were a whole row of banks
        self._line, row_line, inner = (
            Record(layout, name=name) for name in ("line", "row", "inner")
        )
        row = lines.place("row")  # of the tap's row, from that of the window's first tap
        self._base = base = lines.place("base")
        whole = plan.planes == plan.read_planes
        next_line, next_inner = (self._next(line) for line in (self._line, inner))
        below = lines.moved(row, plan.planes & (spec.banks - 1), plan.tap_rows)
        apart = Record(layout)
        self.comb += [apart.q.eq(self._line.q + 1)]
        self.sync += [
            If(
                self._active,
                self._plane.eq(self._plane + 1),
                self._line.eq(next_line),
                inner.eq(next_inner),
                If(
                    self._last_plane,
                    self._plane.eq(0),
                    self._kx.eq(self._kx + 1),
                    self._line.eq(row_line),
                    inner.raw_bits().eq(0),
                    If(
                        self._edge,
                        self._kx.eq(0),
                        self._ky.eq(self._ky + 1),
                        self._tap.eq(self._tap + 1),
                        row.eq(below),
                        If(whole, self._line.eq(next_line), row_line.eq(next_line)).Else(
                            self._line.eq(apart), row_line.eq(apart), base.eq(below)
                        ),
                    ),
                ),
            ),
            If(
                opens,
                self._tap.eq(0),
                base.eq(row),
                self._line.eq(inner),
                row_line.raw_bits().eq(0),
                If(
                    self.tiles.begins,
                    self._ky.eq(0),
                    self._kx.eq(0),
                    self._plane.eq(0),
                    base.raw_bits().eq(0),
                    row.raw_bits().eq(0),
                    inner.raw_bits().eq(0),
                    self._line.raw_bits().eq(0),
                ),
            ),
        ]

    def _next(self, line):
        """A new line: the one after `line`."""
        following = Record(line.layout)
        last = 1 if self._spec.banks == 1 else line.w == self._spec.banks - 1
        self.comb += [
            following.w.eq(Mux(last, 0, line.w + 1)),
            following.q.eq(line.q + last),
            following.rows.eq(line.rows + Mux(last, self._fields.input_width, 0)),
        ]
        return following

    def _describe(self, opens, found):
        """What the beats of the row tile share."""
        first_kx, first_plane = Signal(TAP_BITS), Signal(TAP_BITS)
        line, last, reach, depth = (Signal(TAP_BITS) for _ in range(4))
        begun = Signal(TAP_BITS)  # the first tap of the unit's line in the row tile
        self.comb += [
            begun.eq(Mux(self._tap == 0, first_kx + (self._plane < first_plane), 0)),
            depth.eq(self._kx - begun),
            found.line.eq(line),
            found.last_tap.eq(last),
            found.reach.eq(reach),
            *[
                getattr(found, name).eq(getattr(self.tiles, name))
                for name, _ in tile_layout(self._spec)
            ],
        ]
        place = [Mux(self.tiles.begins, 0, at) for at in (self._ky, self._kx, self._plane)]
        self.sync += [
            If(
                self._active,
                last.eq(self._kx),
                If((self._kx > begun) & (depth > reach), reach.eq(depth)),
            ),
            If(opens, Cat(line, first_kx, first_plane).eq(Cat(*place)), reach.eq(0)),
        ]

    def _collect(self, opens, finishing, new, at_last):
        """Adds each new unit to the beat of its line; a beat is written when the next begins."""
        spec, line = self._spec, self._line
        beat, fresh = (Record(beat_layout(spec), name=name) for name in ("beat", "fresh"))
        number, held = Signal(TAP_BITS), Signal()
        closes, tap_bits = Signal(), bits_for(spec.macro.units)
        kind = Mux(self._edge, EDGE, Mux(at_last, LAST, BEFORE))
        select_bits = bank_bits(spec.banks)
        self.comb += [
            closes.eq(self._active & new & held & (number != line.q)),
            self.write.eq(closes | finishing),
            self.entry.eq(beat),
            self.entry.last.eq(finishing),
            If(held & ~closes, fresh.eq(beat)).Else(
                fresh.bank.eq(self._base.bank), fresh.row.eq(self._base.row + line.rows)
            ),
            *[
                If(
                    line.w == word,
                    fresh.tail[word].eq(self._last_plane),
                    fresh.edge[2 * word : 2 * word + 2].eq(kind),
                    fresh.tap[word * tap_bits : (word + 1) * tap_bits].eq(self._tap),
                )
                for word in range(spec.banks)
            ],
            *[
                If(
                    self._unit == unit,
                    fresh.write[unit].eq(1),
                    fresh.select[unit * select_bits : (unit + 1) * select_bits].eq(line.w),
                )
                for unit in range(spec.macro.units)
            ],
        ]
        self.sync += [
            If(self._active & new, beat.eq(fresh), held.eq(1), number.eq(line.q)),
            If(closes, self.beat.eq(self.beat + 1)),
            If(opens, held.eq(0), self.beat.eq(0)),
        ]
