"""Requantises a pixel's sums, some channels per cycle, and writes them to memory."""

from itertools import pairwise

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Mux, Record, Signal, log2_int

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.engine.addition import ADDITION_LATENCY, Addition, Shares
from dscim.gateware.engine.lines import Lines, place_layout
from dscim.gateware.engine.output import SUM_BYTES, BankWriter, OutputPlace
from dscim.gateware.engine.parameters import Parameters, parameter_layout
from dscim.gateware.engine.residual import RESIDUAL_LATENCY, Residual
from dscim.gateware.engine.scale import SCALE_LATENCY, Scale
from dscim.gateware.engine.tiles import slots
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SCALED = 1 + SCALE_LATENCY
"""Cycles from a step to its outputs. Its sums and parameters are valid after one."""

ADDED = SCALED + ADDITION_LATENCY
"""Cycles from a step of an add, or of a product with a residual, to its outputs."""


class Requantiser(LiteXModule):
    """Takes a pixel's column tile and writes `requant_lanes` channels of it per cycle.

    For an add, its inputs arrive in place of sums. A product with a residual adds its own outputs
    and the residual.

    | port          | dir | meaning                                                       |
    |---------------|-----|---------------------------------------------------------------|
    | start         | in  | pulse: a layer begins                                         |
    | fields, plan  | in  | the layer's                                                   |
    | read          | out | read port of the parameter memory                             |
    | write         | out | write port of the activation memory, one enable per byte      |
    | residual_read | out | adr, re; in: dat_r: read port of the activation memory        |
    | sink          | in  | stream: sums_layout                                           |
    | idle          | out | everything is written                                         |
    """

    def __init__(self, spec: SocSpec, fields, plan, read, write):
        lanes = spec.requant_lanes
        self.start = Signal()
        self.sink = sink = stream.Endpoint(sums_layout(spec))
        self.idle = Signal()

        # # #

        self.parameters = parameters = Parameters(spec, read)
        self.shares = shares = Shares(fields)
        self.output = output = OutputPlace(spec, fields, plan)
        held, final, opens, begins = (Signal() for _ in range(4))
        place, width = Signal.like(sink.width), Signal.like(sink.width)
        taken = sink.valid & sink.ready
        opening = taken & ~sink.follows
        needed = sink.opens & ~plan.vector
        self.comb += [
            sink.ready.eq((~held | final) & (~needed | (parameters.full & ~begins)) & shares.ready),
            shares.start.eq(self.start),
            shares.wanted.eq(plan.add | fields.residual),
            output.start.eq(self.start),
            output.opens.eq(sink.opens),
            output.second.eq(sink.second),
            output.stays.eq(sink.stays),
            output.advance.eq(opening),
            parameters.start.eq(self.start & ~plan.vector),
            parameters.base.eq(fields.parameter_base),
            parameters.count.eq(fields.outputs),
            parameters.take.eq(begins),
        ]
        depthwise = fields.operation == Operation.DEPTHWISE
        self.sync += [
            parameters.width.eq(
                Mux(
                    plan.apart,
                    WORD_BYTES * spec.banks,
                    Mux(depthwise, WORD_BYTES, spec.macro.columns),
                )
            ),
            opens.eq(taken),
            begins.eq(taken & needed),
            If(
                held,
                place.eq(place + lanes),
                final.eq(place + 2 * lanes >= width),
                If(final, held.eq(0)),
            ),
            If(
                taken,
                held.eq(1),
                place.eq(0),
                final.eq(sink.width <= lanes),
                width.eq(sink.width),
            ),
        ]
        added = Signal()
        self.sync += added.eq(plan.add | fields.residual)  # long before the first step
        steps = self._steps(spec, fields, added)
        self._place(spec, fields, steps[0], held, opening, output)
        self.comb += [
            steps[0].present.eq(Cat(*[held & (place + lane < width) for lane in range(lanes)])),
            steps[0].opens.eq(opens),
            steps[0].begins.eq(held & (place[: log2_int(WORD_BYTES * spec.banks)] == 0)),
            self.idle.eq(~held & (Cat(*[step.present for step in steps[1:]]) == 0)),
        ]
        step_bits = len(parameters.step)
        number, before = Signal(step_bits), Signal(step_bits)
        self.comb += number.eq(place[log2_int(lanes) :])
        self.sync += [
            parameters.step.eq(before + number),
            If(taken, before.eq(Mux(sink.follows, before + slots(spec) // lanes, 0))),
        ]
        own = self._choose(fields, plan, parameters)
        scales = self._scale(spec, fields, steps[0], own)
        self.residual = residual = Residual(spec, fields, len(write.adr) // spec.banks)
        early = steps[SCALED - RESIDUAL_LATENCY]
        self.residual_read = residual.read
        self.comb += [
            residual.begins.eq(early.begins),
            residual.place.eq(early.place),
            residual.octet.eq(early.octet),
        ]
        additions = self._add(plan, fields, scales)
        self._write(spec, fields, scales, additions, (steps[SCALED], steps[ADDED]), added, write)

    def _steps(self, spec: SocSpec, fields, added):
        """The steps by their age in cycles: which lanes have a channel, whether they are a pixel's
        first or the first of a word of every bank, their first word and byte; older than SCALED
        only for additions."""
        layout = [
            ("present", spec.requant_lanes),
            ("opens", 1),
            ("begins", 1),
            ("place", place_layout(spec.banks)),
            ("octet", log2_int(WORD_BYTES)),
        ]
        steps = [Record(layout, name=f"step{stage}") for stage in range(ADDED + 1)]
        for before, after in pairwise(steps):
            self.sync += after.eq(before)
        self.sync += If(~added, steps[SCALED + 1].present.eq(0))
        return steps

    def _place(self, spec: SocSpec, fields, step, held, opening, output):
        """The first word and byte of each step: the pixel's, then so many lanes further."""
        lines = Lines(self, spec.banks, fields.output_width)
        place, octet = lines.place("place"), Signal.like(step.octet)
        lanes = spec.requant_lanes
        whole = [lines.further(place, max(1, lanes * size // WORD_BYTES)) for size in (1, 4)]
        following = [octet + lanes * size for size in (1, 4)]

        def moved(size: int, there, octets):
            if lanes * size >= WORD_BYTES:
                return [place.eq(there)]
            total = Signal(len(octet) + 1)
            self.comb += total.eq(octets)
            return [octet.eq(total), If(total[-1], place.eq(there))]

        self.comb += [step.place.eq(place), step.octet.eq(octet)]
        self.sync += [
            If(
                held,
                If(fields.raw, *moved(SUM_BYTES, whole[1], following[1])).Else(
                    *moved(1, whole[0], following[0])
                ),
            ),
            If(opening, place.eq(output.place), octet.eq(output.octet)),
        ]

    def _choose(self, fields, plan, parameters):
        """Each lane's parameters, a cycle after its step: of its channel, or the descriptor's."""
        layer = Record(parameter_layout(), name="layer")
        self.comb += [
            layer.multiplier.eq(fields.output_multiplier),
            layer.shift.eq(fields.output_shift),
        ]
        chosen = []
        for lane in parameters.lanes:
            record = Record(parameter_layout())
            self.comb += record.raw_bits().eq(Mux(plan.vector, layer.raw_bits(), lane.raw_bits()))
            chosen.append(record)
        return chosen

    def _scale(self, spec: SocSpec, fields, step, parameters):
        """The lanes' scales. A register takes the sums in every cycle, valid or not, and a second
        one takes those of a pixel. So no long path leads from their source to this many registers.
        """
        lanes, size = spec.requant_lanes, SUM_BITS * slots(spec)
        arriving, sums = Signal(size), Signal(size)
        arriving_sum, activation_sum = Signal(SUM_BITS), Signal(SUM_BITS)
        self.sync += [
            arriving.eq(self.sink.sums),
            arriving_sum.eq(self.sink.activation_sum),
            sums.eq(sums >> SUM_BITS * lanes),
            If(step.opens, sums.eq(arriving), activation_sum.eq(arriving_sum)),
        ]
        scales = []
        for lane, own in enumerate(parameters):
            scale = Scale(fields, spec.offset)
            self.add_module(f"scale{lane}", scale)
            self.comb += [
                scale.count.eq(sums[SUM_BITS * lane : SUM_BITS * (lane + 1)]),
                scale.activation_sum.eq(activation_sum),
                scale.parameters.bias.eq(own.bias),
                scale.parameters.multiplier.eq(own.multiplier),
                scale.parameters.shift.eq(own.shift),
            ]
            scales.append(scale)
        return scales

    def _add(self, plan, fields, scales):
        """The lanes' additions: of an add's two inputs, which arrive unscaled in `total`, or of a
        product's output and the residual."""
        additions = []
        for lane, scale in enumerate(scales):
            addition = Addition(fields, self.shares.entry)
            self.add_module(f"addition{lane}", addition)
            self.comb += [
                addition.first.eq(Mux(plan.add, scale.total[:8], scale.output)),
                addition.second.eq(
                    Mux(plan.add, scale.total[8:16], self.residual.octets[8 * lane : 8 * lane + 8])
                ),
            ]
            additions.append(addition)
        return additions

    def _write(self, spec: SocSpec, fields, scales, additions, steps, added, write):
        """Writes a step: the int8 outputs of its lanes, their sums, or those of their additions."""
        self.writer = writer = BankWriter(spec, fields.output_width, write)
        scaled, summed = steps
        self.comb += [
            writer.raw.eq(fields.raw),
            writer.sums.eq(Cat(*[scale.total for scale in scales])),
            If(
                added,
                writer.place.eq(summed.place),
                writer.octet.eq(summed.octet),
                writer.present.eq(summed.present),
                writer.octets.eq(Cat(*[addition.output for addition in additions])),
            ).Else(
                writer.place.eq(scaled.place),
                writer.octet.eq(scaled.octet),
                writer.present.eq(scaled.present),
                writer.octets.eq(Cat(*[scale.output for scale in scales])),
            ),
        ]
