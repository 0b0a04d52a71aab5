"""The layer engine: runs descriptors one after the other.

A layer's row tiles are issued to three parts that work at their own pace: the loader brings their
weights to the macro while it still computes the tile before; the walker reads their windows; the
accumulator adds up their products. Streams hold back whoever is ahead.
"""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Cat, If, Mux, NextState, NextValue, Record, Signal

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.accumulator import Accumulator
from dscim.gateware.engine.addresses import move_layout, read_layout
from dscim.gateware.engine.depthwise import DepthwiseUnit
from dscim.gateware.engine.loader import WeightLoader
from dscim.gateware.engine.reader import Aligner, MemoryReader
from dscim.gateware.engine.requantise import Requantiser
from dscim.gateware.engine.setup import Setup
from dscim.gateware.engine.tiles import Tiles, tile_layout
from dscim.gateware.engine.units import Units
from dscim.gateware.engine.vector import TapWalker
from dscim.gateware.engine.walker import WindowWalker
from dscim.gateware.registers import PLACE_BITS, ErrorCode
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

EVENTS = ("busy", "computing", "weights", "activations", "vector", "product")
"""The events that are counted, one bit each: see the registers of these names."""

DRAIN = 64
"""Cycles after `busy` in which the engine's pipelines may still move. Then it waits for `start`."""

