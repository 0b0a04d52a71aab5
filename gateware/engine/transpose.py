"""Reorders windows from tap by tap, as in memory, to channel by channel."""

from functools import reduce
from operator import or_

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import READ_FIRST, Array, Cat, If, Memory, Mux, Record, Replicate, Signal, bits_for

from dscim.gateware.engine.reader import MemoryReader
from dscim.gateware.macro.interface import BEAT_ROWS, activation_layout
from dscim.gateware.specs import SocSpec


class Transposer(LiteXModule):
    """Takes beats of channels of a tap, outputs beats of rows c*taps + t.

    Lane l holds the rows r with r mod 8 = l of two windows: one is filled while the other one
    leaves. The channels of a beat go to rows `taps` apart. With an odd number of taps these are in
    different lanes, so all are written in one cycle; with an even number, 4, 2 or 1 per cycle.

    | port   | dir | meaning                                                         |
    |--------|-----|-----------------------------------------------------------------|
    | taps   | in  | taps of a window; stable from the cycle before it                |
    | inputs | in  | channels of a tap; taps*inputs is at most R                     |
    | rows   | in  | taps*inputs                                                     |
    | sink   | in  | stream: activation_layout, `row` ignored; `last` ends a window  |
    | source | out | stream: activation_layout                                       |
    """

    def __init__(self, spec: SocSpec):
        rows = spec.macro.rows
        self.taps = Signal(bits_for(rows))
        self.inputs = Signal(bits_for(rows))
        self.rows = Signal(bits_for(rows))
        self.sink = stream.Endpoint(activation_layout(spec.macro))

        # # #

        self._block_bits = bits_for(rows // BEAT_ROWS - 1)
        self._row_bits = bits_for(rows)
        self._full = [Signal(name=f"full{bank}") for bank in range(2)]
        self._multiples = [
            Signal(self._row_bits + 1, name=f"taps{k}") for k in range(BEAT_ROWS + 1)
        ]
        self.sync += [multiple.eq(k * self.taps) for k, multiple in enumerate(self._multiples)]
        lanes = [Memory(8, 2 << self._block_bits, name=f"lane{lane}") for lane in range(BEAT_ROWS)]
        filled = self._fill(lanes)
        emptied = self._leave(spec, lanes)
        for bank, full in enumerate(self._full):
            self.sync += If(filled[bank], full.eq(1)).Elif(emptied[bank], full.eq(0))

    def _fill(self, lanes):
        """Writes a beat's bytes to their lanes. Returns a pulse per bank: its window is whole."""
        beat = Record([("valid", 1), ("last", 1), ("count", 4), ("data", 8 * BEAT_ROWS)])
        bank, step, done = Signal(), Signal(), Signal()
        together, next_row = Signal(4), Signal(self._row_bits + 1)
        row = Signal.like(next_row)
        self.comb += [
            step.eq(beat.valid & ~Array(self._full)[bank]),
            done.eq(beat.count <= together),
            self.sink.ready.eq(~beat.valid | (step & done)),
        ]
        self.sync += [
            together.eq(Mux(self.taps[0], 8, Mux(self.taps[1], 4, Mux(self.taps[2], 2, 1)))),
            If(
                step,
                beat.count.eq(beat.count - together),
                beat.data.eq(beat.data >> Cat(Replicate(0, 3), together)),
                row.eq(row + Array(self._multiples)[together]),
                If(
                    done,
                    beat.valid.eq(0),
                    If(beat.last, bank.eq(~bank)),
                ),
            ),
            If(
                self.sink.valid & self.sink.ready,
                beat.valid.eq(1),
                beat.last.eq(self.sink.last),
                beat.count.eq(self.sink.count),
                beat.data.eq(self.sink.data),
                row.eq(next_row),
            ),
        ]
        self._follow(next_row)
        present = [step & (k < beat.count) & (k < together) for k in range(BEAT_ROWS)]
        self._write(lanes, bank, row, present, beat.data)
        return [step & done & beat.last & (bank == b) for b in range(2)]

    def _follow(self, next_row):
        """The row of the next beat's first channel, in the same tap or the next."""
        tap, done = Signal(self._row_bits), Signal(self._row_bits)
        left = Signal(self._row_bits)  # channels of the tap still to come
        self.comb += left.eq(self.inputs - done)
        self.sync += If(
            self.sink.valid & self.sink.ready,
            If(
                self.sink.last,
                tap.eq(0),
                done.eq(0),
                next_row.eq(0),
            )
            .Elif(
                left == self.sink.count,
                tap.eq(tap + 1),
                done.eq(0),
                next_row.eq(tap + 1),
            )
            .Else(
                done.eq(done + self.sink.count),
                next_row.eq(next_row + Array(self._multiples)[self.sink.count]),
            ),
        )

    def _write(self, lanes, bank, row, present, data):
        """Writes each present byte to the lane and block of its row."""
        rows = [Signal(self._row_bits + 1, name=f"row{k}") for k in range(BEAT_ROWS)]
        self.comb += [own.eq(row + self._multiples[k]) for k, own in enumerate(rows)]
        for lane, memory in enumerate(lanes):
            port = memory.get_port(write_capable=True)
            self.specials += memory, port
            hits = [Signal(name=f"lane{lane}_hit{k}") for k in range(BEAT_ROWS)]
            block = Signal(self._block_bits, name=f"lane{lane}_block")
            self.comb += [
                *[
                    hit.eq(here & (own[:3] == lane))
                    for hit, here, own in zip(hits, present, rows, strict=True)
                ],
                port.we.eq(Cat(*hits) != 0),
                block.eq(_chosen(hits, [own[3:] for own in rows])),
                port.adr.eq(Cat(block, bank)),
                port.dat_w.eq(_chosen(hits, [data[8 * k : 8 * k + 8] for k in range(BEAT_ROWS)])),
            ]

    def _leave(self, spec: SocSpec, lanes):
        """Reads a whole window, eight rows per cycle. Returns a pulse per bank: it is free."""
        read = Record([("adr", self._block_bits + 1), ("re", 1), ("dat_r", 8 * BEAT_ROWS)])
        ports = [memory.get_port(has_re=True, mode=READ_FIRST) for memory in lanes]
        self.specials += ports
        self.comb += [
            read.dat_r.eq(Cat(*[port.dat_r for port in ports])),
            *[port.adr.eq(read.adr) for port in ports],
            *[port.re.eq(read.re) for port in ports],
        ]
        layout = [field for field in activation_layout(spec.macro) if field[0] != "data"]
        self.reader = reader = MemoryReader(read, layout)
        # otherwise `ready` would cross from the requantiser to the lanes in one cycle
        self.leaving = leaving = stream.Buffer(
            activation_layout(spec.macro), pipe_valid=False, pipe_ready=True
        )
        self.source = leaving.source
        bank, block, left = Signal(), Signal(self._block_bits), Signal(self._row_bits)
        taken = Signal()
        self.comb += [
            left.eq(self.rows - BEAT_ROWS * block),
            reader.sink.valid.eq(Array(self._full)[bank]),
            reader.sink.adr.eq(Cat(block, bank)),
            reader.sink.row.eq(BEAT_ROWS * block),
            reader.sink.count.eq(Mux(left < BEAT_ROWS, left, BEAT_ROWS)),
            reader.sink.last.eq(left <= BEAT_ROWS),
            taken.eq(reader.sink.valid & reader.sink.ready),
            reader.source.connect(leaving.sink),
        ]
        self.sync += If(
            taken,
            block.eq(block + 1),
            If(
                reader.sink.last,
                block.eq(0),
                bank.eq(~bank),
            ),
        )
        return [taken & reader.sink.last & (bank == b) for b in range(2)]


def _chosen(hits, values):
    """The value whose hit is high, zero if there is none; at most one is high."""
    return reduce(or_, [Mux(hit, value, 0) for hit, value in zip(hits, values, strict=True)])
