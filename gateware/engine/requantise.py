"""The drain of a pixel's sums: requantised a few channels a cycle, written to memory."""

from itertools import pairwise

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Mux, Record, Replicate, Signal, log2_int

from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.engine.addend import ADDEND_LATENCY, Addend
from dscim.gateware.engine.loops import CHANNEL_BITS
from dscim.gateware.engine.rounding import delayed
from dscim.gateware.engine.scale import SCALE_LATENCY, Scale, parameter_layout
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

STAGES = ADDEND_LATENCY + SCALE_LATENCY
"""Cycles from a step to its write."""


def drain_layout(columns: int):
    """A pixel's sums, the output channels [begin, end) that they are, the pixel's first word."""
    return [*sums_layout(columns), ("begin", CHANNEL_BITS), ("end", CHANNEL_BITS), ("adr", 17)]


class Requantiser(LiteXModule):
    """Takes a pixel's column tile and writes `requant_lanes` channels of it a cycle.

    Lane l has the channels c with c mod lanes = l, so that a step's channels lie in one word.

    | port         | dir | meaning                                                        |
    |--------------|-----|----------------------------------------------------------------|
    | fields, plan | in  | the layer's                                                    |
    | read         | out | read port of the parameter memory                              |
    | write        | out | write port of the activation memory, enables for each byte     |
    | sink         | in  | stream: drain_layout                                           |
    | idle         | out | nothing held, everything written                               |
    """

    def __init__(self, spec: SocSpec, fields, plan, read, write):
        columns, lanes = spec.macro.columns, spec.requant_lanes
        self.sink = sink = stream.Endpoint(drain_layout(columns))
        self.idle = Signal()

        # # #

        held, final, odd = Signal(), Signal(), Signal()
        sums = Signal(SUM_BITS*columns)
        activation_sum = Signal(SUM_BITS)
        place, begin, end = (Signal(CHANNEL_BITS) for _ in range(3))
        adr = Signal.like(sink.adr)
        lead = sink.begin[:log2_int(lanes)] if lanes > 1 else 0
        self.comb += sink.ready.eq(~held | final)
        self.sync += [
            If(held,
                sums.eq(sums >> SUM_BITS*lanes),
                place.eq(place + lanes),
                final.eq(place + 2*lanes >= end),
                If(final, held.eq(0)),
            ),
            If(sink.valid & sink.ready,
                held.eq(1),
                sums.eq(sink.sums[:SUM_BITS*columns]),
                odd.eq(lead),
                activation_sum.eq(sink.sums[SUM_BITS*columns:]),
                place.eq(sink.begin - lead),
                final.eq(sink.begin - lead + lanes >= sink.end),
                begin.eq(sink.begin),
                end.eq(sink.end),
                adr.eq(sink.adr),
            ),
        ]
        steps = self._steps(lanes)
        self.comb += [
            steps[0].present.eq(Cat(*[held & (place + lane >= begin) & (place + lane < end)
                                      for lane in range(lanes)])),
            steps[0].place.eq(place),
            steps[0].adr.eq(adr),
            self.idle.eq(~held & (Cat(*[step.present for step in steps[1:]]) == 0)),
        ]
        slots = self._slots(lanes, sums, odd)
        parameters = self._read_parameters(fields, plan, lanes, steps[ADDEND_LATENCY - 1], read)
        scales = self._scale(fields, plan, slots, activation_sum, parameters)
        self._write(fields, scales, steps[-1], write)

    def _steps(self, lanes: int):
        """Which lanes have a channel, the channel of lane 0, and where, by cycles since."""
        layout = [("present", lanes), ("place", CHANNEL_BITS), ("adr", 17)]
        steps = [Record(layout, name=f"step{stage}") for stage in range(STAGES + 1)]
        for before, after in pairwise(steps):
            self.sync += after.eq(before)
        return steps

    def _slots(self, lanes: int, sums, odd):
        """The lanes' sums, a slot later where the first channel is `odd`, of the second lane."""
        slots = [sums[SUM_BITS*lane:SUM_BITS*(lane + 1)] for lane in range(lanes)]
        if lanes == 1:
            return slots
        before = delayed(self, slots[-1], 1)
        return [Mux(odd, late, slot)
                for late, slot in zip([before, *slots[:-1]], slots, strict=True)]

    def _read_parameters(self, fields, plan, lanes: int, step, read):
        """Each lane's parameters, when its term is there: its channel's, or the descriptor's."""
        adr = Signal(17)
        own = Record(parameter_layout(), name="own")
        self.comb += [
            adr.eq(fields.parameter_base - fields.output_channel + step.place),
            read.adr.eq(adr[log2_int(lanes):]),
            read.re.eq(step.present != 0),
            own.multiplier.eq(fields.output_multiplier),
            own.shift.eq(fields.output_shift),
        ]
        size = len(own.raw_bits())
        return [Mux(plan.vector, own.raw_bits(), read.dat_r[size*lane:size*(lane + 1)])
                for lane in range(lanes)]

    def _scale(self, fields, plan, slots, activation_sum, parameters):
        """The lanes' scales, each behind its addend."""
        activation_sum = delayed(self, activation_sum, ADDEND_LATENCY)
        scales = []
        for lane, slot in enumerate(slots):
            addend, scale = Addend(fields, plan), Scale(fields)
            self.add_module(f"addend{lane}", addend)
            self.add_module(f"scale{lane}", scale)
            self.comb += [
                addend.slot.eq(slot),
                scale.count.eq(addend.term),
                scale.activation_sum.eq(activation_sum),
                scale.parameters.raw_bits().eq(parameters[lane]),
            ]
            scales.append(scale)
        return scales

    def _write(self, fields, scales, step, write):
        """Where and what, STAGES cycles after the step."""
        lanes = len(scales)
        words = Cat(*[scale.total for scale in scales])
        octets = Cat(*[scale.output for scale in scales])
        present = [step.present[lane] for lane in range(lanes)]
        self.comb += [
            If(fields.raw,
                write.adr.eq(step.adr + step.place[1:]),
                write.dat_w.eq(Replicate(words, max(1, 2//lanes))),
                write.we.eq(Cat(*[Replicate(bit, 4) for bit in present])
                            << (4*(step.place[0] if lanes == 1 else 0))),
            ).Else(
                write.adr.eq(step.adr + step.place[3:]),
                write.dat_w.eq(Replicate(octets, WORD_BYTES//lanes)),
                write.we.eq(Cat(*present) << step.place[:3]),
            ),
        ]
