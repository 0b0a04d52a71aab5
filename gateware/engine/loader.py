"""Loads the weights of row tiles: reads headers and rows, and expands depthwise ones."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Cat, If, Mux, Record, Signal, bits_for, log2_int

from dscim.gateware.engine.tiles import tile_layout
from dscim.gateware.macro.interface import weight_layout
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.gateware.specs.soc import WORD_BYTES


class WeightLoader(LiteXModule):
    """For each row tile: its header, which has the parity of each row, then its rows, one per
    cycle (see `dscim.gateware.layout`).

    A unit's rows end with the channels of its plane. A depthwise row has one byte, in the column
    of its lane, and several of them lie in one row of the memory.

    | port      | dir | meaning                                                     |
    |-----------|-----|-------------------------------------------------------------|
    | tiles     | in  | stream: tile_layout                                         |
    | fields    | in  | the layer's                                                 |
    | planes    | in  | planes of a tap                                             |
    | depthwise | in  | the layer is depthwise                                      |
    | source    | out | stream: weight_layout;       |
    |           |     | `last` ends a row tile                                      |

    read: the read port of the weight memory.
    """

    def __init__(self, spec: SocSpec, fields, planes, depthwise, read):
        self.tiles = stream.Endpoint(tile_layout(spec))
        self.source = source = stream.Endpoint(weight_layout(spec.macro))

        # # #

        lanes_log2 = log2_int(UNIT_ROWS)
        row = Signal(bits_for(spec.macro.rows))
        heads, adr = Signal(bits_for(spec.header_rows)), Signal(len(read.adr))
        active, header, unit_ends, word_ends, end = (Signal() for _ in range(5))
        plane, tail = Signal.like(planes), Signal(lanes_log2)
        lane, unit = row[:lanes_log2], row[lanes_log2:]
        last_plane = plane == planes - 1
        fetched = stream.Endpoint([("header", 1), ("place", len(row))])
        moved = active & fetched.ready
        self.comb += [
            header.eq(heads != spec.header_rows),
            unit_ends.eq(lane == Mux(last_plane & ~depthwise, tail, UNIT_ROWS - 1)),
            end.eq(~header & unit_ends & (unit == self.tiles.units - 1)),
            word_ends.eq(~depthwise | header | end | self._taps_end(spec, lane, unit)),
            fetched.valid.eq(active),
            fetched.last.eq(end),
            fetched.header.eq(header),
            fetched.place.eq(Mux(header, heads, row)),
            self.tiles.ready.eq(moved & end),
        ]
        self.sync += [
            tail.eq(fields.inputs - 1),  # known long before the first row
            If(
                moved,
                If(word_ends, adr.eq(adr + 1)),
                If(header, heads.eq(heads + 1)).Else(
                    row.eq(row + 1),
                    If(
                        unit_ends,
                        row.eq((unit + 1) << lanes_log2),
                        plane.eq(Mux(last_plane, 0, plane + 1)),
                    ),
                    If(end, active.eq(0)),
                ),
            ),
            If(
                self.tiles.valid & ~active,
                active.eq(1),
                row.eq(0),
                heads.eq(0),
                If(self.tiles.begins, adr.eq(self.tiles.weights), plane.eq(0)),
            ),
        ]
        self._read(spec, read, adr, fetched, source, depthwise)
        self._configure(fields, source)

    def _taps_end(self, spec: SocSpec, lane, unit):
        """Whether a row of the memory has no more depthwise weights after this one."""
        taps = log2_int(max(1, spec.macro.columns // WORD_BYTES))
        return (lane == UNIT_ROWS - 1) & ((unit[:taps] == (1 << taps) - 1) if taps else 1)

    def _read(self, spec: SocSpec, read, adr, fetched, source, depthwise):
        """The memory's words, a cycle later: headers are kept, rows leave."""
        columns = spec.macro.columns
        held = Record([("valid", 1), ("header", 1), ("place", len(fetched.place)), ("last", 1)])
        odd = Signal(8 * columns * spec.header_rows)
        advance, data = Signal(), Signal(8 * columns)
        self.comb += [
            advance.eq(~held.valid | held.header | source.ready),
            fetched.ready.eq(advance),
            read.adr.eq(adr),
            read.re.eq(advance & fetched.valid),
            source.valid.eq(held.valid & ~held.header),
            source.last.eq(held.last),
            source.row.eq(held.place),
            source.odd.eq(Array([odd[r] for r in range(spec.macro.rows)])[held.place]),
            data.eq(read.dat_r),
        ]
        if columns >= WORD_BYTES:
            taken = Array([read.dat_r[8 * k : 8 * k + 8] for k in range(columns)])
            octet = Signal(8)
            self.comb += [
                octet.eq(taken[held.place[: log2_int(columns)]]),
                If(
                    depthwise,
                    data.eq(Cat(*[Mux(held.place[:3] == k, octet, 0) for k in range(WORD_BYTES)])),
                ),
            ]
        self.comb += source.data.eq(data)
        self.sync += If(
            advance,
            held.valid.eq(fetched.valid),
            held.header.eq(fetched.header),
            held.place.eq(fetched.place),
            held.last.eq(fetched.last),
            If(
                held.valid & held.header,
                *[
                    If(
                        held.place == k,
                        odd[8 * columns * k : 8 * columns * (k + 1)].eq(read.dat_r),
                    )
                    for k in range(spec.header_rows)
                ],
            ),
        )

    def _configure(self, fields, source):
        self.comb += [
            source.samples_log2.eq(fields.samples_log2),
            source.offset.eq(fields.offset),
            source.zero_point.eq(fields.input_zero),
            source.activation_shift.eq(fields.activation_shift),
        ]
