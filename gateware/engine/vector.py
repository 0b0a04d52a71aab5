"""Adds and pools: the reads of their windows, pairs of inputs, and reductions over a window."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Cat, If, Mux, NextState, NextValue, Record, Replicate, Signal

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.accumulator import SUM_BITS
from dscim.gateware.engine.addresses import COORDINATE_BITS, read_layout
from dscim.gateware.engine.lines import ROW_BITS, Lines, each_bank, place_layout
from dscim.gateware.engine.reader import words_layout
from dscim.gateware.engine.setup import vector_channels
from dscim.gateware.engine.tiles import tile_layout
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SUM = (26, True)
"""Fits a sum over as many positions as a memory holds."""

QUOTIENT_BITS = 8

TAKE, ROUND, DIVIDE = range(3)
"""What a pool does in a cycle."""


class TapWalker(LiteXModule):
    """Issues a read for each tap of each pixel's window, row tile after row tile.

    A read takes the words of one pixel's neighbouring planes. An add's second tap is its second
    input, and is never padding. `last` ends a window.

    | port         | dir | meaning                                             |
    |--------------|-----|-----------------------------------------------------|
    | start        | in  | pulse: a layer begins; before its first row tile    |
    | tiles        | in  | stream: tile_layout                                 |
    | fields, plan | in  | the layer's                                         |
    | source       | out | stream: read_layout                                 |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.start = Signal()
        self.tiles = tiles = stream.Endpoint(tile_layout(spec))
        self.source = stream.Endpoint(read_layout(spec))

        # # #

        self._spec, self._fields, self._plan = spec, fields, plan
        self._lines = lines = Lines(self, spec.banks, fields.input_width)
        coordinate = (COORDINATE_BITS, True)
        layout = [("x", coordinate), ("y", coordinate), ("place", place_layout(spec.banks))]
        self._window, self._tap = (Record(layout, name=name) for name in ("window", "tap"))
        self._column, self._left = Signal(12), Signal.like(tiles.pixels)
        self._ky, self._kx, self._active = Signal(12), Signal(12), Signal()
        top = lines.place("top")
        self._step()
        planes = vector_channels(spec) // WORD_BYTES
        self.sync += [
            If(
                tiles.valid & ~self._active,
                self._active.eq(1),
                self._left.eq(tiles.pixels),
                If(
                    tiles.opens,
                    top.eq(lines.further(top, planes)),
                    self._column.eq(0),
                    *[
                        assignment
                        for record in (self._window, self._tap)
                        for assignment in (
                            record.x.eq(fields.origin_x),
                            record.y.eq(fields.origin_y),
                            record.place.eq(top),
                        )
                    ],
                ),
            ),
            If(
                self.start,
                top.bank.eq((plan.origin_lines + fields.input_plane) & (spec.banks - 1)),
                top.row.eq(fields.input_base + plan.origin_rows),
            ),
        ]
        self._read()

    def _step(self):
        """From tap to tap, from window to window, from row to row."""
        fields, plan, lines = self._fields, self._plan, self._lines
        window, tap, banks = self._window, self._tap, self._spec.banks
        below = lines.moved(tap.place, plan.planes & (banks - 1), plan.tap_rows)
        next_row = lines.moved(window.place, plan.step_lines & (banks - 1), plan.step_rows)
        following = Record(window.layout, name="following")
        row_ends, window_ends, column_ends = Signal(), Signal(), Signal()
        self._window_ends, self._ready = window_ends, Signal()
        self.comb += [
            row_ends.eq(self._kx == fields.kernel_width - 1),
            window_ends.eq(row_ends & (self._ky == fields.kernel_height - 1)),
            column_ends.eq(self._column == fields.output_width - 1),
            following.eq(window),
            following.x.eq(window.x + fields.stride_x),
            If(
                column_ends,
                following.x.eq(fields.origin_x),
                following.y.eq(window.y + fields.stride_y),
                following.place.eq(next_row),
            ),
        ]
        self.comb += self.tiles.ready.eq(
            self._active & self._ready & window_ends & (self._left == 1)
        )
        self.sync += If(
            self._active & self._ready,
            self._kx.eq(self._kx + 1),
            tap.x.eq(tap.x + 1),
            If(
                row_ends,
                self._kx.eq(0),
                self._ky.eq(self._ky + 1),
                tap.x.eq(window.x),
                tap.y.eq(tap.y + 1),
                tap.place.eq(below),
            ),
            If(
                window_ends,
                self._ky.eq(0),
                self._left.eq(self._left - 1),
                self._column.eq(self._column + 1),
                If(column_ends, self._column.eq(0)),
                If(self._left == 1, self._active.eq(0)),
                window.eq(following),
                tap.eq(following),
            ),
        )

    def _read(self):
        """The addresses of a tap's words, a cycle later."""
        spec, fields, plan, tap = self._spec, self._fields, self._plan, self._tap
        source = self.source
        near, far = Signal(ROW_BITS), Signal(ROW_BITS)
        outside = (tap.x[:] >= fields.input_width) | (tap.y[:] >= fields.input_height)
        bits = len(source.adr) // spec.banks
        away = Mux(self._kx[0], fields.second_base - fields.input_base, 0)
        pixel = Mux(plan.add, self._window.x + away, tap.x)
        self.comb += [
            self._ready.eq(~source.valid | source.ready),
            near.eq(tap.place.row + pixel),
            far.eq(near + fields.input_width),
        ]
        self.sync += If(
            self._ready,
            source.valid.eq(self._active),
            source.last.eq(self._window_ends),
            source.bank.eq(tap.place.bank),
            source.padding.eq(Replicate(~plan.add & outside, spec.banks)),
            source.adr.eq(each_bank(spec.banks, tap.place.bank, near[:bits], far[:bits])),
        )


