"""The drain of a pixel's sums: requantised a few channels a cycle, written to memory."""

from itertools import pairwise

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Record, Replicate, Signal, bits_for, log2_int

from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.engine.scale import SCALE_LATENCY, Scale, parameter_layout
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

STAGES = SCALE_LATENCY + 1
"""Cycles from a step to its write: the parameters' read, and the scaling."""


def drain_layout(columns: int):
    """A pixel's sums, the first channel of its column tile, the pixel's first output word."""
    return [*sums_layout(columns), ("channel", 12), ("adr", 17)]


class Requantiser(LiteXModule):
    """Takes a pixel's column tile and writes `requant_lanes` channels of it a cycle.

    | port     | dir | meaning                                                            |
    |----------|-----|--------------------------------------------------------------------|
    | fields   | in  | the layer's                                                        |
    | read     | out | read port of the parameter memory                                  |
    | write    | out | write port of the activation memory, enables for each byte         |
    | sink     | in  | stream: drain_layout                                               |
    | idle     | out | nothing held, everything written                                   |
    """

    def __init__(self, spec: SocSpec, fields, read, write):
        columns, lanes = spec.macro.columns, spec.requant_lanes
        self.sink = sink = stream.Endpoint(drain_layout(columns))
        self.idle = Signal()

        # # #

        held = Signal()
        final = Signal()
        sums = Signal(SUM_BITS*columns)
        activation_sum = Signal(SUM_BITS)
        channel = Signal(12)
        adr = Signal(17)
        left = Signal(bits_for(columns))
        self.comb += [
            final.eq((left <= lanes) | (channel + lanes >= fields.outputs)),
            sink.ready.eq(~held | final),
            read.re.eq(held),
            read.adr.eq((fields.parameter_base + channel)[log2_int(lanes):]),
        ]
        self.sync += [
            If(held,
                sums.eq(sums >> SUM_BITS*lanes),
                channel.eq(channel + lanes),
                left.eq(left - lanes),
                If(final, held.eq(0)),
            ),
            If(sink.valid & sink.ready,
                held.eq(1),
                sums.eq(sink.sums),
                activation_sum.eq(sink.sums[SUM_BITS*columns:]),
                channel.eq(sink.channel),
                adr.eq(sink.adr),
                left.eq(columns),
            ),
        ]

        scales = [Scale(fields) for _ in range(lanes)]
        for lane, scale in enumerate(scales):
            self.add_module(f"scale{lane}", scale)
            self.sync += [
                scale.count.eq(sums[SUM_BITS*lane:SUM_BITS*(lane + 1)]),
                scale.activation_sum.eq(activation_sum),
            ]
            self.comb += scale.parameters.raw_bits().eq(_part(read.dat_r, lane))
        self._write(fields, scales, held, channel, adr, write)

    def _write(self, fields, scales, held, channel, adr, write):
        """Where and what, STAGES cycles after the step."""
        layout = [("valid", 1), ("channel", 12), ("adr", 17)]
        steps = [Record(layout, name=f"step{stage}") for stage in range(STAGES + 1)]
        self.comb += [steps[0].valid.eq(held), steps[0].channel.eq(channel), steps[0].adr.eq(adr)]
        for before, after in pairwise(steps):
            self.sync += after.eq(before)
        step = steps[-1]
        lanes = len(scales)
        present = [step.valid & (step.channel + lane < fields.outputs) for lane in range(lanes)]
        words = Cat(*[scale.total for scale in scales])
        octets = Cat(*[scale.output for scale in scales])
        copies = WORD_BYTES//lanes
        raw_copies = max(1, 2//lanes)
        self.comb += [
            If(fields.raw,
                write.adr.eq(step.adr + step.channel[1:]),
                write.dat_w.eq(Replicate(words, raw_copies)),
                write.we.eq(Cat(*[Replicate(bit, 4) for bit in present])
                            << (4*(step.channel[0] if lanes == 1 else 0))),
            ).Else(
                write.adr.eq(step.adr + step.channel[3:]),
                write.dat_w.eq(Replicate(octets, copies)),
                write.we.eq(Cat(*present) << step.channel[:3]),
            ),
            self.idle.eq(~held & (Cat(*[stage.valid for stage in steps[1:]]) == 0)),
        ]


def _part(word, lane: int):
    """The parameters of one lane in a word of the parameter memory."""
    width = sum(bits if isinstance(bits, int) else bits[0] for _, bits in parameter_layout())
    return word[width*lane:width*(lane + 1)]
