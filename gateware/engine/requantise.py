"""Requantises a pixel's sums, a few channels per cycle, and writes them to memory."""

from itertools import pairwise

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import C, Cat, If, Mux, Record, Replicate, Signal, log2_int

from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.engine.addition import ADDITION_LATENCY, Addition
from dscim.gateware.engine.loops import CHANNEL_BITS
from dscim.gateware.engine.scale import SCALE_LATENCY, Scale, parameter_layout
from dscim.gateware.logic import delayed
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SCALED = 1 + SCALE_LATENCY
"""Cycles from a step to its outputs. Its sums and parameters are valid after one."""

ADDED = SCALED + 1 + ADDITION_LATENCY
"""Cycles from a step of an add, or of a product with a residual, to its outputs."""

RESIDUAL_LATENCY = 4
"""Cycles from a step to the bytes of its residual."""


def drain_layout(columns: int):
    """A pixel's sums, their output channels [begin, end), and the pixel's first word."""
    return [*sums_layout(columns), ("begin", CHANNEL_BITS), ("end", CHANNEL_BITS), ("adr", 17)]


class Requantiser(LiteXModule):
    """Takes a pixel's column tile and writes `requant_lanes` channels of it per cycle.

    Lane l has the channels c with c mod lanes = l, so that a step's channels lie in one word. For
    an add, its inputs arrive in place of sums. A product with a residual adds its own outputs and
    the residual.

    | port          | dir | meaning                                                       |
    |---------------|-----|---------------------------------------------------------------|
    | fields, plan  | in  | the layer's                                                   |
    | read          | out | read port of the parameter memory                             |
    | write         | out | write port of the activation memory, one enable per byte      |
    | residual_read | out | adr, re; in: dat_r: read port of the activation memory        |
    | sink          | in  | stream: drain_layout                                          |
    | idle          | out | everything is written                                         |
    """

    def __init__(self, spec: SocSpec, fields, plan, read, write):
        columns, lanes = spec.macro.columns, spec.requant_lanes
        self.sink = sink = stream.Endpoint(drain_layout(columns))
        self.idle = Signal()

        # # #

        held, final, opens, odd = Signal(), Signal(), Signal(), Signal()
        place, begin, end = (Signal(CHANNEL_BITS) for _ in range(3))
        adr = Signal.like(sink.adr)
        lead = sink.begin[: log2_int(lanes)] if lanes > 1 else 0
        self.comb += sink.ready.eq(~held | final)
        self.sync += [
            opens.eq(sink.valid & sink.ready),
            If(
                held,
                place.eq(place + lanes),
                final.eq(place + 2 * lanes >= end),
                If(final, held.eq(0)),
            ),
            If(
                sink.valid & sink.ready,
                held.eq(1),
                odd.eq(lead),
                place.eq(sink.begin - lead),
                final.eq(sink.begin - lead + lanes >= sink.end),
                begin.eq(sink.begin),
                end.eq(sink.end),
                adr.eq(sink.adr),
            ),
        ]
        added = Signal()
        self.sync += added.eq(plan.add | fields.residual)  # long before the first step
        steps = self._steps(lanes, added)
        self.comb += [
            steps[0].present.eq(
                Cat(
                    *[
                        held & (place + lane >= begin) & (place + lane < end)
                        for lane in range(lanes)
                    ]
                )
            ),
            steps[0].opens.eq(opens),
            steps[0].place.eq(place),
            steps[0].adr.eq(adr),
            self.idle.eq(~held & (Cat(*[step.present for step in steps[1:]]) == 0)),
        ]
        slots, activation_sum = self._slots(columns, lanes, opens, odd)
        parameters = self._read_parameters(fields, plan, lanes, steps[0], read)
        scales = self._scale(fields, slots, activation_sum, parameters)
        self.residual = Residual(spec, fields, steps[SCALED - RESIDUAL_LATENCY])
        self.residual_read = self.residual.read
        additions = self._add(plan, fields, scales)
        self.comb += If(added, *self._write(fields, scales, additions, steps[ADDED], write)).Else(
            *self._write(fields, scales, scales, steps[SCALED], write)
        )

    def _steps(self, lanes: int, added):
        """The steps by their age in cycles: which lanes have a channel, whether they are a pixel's
        first, the channel of lane 0, and the address; older than SCALED only for additions."""
        layout = [("present", lanes), ("opens", 1), ("place", CHANNEL_BITS), ("adr", 17)]
        steps = [Record(layout, name=f"step{stage}") for stage in range(ADDED + 1)]
        for before, after in pairwise(steps):
            self.sync += after.eq(before)
        self.sync += If(~added, steps[SCALED + 1].present.eq(0))
        return steps

    def _slots(self, columns: int, lanes: int, opens, odd):
        """The lanes' sums and the sum of a', a cycle after their step. If the first channel is
        `odd`, in the second lane, sums are a slot later.

        A register takes the sums in every cycle, valid or not, and a second one takes those of a
        pixel. So no long path leads from their source to this many registers.
        """
        arriving, sums = (Signal(SUM_BITS * columns, name=name) for name in ("arriving", "sums"))
        arriving_sum, activation_sum = Signal(SUM_BITS), Signal(SUM_BITS)
        self.sync += [
            Cat(arriving, arriving_sum).eq(self.sink.sums),
            sums.eq(sums >> SUM_BITS * lanes),
            If(opens, sums.eq(arriving), activation_sum.eq(arriving_sum)),
        ]
        slots = [sums[SUM_BITS * lane : SUM_BITS * (lane + 1)] for lane in range(lanes)]
        if lanes == 1:
            return slots, activation_sum
        before, late = delayed(self, slots[-1], 1), delayed(self, odd, 1)
        return [
            Mux(late, other, slot) for other, slot in zip([before, *slots[:-1]], slots, strict=True)
        ], activation_sum

    def _read_parameters(self, fields, plan, lanes: int, step, read):
        """Each lane's parameters, a cycle after its step: of its channel, or of the descriptor."""
        adr = Signal(17)
        own = Record(parameter_layout(), name="own")
        self.comb += [
            adr.eq(fields.parameter_base - fields.output_channel + step.place),
            read.adr.eq(adr[log2_int(lanes) :]),
            read.re.eq(step.present != 0),
            own.multiplier.eq(fields.output_multiplier),
            own.shift.eq(fields.output_shift),
        ]
        size = len(own.raw_bits())
        return [
            Mux(plan.vector, own.raw_bits(), read.dat_r[size * lane : size * (lane + 1)])
            for lane in range(lanes)
        ]

    def _scale(self, fields, slots, activation_sum, parameters):
        """The lanes' scales."""
        scales = []
        for lane, slot in enumerate(slots):
            scale = Scale(fields)
            self.add_module(f"scale{lane}", scale)
            self.comb += [
                scale.count.eq(slot),
                scale.activation_sum.eq(activation_sum),
                scale.parameters.raw_bits().eq(parameters[lane]),
            ]
            scales.append(scale)
        return scales

    def _add(self, plan, fields, scales):
        """The lanes' additions: of an add's two inputs, which arrive unscaled in `total`, or of a
        product's output and the residual."""
        additions = []
        for lane, scale in enumerate(scales):
            addition = Addition(fields)
            self.add_module(f"addition{lane}", addition)
            self.sync += [
                addition.first.eq(Mux(plan.add, scale.total[:8], scale.output)),
                addition.second.eq(
                    Mux(plan.add, scale.total[8:16], self.residual.octets[8 * lane : 8 * lane + 8])
                ),
            ]
            additions.append(addition)
        return additions

    def _write(self, fields, scales, outputs, step, write):
        """Address and data of a step: the int8 `outputs` of its lanes, or their sums."""
        lanes = len(scales)
        words = Cat(*[scale.total for scale in scales])
        octets = Cat(*[lane.output for lane in outputs])
        present = [step.present[lane] for lane in range(lanes)]
        return [
            write.adr.eq(step.adr + step.place[3:]),
            write.dat_w.eq(Replicate(octets, WORD_BYTES // lanes)),
            write.we.eq(Cat(*present) << step.place[:3]),
            If(
                fields.raw,
                write.adr.eq(step.adr + step.place[1:]),
                write.dat_w.eq(Replicate(words, max(1, 2 // lanes))),
                write.we.eq(
                    Cat(*[Replicate(bit, 4) for bit in present])
                    << (4 * (step.place[0] if lanes == 1 else 0))
                ),
            ),
        ]


class Residual(LiteXModule):
    """Reads the tensor to add to a product's outputs: a word at its first step, bytes at each step.

    The tensor has the layout of the output: a step reads the channels that it writes, at the same
    offset from `second_base`, before it writes them.

    | port   | dir | meaning                                                               |
    |--------|-----|-----------------------------------------------------------------------|
    | step   | in  | present: lanes with a channel; opens: the pixel's first; place:       |
    |        |     | channel of lane 0; adr: the pixel's first word in the output          |
    | fields | in  | the layer's: residual, second_base, output_base                       |
    | read   | out | adr, re; in: dat_r, a cycle after re                                  |
    | octets | out | `lanes` bytes, RESIDUAL_LATENCY cycles after the step                 |
    """

    def __init__(self, spec: SocSpec, fields, step):
        lanes = spec.requant_lanes
        octet_bits = log2_int(WORD_BYTES)
        self.read = read = Record(
            [("adr", log2_int(spec.activation_words)), ("re", 1), ("dat_r", 8 * WORD_BYTES)]
        )
        self.octets = Signal(8 * lanes)

        # # #

        away = Signal(17)  # wraps
        first = [Signal(octet_bits, name=f"first{k}") for k in range(RESIDUAL_LATENCY - 1)]
        arrived, word = Signal(), Signal(8 * WORD_BYTES)
        opens = step.opens | (step.place[:octet_bits] == 0)
        self.sync += [
            away.eq(fields.second_base - fields.output_base),  # long before the first step
            read.adr.eq(away + step.adr + step.place[octet_bits:]),
            read.re.eq(fields.residual & (step.present != 0) & opens),
            arrived.eq(read.re),
            If(arrived, word.eq(read.dat_r)),
            first[0].eq(step.place[:octet_bits]),
            *[after.eq(before) for before, after in pairwise(first)],
            self.octets.eq(word >> Cat(C(0, 3), first[-1])),
        ]