AHEAD = 4
"""Row tiles that wait for each part of the engine."""


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
        depthwise = Signal()
        self.sync += depthwise.eq(fields.operation == Operation.DEPTHWISE)
        self.begin = Signal()  # a layer begins
        self.tiles = Tiles(spec, fields, plan)
        self.walker = WindowWalker(spec, fields, plan, depthwise)
        self.taps = TapWalker(spec, fields, plan)
        weights = memories["weights"].read
        own = Record(weights.layout) if spec.depthwise else weights
        self.loader = WeightLoader(spec, fields, plan.read_planes, depthwise, own)
        self.units = Units(spec, fields, plan)
        self.accumulator = Accumulator(spec)
        self.requantiser = Requantiser(
            spec, fields, plan, memories["parameters"].read, memories["activations"].write
        )
        self.comb += [
            *[part.start.eq(self.begin) for part in self._parts()],
            self.tiles.start.eq(self.begin & ~plan.apart),
        ]
        self.apart = self._depthwise(spec, fields, plan, weights, own) if spec.depthwise else None
        self._issue_tiles(spec, plan)
        self._connect_windows(spec, fields, plan, memories["activations"])
        self._connect_sums(spec, plan)
        self.fsm = fsm = FSM(reset_state="IDLE")
        self._run_descriptors(fsm, plan)
        self._connect_events(fsm, plan)

    def _parts(self):
        """The parts that need to know when a layer begins, whatever it is."""
        return self.walker, self.taps, self.requantiser

    def _depthwise(self, spec: SocSpec, fields, plan, weights, own):
        """The depthwise unit. It shares the weights' read port, `own` being the loader's, and takes
        words from the first macro, which encodes them."""
        read, levels = Record(weights.layout), self.units.levels
        width = len(levels.values) // (WORD_BYTES * spec.banks)
        apart = DepthwiseUnit(spec, fields, plan, read, width - 1)
        self.comb += [
            apart.start.eq(self.begin & plan.apart),
            levels.connect(apart.levels),
            weights.adr.eq(Mux(plan.apart, read.adr, own.adr)),
            weights.re.eq(Mux(plan.apart, read.re, own.re)),
            read.dat_r.eq(weights.dat_r),
            own.dat_r.eq(weights.dat_r),
        ]
        return apart

    def _issue_tiles(self, spec: SocSpec, plan):
        """Each row tile to the parts that work on it, all at once."""
        names = ("loading", "walking", "tapping", "adding", "vectors")
        queues = {}
        for name in names:
            queues[name] = queue = stream.SyncFIFO(tile_layout(spec), AHEAD, buffered=False)
            self.add_module(name, queue)
        products = [queues[name] for name in ("loading", "walking", "adding")]
        vectors = [queues[name] for name in ("tapping", "vectors")]
        source, ready = self.tiles.source, Signal()
        self.comb += [
            ready.eq(
                Mux(
                    plan.vector,
                    Cat(*[queue.sink.ready for queue in vectors]) == 0b11,
                    Cat(*[queue.sink.ready for queue in products]) == 0b111,
                )
            ),
            source.ready.eq(ready),
        ]
        for wanted, group in ((~plan.vector, products), (plan.vector, vectors)):
            for queue in group:
                self.comb += [
                    source.connect(queue.sink, omit={"valid", "ready"}),
                    queue.sink.valid.eq(source.valid & ready & wanted),
                ]
        self.comb += [
            self.loading.source.connect(self.loader.tiles),
            self.walking.source.connect(self.walker.tiles),
            self.tapping.source.connect(self.taps.tiles),
            self.adding.source.connect(self.accumulator.tiles),
        ]

    def _connect_windows(self, spec: SocSpec, fields, plan, memory):
        """walkers -> memory -> aligner -> units."""
        companions = [*read_layout(spec)[1:], *move_layout(spec)]
        residual = self.requantiser.residual_read
        shared = memory.second is None
        self.reader = reader = MemoryReader(memory.read, companions, residual if shared else None)
        self.aligner = Aligner(spec)
        if not shared:
            self.comb += [
                memory.second.adr.eq(residual.adr),
                memory.second.re.eq(residual.re),
                residual.dat_r.eq(memory.second.dat_r),
            ]
        self.comb += [
            If(plan.vector, self.taps.source.connect(reader.sink)).Else(
                self.walker.source.connect(reader.sink)
            ),
            reader.source.connect(self.aligner.sink),
            self.aligner.zero_point.eq(fields.input_zero),
            self.aligner.source.connect(self.units.words),
            self.loader.source.connect(self.units.weights),
        ]
        if self.apart is not None:
            self.comb += If(plan.apart, self.apart.source.connect(reader.sink))

    def _connect_sums(self, spec: SocSpec, plan):
        """Products through the accumulator to the requantiser; vectors straight to it."""
        sink, vectors, tiles = self.requantiser.sink, self.units.vectors, self.vectors.source
        left = Signal.like(tiles.pixels)
        self.comb += [
            self.units.products.connect(self.accumulator.sink),
            If(
                plan.vector,
                sink.valid.eq(vectors.valid & tiles.valid),
                sink.sums.eq(vectors.sums),
                sink.opens.eq(tiles.opens & (left == 0)),
                sink.width.eq(tiles.width),
                vectors.ready.eq(sink.ready & tiles.valid),
                tiles.ready.eq(sink.valid & sink.ready & (left == tiles.pixels - 1)),
            ).Else(self.accumulator.source.connect(sink)),
        ]
        if self.apart is not None:
            self.comb += If(plan.apart, self.apart.sums.connect(sink))
        self.sync += If(
            plan.vector & sink.valid & sink.ready,
            left.eq(Mux(tiles.ready, 0, left + 1)),
        )

    def _connect_events(self, fsm, plan):
        """The events that are counted."""
        events, units, loader = self.events, self.units, self.loader
        running = fsm.ongoing("RUN") & ~plan.vector
        computing, loading = Signal(), Signal()
        waits = running & ~computing
        apart = self.apart
        self.comb += [
            self.busy.eq(~fsm.ongoing("IDLE")),
            events.busy.eq(self.busy),
            computing.eq(units.computing | (apart.computing if apart else 0)),
            loading.eq(loader.tiles.valid | (apart.loading if apart else 0)),
            events.computing.eq(computing),
            events.weights.eq(waits & loading),
            events.activations.eq(waits & ~loading),
            events.vector.eq(fsm.ongoing("RUN") & plan.vector),
            events.product.eq(self.accumulator.sink.valid & self.accumulator.sink.ready),
        ]

    def _run_descriptors(self, fsm, plan):
        """From descriptor to descriptor: set up, then run the layer until everything is written."""
        left = Signal(PLACE_BITS)
        working = (
            self.tiles.busy
            | self.adding.source.valid
            | self.vectors.source.valid
            | self.accumulator.busy
            | ~self.requantiser.idle
            | (self.apart.busy if self.apart is not None else 0)
        )
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
                    self.begin.eq(1), NextState("RUN")
                ),
            ),
        )
        fsm.act(
            "RUN",
            If(
                ~working,
                NextValue(left, left - 1),
                If(left == 1, NextState("IDLE")).Else(
                    NextValue(self.place, self.place + 1), NextState("NEXT")
                ),
            ),
        )
        fsm.act("NEXT", self.setup.start.eq(1), NextState("SETUP"))
