"""The units of adds and pools: pairs of inputs, and reductions over a window."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Cat, If, Mux, NextState, NextValue, Replicate, Signal

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.accumulator import SUM_BITS
from dscim.gateware.engine.loops import vector_channels
from dscim.gateware.engine.reader import aligned_layout
from dscim.gateware.specs import SocSpec

SUM = (26, True)
"""Fits a sum over as many positions as a memory holds."""

QUOTIENT_BITS = 8


class Pairs(LiteXModule):
    """Holds the channels of an add's first input until those of the second arrive.

    | port   | dir | meaning                                                              |
    |--------|-----|----------------------------------------------------------------------|
    | sink   | in  | stream: aligned_layout; the beat with `last` is the second           |
    | source | out | stream: slots, 32 bits per channel: first input in bits 0..7, second |
    |        |     | in bits 8..15                                                        |
    """

    def __init__(self, spec: SocSpec):
        channels = vector_channels(spec)
        self.sink = sink = stream.Endpoint(aligned_layout(spec))
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
    | sink   | in  | stream: aligned_layout; `last` ends a window                       |
    | source | out | stream: slots, 32 bits per channel, to be scaled                   |
    """

    def __init__(self, spec: SocSpec, fields):
        channels = vector_channels(spec)
        self.sink = sink = stream.Endpoint(aligned_layout(spec))
        self.source = source = stream.Endpoint([("slots", SUM_BITS * channels)])

        # # #

        fresh = Signal(reset=1)  # the next position opens a window
        step = Signal(max=QUOTIENT_BITS)
        count, divisor = Signal(17), Signal(17 + QUOTIENT_BITS)
        self._average, self._greatest = Signal(), Signal()
        self._zero, self._bias = Signal((8, True)), Signal((9, True))
        summing = fields.operation == Operation.SUM_POOL
        self.sync += [  # known long before the first window
            self._average.eq(fields.operation == Operation.AVERAGE_POOL),
            self._greatest.eq(fields.operation == Operation.MAX_POOL),
            self._zero.eq(Mux(summing, fields.input_zero, 0)),
            self._bias.eq(Mux(summing, 0, -fields.input_zero)),
        ]
        lanes = [
            self._lane(sink.data[8 * lane : 8 * lane + 8], fresh, count, divisor)
            for lane in range(channels)
        ]
        self.comb += source.slots.eq(Cat(*[slot for slot, *_ in lanes]))
        self.fsm = fsm = FSM(reset_state="TAKE")
        fsm.act(
            "TAKE",
            sink.ready.eq(1),
            If(
                sink.valid,
                *[take for _, take, _, _ in lanes],
                NextValue(count, Mux(fresh, 0, count) + Mux(sink.padding, 0, 1)),
                NextValue(fresh, sink.last),
                If(sink.last, NextState("GIVE")),
                If(sink.last & self._average, NextState("ROUND")),
            ),
        )
        fsm.act(
            "ROUND",
            *[round_ for _, _, round_, _ in lanes],
            NextValue(divisor, Mux(count == 0, 1, count) << (QUOTIENT_BITS - 1)),
            NextValue(step, QUOTIENT_BITS - 1),
            NextState("DIVIDE"),
        )
        fsm.act(
            "DIVIDE",
            *[divide for *_, divide in lanes],
            NextValue(divisor, divisor >> 1),
            NextValue(step, step - 1),
            If(step == 0, NextState("GIVE")),
        )
        fsm.act("GIVE", source.valid.eq(1), If(source.ready, NextState("TAKE")))

    def _lane(self, octet, fresh, count, divisor):
        """A channel: its slot, and its statements in TAKE, ROUND and DIVIDE.

        The mean is rounded half away from zero: (magnitude + count / 2) / count.
        """
        x, seen, value, taken = Signal((8, True)), Signal(SUM), Signal(SUM), Signal(SUM)
        negative, fits, quotient = Signal(), Signal(), Signal(QUOTIENT_BITS)
        turned, bias = Signal((QUOTIENT_BITS + 1, True)), Signal((10, True))
        slot = Signal((SUM_BITS, True))
        self.comb += [
            x.eq(octet),
            seen.eq(Mux(fresh, Mux(self._greatest, -128, 0), value)),
            taken.eq(seen),
            If(
                ~self.sink.padding,
                If(~self._greatest, taken.eq(seen + x - self._zero)).Elif(x > seen, taken.eq(x)),
            ),
            fits.eq(value >= divisor),
            turned.eq(quotient ^ Replicate(negative, QUOTIENT_BITS + 1)),
            slot.eq(Mux(self._average, turned, value) + bias),
        ]
        # -quotient is ~quotient + 1; the 1 is added here, long before GIVE
        self.sync += bias.eq(self._bias + (negative & self._average))
        take = NextValue(value, taken)
        round_ = [
            NextValue(negative, value < 0),
            NextValue(value, Mux(value < 0, -value, value) + (count >> 1)),
        ]
        divide = [
            NextValue(quotient, Cat(fits, quotient)),
            If(fits, NextValue(value, value - divisor)),
        ]
        return slot, take, round_, divide
