"""The reads of the depthwise unit: windows of two output rows, without what lies outside."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Mux, Record, Signal, bits_for, log2_int

from dscim.gateware.descriptor import MAX_KERNEL
from dscim.gateware.engine.addresses import COORDINATE_BITS, read_layout
from dscim.gateware.engine.lines import ROW_BITS, Lines, each_bank, place_layout
from dscim.gateware.specs import SocSpec

COORDINATE = (COORDINATE_BITS, True)

ROWS = 2 * MAX_KERNEL
"""Rows of a window of two output rows at most."""


def beat_layout():
    """What the unit knows of a beat. `last` ends a window.

    row: of the window, that of the beat's first pixel. column: of the kernel. rows: those of the
    window that are inside the input, from that of the beat's first pixel on; 0 if no position of
    the window is. second: the window has a second output row.
    """
    return [
        ("row", bits_for(ROWS - 1)),
        ("column", bits_for(MAX_KERNEL - 1)),
        ("rows", bits_for(ROWS)),
        ("second", 1),
    ]


def span_layout(spec: SocSpec):
    """The part of a window inside the input: x and place of its first position; its first column
    and row in the window, the number of both, none if `empty`; second as in beat_layout."""
    return [
        ("x", COORDINATE),
        ("place", place_layout(spec.banks)),
        ("column", bits_for(MAX_KERNEL)),
        ("columns", bits_for(MAX_KERNEL)),
        ("row", bits_for(ROWS)),
        ("rows", bits_for(ROWS)),
        ("second", 1),
        ("empty", 1),
    ]


class PairWalker(LiteXModule):
    """Issues the reads of a column tile: for each pair of output rows, window by window.

    A read takes the words of all banks from the line of a row's first plane on: those of `together`
    rows of one column. A window's reads go from column to column, then further down.

    | port         | dir | meaning                                                          |
    |--------------|-----|------------------------------------------------------------------|
    | start        | in  | pulse: a layer begins                                            |
    | begin        | in  | pulse: its next column tile begins; only when `ready`            |
    | ready        | out | no column tile is being walked, and the next one may begin       |
    | fields, plan | in  | the layer's                                                      |
    | together     | in  | rows of a beat, a power of two                                   |
    | source       | out | stream: read_layout                                              |
    | beats        | out | stream: beat_layout, a beat for each read, in the same cycle     |
    """

    def __init__(self, spec: SocSpec, fields, plan, together):
        self.start = Signal()
        self.begin = Signal()
        self.ready = Signal()
        self.source = stream.Endpoint(read_layout(spec))
        self.beats = stream.Endpoint(beat_layout())

        # # #

        self._spec, self._fields, self._plan = spec, fields, plan
        self._lines = Lines(self, spec.banks, fields.input_width)
        self.spans = spans = stream.Endpoint(span_layout(spec))
        self._active, self._stepping = Signal(), Signal()
        self._find_rows()
        self._windows(spans)
        self._steps(spans, together)

    def _find_rows(self):
        """Places of the column tile: of the first window's row, and of row 0 of the input.

        From a window that begins above the input, row 0 is found row by row.
        """
        spec, fields, plan, lines = self._spec, self._fields, self._plan, self._lines
        top, zero = lines.place("top"), lines.place("zero")
        row = Signal(COORDINATE)
        self._top, self._zero = top, zero
        below = lines.moved(zero, plan.planes & (spec.banks - 1), plan.tap_rows)
        first = Record(place_layout(spec.banks), name="first")
        self.comb += [
            first.bank.eq((plan.origin_lines + fields.input_plane) & (spec.banks - 1)),
            first.row.eq(fields.input_base + plan.origin_rows),
            self.ready.eq((row >= 0) & ~self._active & ~self.spans.valid & ~self._stepping),
        ]
        self.sync += [
            If(row < 0, row.eq(row + 1), zero.eq(below)),
            If(
                self.begin,  # the next column tile is a row of banks further
                top.row.eq(top.row + fields.input_width),
                zero.row.eq(zero.row + fields.input_width),
            ),
            If(self.start, top.eq(first), zero.eq(first), row.eq(fields.origin_y)),
        ]

    def _windows(self, spans):
        """From window to window: to the right, then two output rows down."""
        fields, plan, lines, banks = self._fields, self._plan, self._lines, self._spec.banks
        x, y, place = Signal(COORDINATE), Signal(COORDINATE), lines.place("place")
        zero = lines.place("zero_now")  # of row 0 in this column tile
        column, left = Signal(12), Signal(12)
        step = plan.step_lines & (banks - 1)
        further = lines.moved(lines.moved(place, step, plan.step_rows), step, plan.step_rows)
        second, passed = left > 1, Signal()
        self.comb += passed.eq(self._active & (~spans.valid | spans.ready))
        self.sync += [
            If(spans.ready, spans.valid.eq(0)),
            If(passed, spans.valid.eq(1), *self._clip(x, y, place, zero, second)),
            If(
                passed,
                column.eq(column + 1),
                x.eq(x + fields.stride_x),
                If(
                    column == fields.output_width - 1,
                    column.eq(0),
                    x.eq(fields.origin_x),
                    y.eq(y + (fields.stride_y << 1)),
                    place.eq(further),
                    left.eq(left - 2),
                    If(left <= 2, self._active.eq(0)),
                ),
            ),
            If(
                self.begin,
                self._active.eq(1),
                column.eq(0),
                left.eq(fields.output_height),
                x.eq(fields.origin_x),
                y.eq(fields.origin_y),
                place.eq(self._top),
                zero.eq(self._zero),
            ),
        ]

    def _clip(self, x, y, place, zero, second):
        """Statements: the part inside the input of the window at x, y."""
        fields, spans = self._fields, self.spans
        height = Signal(bits_for(ROWS))
        self.comb += height.eq(fields.kernel_height + Mux(second, fields.stride_y, 0))
        starts, counts = [], []
        for at, size, limit in (
            (x, fields.kernel_width[: bits_for(ROWS)], fields.input_width),
            (y, height, fields.input_height),
        ):
            start, end = Signal(bits_for(ROWS)), Signal(bits_for(ROWS))
            before, behind = Signal(COORDINATE), Signal(COORDINATE)
            count = Signal((bits_for(ROWS) + 1, True))
            self.comb += [
                before.eq(-at),
                behind.eq(limit - at),
                If(before < 0, start.eq(0))
                .Elif(before > size, start.eq(size))
                .Else(start.eq(before)),
                If(behind < 0, end.eq(0)).Elif(behind > size, end.eq(size)).Else(end.eq(behind)),
                count.eq(end - start),
            ]
            starts.append(start)
            counts.append(count)
        inside = Signal(COORDINATE)
        self.comb += inside.eq(Mux(x < 0, 0, x))
        return [
            spans.x.eq(inside),
            spans.place.eq(place),
            If(y < 0, spans.place.eq(zero)),
            spans.column.eq(starts[0]),
            spans.columns.eq(counts[0]),
            spans.row.eq(starts[1]),
            spans.rows.eq(counts[1]),
            spans.second.eq(second),
            spans.empty.eq((counts[0] <= 0) | (counts[1] <= 0)),
        ]

    def _steps(self, spans, together):
        """From read to read in a window; the address of each a cycle later."""
        spec, fields, plan, lines = self._spec, self._fields, self._plan, self._lines
        source, beats, stepping = self.source, self.beats, self._stepping
        now, held = (Record(span_layout(spec), name=name) for name in ("now", "held"))
        row_ends, ends, moved = Signal(), Signal(), Signal()
        planes = lines.moved(now.place, plan.planes & (spec.banks - 1), plan.tap_rows)
        several = together != 1
        near, far = Signal(ROW_BITS), Signal(ROW_BITS)
        self.comb += [
            row_ends.eq(now.empty | (now.columns == 1)),
            ends.eq(row_ends & (now.empty | (now.rows <= together))),
            moved.eq(stepping & (~source.valid | source.ready) & beats.ready),
            beats.valid.eq(stepping & (~source.valid | source.ready)),
            beats.row.eq(now.row),
            beats.column.eq(now.column),
            beats.rows.eq(Mux(now.empty, 0, now.rows)),
            beats.second.eq(now.second),
            beats.last.eq(ends),
            spans.ready.eq(~stepping | (moved & ends)),
            near.eq(now.place.row + now.x),
            far.eq(near + fields.input_width),
        ]
        bits = len(source.adr) // spec.banks
        self.sync += [
            If(source.ready, source.valid.eq(0)),
            If(
                moved,
                source.valid.eq(1),
                source.last.eq(ends),
                source.bank.eq(now.place.bank),
                source.adr.eq(each_bank(spec.banks, now.place.bank, near[:bits], far[:bits])),
                now.x.eq(now.x + 1),
                now.column.eq(now.column + 1),
                now.columns.eq(now.columns - 1),
                If(
                    row_ends,
                    now.x.eq(held.x),
                    now.column.eq(held.column),
                    now.columns.eq(held.columns),
                    now.row.eq(now.row + together),
                    now.rows.eq(now.rows - together),
                    If(several, now.place.row.eq(now.place.row + fields.input_width)).Else(
                        now.place.eq(planes)
                    ),
                ),
            ),
            If(
                spans.ready,
                stepping.eq(spans.valid),
                now.raw_bits().eq(spans.payload.raw_bits()),
                held.raw_bits().eq(spans.payload.raw_bits()),
            ),
        ]


def rows_together(module, spec: SocSpec, planes):
    """(rows of a beat, its log2): new signals. planes: of a pixel of the input."""
    most = log2_int(spec.banks)
    rows, log2 = Signal(bits_for(spec.banks), reset=1), Signal(bits_for(max(1, most)))
    module.comb += [rows.eq(1)] + [
        If(planes == spec.banks >> k, rows.eq(1 << k), log2.eq(k)) for k in range(1, most + 1)
    ]
    return rows, log2
