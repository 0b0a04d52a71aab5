"""The layer engine: runs descriptors one after the other."""

from litex.gen import LiteXModule
from migen import FSM, If, NextState, NextValue, Record, Signal

from dscim.gateware.engine.accumulator import Accumulator
from dscim.gateware.engine.loops import Loops
from dscim.gateware.engine.position import Position
from dscim.gateware.engine.reader import Aligner, MemoryReader, WeightLoader
from dscim.gateware.engine.requantise import Requantiser
from dscim.gateware.engine.setup import Setup
from dscim.gateware.engine.units import Units
from dscim.gateware.engine.walker import WindowWalker, beat_layout
from dscim.gateware.registers import PLACE_BITS, ErrorCode
from dscim.gateware.specs import SocSpec

EVENTS = ("busy", "computing", "weights", "activations", "vector", "product")
"""The events that are counted, one bit each: see the registers of these names."""

DRAIN = 64
"""Cycles after `busy` in which the engine's pipelines may still move. Then it waits for `start`."""


class Engine(LiteXModule):
    """Fetches windows, feeds a macro with row tiles, accumulates, requantises and writes outputs.

    | port     | dir | meaning                                                               |
    |----------|-----|-----------------------------------------------------------------------|
    | start    | in  | pulse, when not busy: run `count` descriptors from `first`            |
    | first    | in  | place of the first descriptor                                         |
    | count    | in  | number of descriptors                                                 |
    | busy     | out | a layer is running                                                    |
    | error    | out | ErrorCode of the rejected descriptor; cleared by the next start       |
    | place    | out | the descriptor that is running, ran last or was rejected              |
    | events   | out | EVENTS, each high in the cycles to be counted                         |

    memories: the `WindowedMemory` instances, by name.
    """

    def __init__(self, spec: SocSpec, memories):
        self.start = Signal()
        self.first = Signal(PLACE_BITS)
        self.count = Signal(PLACE_BITS)
        self.busy = Signal()
        self.error = Signal(4)
        self.place = Signal(PLACE_BITS)
        self.events = Record([(name, 1) for name in EVENTS])

        # # #

        self.setup = setup = Setup(spec, memories["descriptors"].read)
        fields, plan = setup.fields, setup.plan
        self.loops = Loops(spec, fields, plan)
        self.position = Position(fields, plan)
        self.walker = WindowWalker(spec, fields, plan, self.position)
        self.loader = WeightLoader(spec, memories["weights"].read)
        self.units = Units(spec, fields, plan)
        self.accumulator = Accumulator(spec)
        self.requantiser = Requantiser(
            spec, fields, plan, memories["parameters"].read, memories["activations"].write
        )
        self._connect_windows(spec, fields, memories["activations"].read)
        self._connect_products(plan)
        self._connect_loops()
        self.fsm = fsm = FSM(reset_state="IDLE")
        self._run_descriptors(fsm)
        self._run_row_tiles(fsm, plan)
        self._connect_events(plan)

    def _connect_windows(self, spec, fields, read):
        """walker -> memory -> aligner -> unit."""
        self.reader = MemoryReader(read, beat_layout(spec), self.requantiser.residual_read)
        self.aligner = Aligner(spec)
        self.comb += [
            self.walker.source.connect(self.reader.sink),
            self.reader.source.connect(self.aligner.sink),
            self.aligner.zero_point.eq(fields.input_zero),
            self.aligner.source.connect(self.units.activations),
            self.loader.source.connect(self.units.weights),
        ]

    def _connect_products(self, plan):
        """unit -> accumulator -> requantiser, each pixel's outputs after those of the last."""
        drain = self.requantiser.sink
        adr = Signal.like(drain.adr)
        self.comb += [
            self.units.sums.connect(self.accumulator.sink),
            self.accumulator.source.connect(drain),
            drain.begin.eq(self.loops.output_first),
            drain.end.eq(self.loops.output_end),
            drain.adr.eq(adr),
        ]
        self.sync += [
            If(drain.valid & drain.ready, adr.eq(adr + plan.output_pixel_words)),
            If(self.walker.start, adr.eq(self.loops.output_adr)),
        ]

    def _connect_loops(self):
        loops = self.loops
        self.comb += [
            self.loader.adr.eq(loops.weight_adr),
            self.loader.rows.eq(loops.rows),
            self.walker.rows.eq(loops.rows),
            self.walker.pixels.eq(loops.pixels),
            self.walker.first.eq(loops.input_first),
            self.walker.inputs.eq(loops.inputs),
            self.accumulator.pixels.eq(loops.pixels),
            self.accumulator.first.eq(loops.first),
            self.accumulator.final.eq(loops.final),
        ]

    def _connect_events(self, plan):
        """The events that are counted."""
        events, units, fsm = self.events, self.units, self.fsm
        waiting = fsm.ongoing("WINDOWS") & ~units.computing
        self.comb += [
            self.busy.eq(~fsm.ongoing("IDLE")),
            events.busy.eq(self.busy),
            events.computing.eq(units.computing),
            events.weights.eq(fsm.ongoing("WEIGHTS") & ~units.computing & ~plan.vector),
            events.activations.eq(waiting & ~plan.vector),
            events.vector.eq(fsm.ongoing("WINDOWS") & plan.vector),
            events.product.eq(units.sums.valid & units.sums.ready & ~plan.vector),
        ]

    def _run_descriptors(self, fsm):
        """From descriptor to descriptor: set up, run the layer, flush."""
        left = Signal(PLACE_BITS)
        loops = self.loops
        self.comb += self.setup.place.eq(self.place)
        fsm.act(
            "IDLE",
            If(
                self.start & (self.count != 0),
                NextValue(self.place, self.first),
                NextValue(left, self.count),
                NextValue(self.error, ErrorCode.NONE.value),
                self.setup.start.eq(1),
                NextState("SETUP"),
            ),
        )
        fsm.act(
            "SETUP",
            If(
                self.setup.done,
                NextValue(self.error, self.setup.error),
                If(self.setup.error != ErrorCode.NONE.value, NextState("IDLE")).Else(
                    loops.start.eq(1),
                    self.position.reset.eq(1),
                    self.walker.rewind.eq(1),
                    NextState("TILE"),
                ),
            ),
        )
        fsm.act(
            "FLUSH",
            If(
                self.requantiser.idle,
                NextValue(left, left - 1),
                If(left == 1, NextState("IDLE")).Else(
                    NextValue(self.place, self.place + 1), NextState("NEXT")
                ),
            ),
        )
        fsm.act("NEXT", self.setup.start.eq(1), NextState("SETUP"))

    def _run_row_tiles(self, fsm, plan):
        """From row tile to row tile: load its weights, if any, then compute its windows."""
        loops = self.loops
        fsm.act(
            "TILE",
            self.loader.start.eq(~plan.vector),
            self.accumulator.start.eq(1),
            self.position.restart.eq(1),
            NextState("WEIGHTS"),
        )
        fsm.act(
            "WEIGHTS",
            If(self.loader.done | plan.vector, self.walker.start.eq(1), NextState("WINDOWS")),
        )
        fsm.act(
            "WINDOWS",
            If(
                self.accumulator.done,
                loops.advance.eq(1),
                self.walker.rewind.eq(loops.final),
                self.position.commit.eq(loops.final & ~loops.column_final),
                self.position.reset.eq(loops.final & loops.column_final),
                NextState("TILE"),
                If(loops.final & loops.column_final & loops.layer_final, NextState("FLUSH")),
            ),
        )