class Pairs(LiteXModule):
    """Holds the channels of an add's first input until those of the second arrive.

    | port   | dir | meaning                                                              |
    |--------|-----|----------------------------------------------------------------------|
    | sink   | in  | stream: words_layout; the beat with `last` is the second           |
    | source | out | stream: slots, 32 bits per channel: first input in bits 0..7, second |
    |        |     | in bits 8..15                                                        |
    """

    def __init__(self, spec: SocSpec):
        channels = vector_channels(spec)
        self.sink = sink = stream.Endpoint(words_layout(spec))
        self.source = source = stream.Endpoint([("slots", SUM_BITS * channels)])

        # # #

        first = Signal(8 * channels)
        slots = []
        for channel in range(channels):
            octet = slice(8 * channel, 8 * channel + 8)
            slot = Signal(SUM_BITS)
            self.comb += slot.eq(Cat(first[octet], sink.data[octet]))
            slots.append(slot)
        self.comb += [
            source.slots.eq(Cat(*slots)),
            source.valid.eq(sink.valid & sink.last),
            sink.ready.eq(~sink.last | source.ready),
        ]
        self.sync += If(sink.valid & ~sink.last, first.eq(sink.data))


class Pool(LiteXModule):
    """Takes a window, one position per beat, and outputs a number per channel: see `Operation`. A
    mean takes nine more cycles.

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | fields | in  | of the layer: operation, input_zero; two cycles before its beats   |
    | sink   | in  | stream: words_layout; `last` ends a window                       |
    | source | out | stream: slots, 32 bits per channel, to be scaled                   |
    """

    def __init__(self, spec: SocSpec, fields):
        channels = vector_channels(spec)
        self.sink = sink = stream.Endpoint(words_layout(spec))
        self.source = source = stream.Endpoint([("slots", SUM_BITS * channels)])

        # # #

        fresh = Signal(reset=1)  # the next position opens a window
        step = Signal(max=QUOTIENT_BITS)
        count, divisor = Signal(17), Signal(SUM[0] - 1)
        self._average, self._greatest = Signal(), Signal()
        self._zero, self._bias = Signal((8, True)), Signal((9, True))
        summing = fields.operation == Operation.SUM_POOL
        self.sync += [  # known long before the first window
            self._average.eq(fields.operation == Operation.AVERAGE_POOL),
            self._greatest.eq(fields.operation == Operation.MAX_POOL),
            self._zero.eq(Mux(summing, fields.input_zero, 0)),
            self._bias.eq(Mux(summing, 0, -fields.input_zero)),
        ]
        self._fresh, self._step = fresh, Signal(3)  # TAKE, ROUND or DIVIDE
        self._shared, self._counted = Signal(SUM), Signal()
        lanes = [self._lane(sink.data[8 * lane : 8 * lane + 8]) for lane in range(channels)]
        self.comb += [
            source.slots.eq(Cat(*lanes)),
            self._counted.eq(~sink.padding[0]),
            self._shared.eq(Mux(self._step[ROUND], count >> 1, Cat(~divisor, 1))),
        ]
        self.fsm = fsm = FSM(reset_state="TAKE")
        fsm.act(
            "TAKE",
            sink.ready.eq(1),
            self._step[TAKE].eq(sink.valid),
            If(
                sink.valid,
                NextValue(count, Mux(fresh, 0, count) + self._counted),
                NextValue(fresh, sink.last),
                If(sink.last, NextState("GIVE")),
                If(sink.last & self._average, NextState("ROUND")),
            ),
        )
        fsm.act(
            "ROUND",
            self._step[ROUND].eq(1),
            NextValue(divisor, Mux(count == 0, 1, count) << (QUOTIENT_BITS - 1)),
            NextValue(step, QUOTIENT_BITS - 1),
            NextState("DIVIDE"),
        )
        fsm.act(
            "DIVIDE",
            self._step[DIVIDE].eq(1),
            NextValue(divisor, divisor >> 1),
            NextValue(step, step - 1),
            If(step == 0, NextState("GIVE")),
        )
        fsm.act("GIVE", source.valid.eq(1), If(source.ready, NextState("TAKE")))

    def _lane(self, octet):
        """A channel: its slot. One adder sums, rounds and divides.

        The mean is rounded half away from zero: (magnitude + count / 2) / count.
        """
        take, round_, divide = (self._step[k] for k in (TAKE, ROUND, DIVIDE))
        x, value, total = Signal((8, True)), Signal(SUM), Signal((SUM[0] + 1, True))
        here, more, difference = Signal(SUM), Signal(SUM), Signal((9, True))
        negative, turn, fits, quotient = Signal(), Signal(), Signal(), Signal(QUOTIENT_BITS)
        seen, first = Signal((8, True)), Signal((8, True))
        greater, slot = Signal(), Signal((SUM_BITS, True))
        turned, bias = Signal((QUOTIENT_BITS + 1, True)), Signal((10, True))
        self.comb += [
            x.eq(octet),
            turn.eq(round_ & value[-1]),
            here.eq(Mux(take & self._fresh, 0, value ^ Replicate(turn, SUM[0]))),
            difference.eq(x - self._zero),
            more.eq(Mux(take, Mux(self._counted, difference, 0), self._shared)),
            total.eq(here + more + (turn | divide)),
            fits.eq(~total[-1]),
            seen.eq(value),
            first.eq(-128),
            If(self._counted, first.eq(x)),
            greater.eq(self._counted & (x > seen)),
            turned.eq(quotient ^ Replicate(negative, QUOTIENT_BITS + 1)),
            slot.eq(Mux(self._average, turned, value) + bias),
        ]
        self.sync += [
            # -quotient is ~quotient + 1; the 1 is added here, long before GIVE
            bias.eq(self._bias + (negative & self._average)),
            If(round_, negative.eq(value[-1])),
            If(divide, quotient.eq(Cat(fits, quotient))),
            If(
                take & self._greatest,
                If(greater | self._fresh, value.eq(first)),
            ).Elif(take | round_ | (divide & fits), value.eq(total)),
        ]
        return slot
