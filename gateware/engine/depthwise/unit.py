"""The depthwise unit: its column tiles, and its sums on their way to the requantiser."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Array, Cat, If, Mux, NextState, NextValue, Signal, bits_for

from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.engine.depthwise.loader import KernelLoader, chunk_bits
from dscim.gateware.engine.depthwise.sums import ROWS, PairSums, sum_bits
from dscim.gateware.engine.depthwise.walker import PairWalker, beat_layout, rows_together
from dscim.gateware.engine.tiles import slots
from dscim.gateware.grid import chosen
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

IN_FLIGHT = 16
"""Beats between the walker and the products, and more."""


class DepthwiseUnit(LiteXModule):
    """Runs a CHANNELWISE: column tile by column tile, whose weights are loaded first.

    | port         | dir | meaning                                                          |
    |--------------|-----|------------------------------------------------------------------|
    | start        | in  | pulse: a layer begins; only if it is one of this unit            |
    | fields, plan | in  | the layer's                                                      |
    | source       | out | stream: read_layout                                              |
    | levels       | in  | stream: values, the levels and signs of the words that were read |
    | sums         | out | stream: sums_layout                                              |
    | busy         | out | not all sums have left                                           |
    | loading      | out | weights are loaded                                               |
    | computing    | out | a step of products is issued                                     |

    read: the read port of the weight memory. level_bits: bits of a level.
    """

    def __init__(self, spec: SocSpec, fields, plan, read, level_bits: int):
        self.start = Signal()
        self.sums = stream.Endpoint(sums_layout(spec))
        self.busy = Signal()
        self.loading = Signal()
        self.computing = Signal()

        # # #

        together, rows_log2 = rows_together(self, spec, plan.planes)
        last_chunk = Signal(max(1, chunk_bits(spec)))
        steps = [max(1, (1 << k) // spec.depthwise) for k in range(8)]
        most = 1 << chunk_bits(spec)
        self.sync += last_chunk.eq(
            chosen(fields.samples_log2, [min(count, most) - 1 for count in steps])
        )
        self.walker = walker = PairWalker(spec, fields, plan, together)
        self.loader = loader = KernelLoader(spec, fields, plan, last_chunk, read)
        self.products = products = PairSums(
            spec, fields, rows_log2, last_chunk, loader.written, level_bits
        )
        self.source, self.levels = walker.source, products.levels
        self.beats = beats = stream.SyncFIFO(beat_layout(), IN_FLIGHT, buffered=False)
        self.comb += [
            walker.beats.connect(beats.sink),
            beats.source.connect(products.beats),
            walker.start.eq(self.start),
            self.computing.eq(products.computing),
        ]
        channels, opens = Signal(12), Signal()
        emitting = self._emit(spec, products.source, channels, opens)
        drained = walker.ready & ~beats.source.valid & ~products.busy
        self.fsm = fsm = FSM(reset_state="IDLE")
        self.comb += [
            self.busy.eq(~fsm.ongoing("IDLE") | emitting),
            self.loading.eq(fsm.ongoing("LOAD")),
        ]
        wide = WORD_BYTES * spec.banks
        fsm.act(
            "IDLE",
            NextValue(loader.base, fields.weight_base),
            NextValue(channels, fields.outputs),
            If(self.start, loader.start.eq(1), NextState("LOAD")),
        )
        fsm.act(
            "LOAD",
            If(
                ~loader.busy & walker.ready,
                walker.begin.eq(1),
                NextState("WALK"),
            ),
        )
        fsm.act(
            "WALK",
            If(
                drained,
                NextValue(channels, channels - wide),
                NextValue(loader.base, loader.base + fields.weight_rows),
                If(channels <= wide, NextState("IDLE")).Else(NextState("NEXT")),
            ),
        )
        fsm.act("NEXT", loader.start.eq(1), NextState("LOAD"))
        self.sync += [
            If(products.source.valid & products.source.ready, opens.eq(0)),
            If(walker.begin, opens.eq(1)),
        ]

    def _emit(self, spec: SocSpec, source, channels, opens):
        """Keeps the sums of a window, and hands them on in parts. Returns whether there are any."""
        sums, width = self.sums, sum_bits(spec)
        lanes = WORD_BYTES * spec.banks
        size = min(slots(spec), lanes)
        groups = lanes // size
        held = [Signal(lanes * width, name=f"held{row}") for row in range(ROWS)]
        full, second, first = Signal(), Signal(), Signal()
        row, group, left = Signal(), Signal(max=max(2, groups)), Signal(12)
        tile = Signal(bits_for(lanes))
        self.comb += tile.eq(Mux(channels > lanes, lanes, channels))
        total = Signal(12)
        pixel_ends, ends = Signal(), Signal()
        parts = [
            sums_[k * size * width : (k + 1) * size * width]
            for sums_ in held
            for k in range(groups)
        ]
        part, wide = Signal(size * width), []
        self.comb += part.eq(Array(parts)[Cat(group, row) if groups > 1 else row])
        for slot in range(size):
            narrow, value = Signal((width, True)), Signal((SUM_BITS, True))
            self.comb += [narrow.eq(part[slot * width : (slot + 1) * width]), value.eq(narrow)]
            wide.append(value)
        moved = sums.valid & sums.ready
        self.comb += [
            pixel_ends.eq(left <= size),
            ends.eq(pixel_ends & (row == second)),
            sums.valid.eq(full),
            sums.sums.eq(Cat(*wide)),
            sums.opens.eq(first),
            sums.width.eq(Mux(pixel_ends, left, size)),
            sums.follows.eq(group != 0),
            sums.second.eq(row),
            sums.stays.eq(row != second),
            source.ready.eq(~full | (moved & ends)),
        ]
        self.sync += [
            If(
                moved,
                first.eq(0),
                group.eq(group + 1),
                left.eq(left - size),
                If(pixel_ends, group.eq(0), left.eq(total), row.eq(1)),
                If(ends, full.eq(0)),
            ),
            If(
                source.valid & source.ready,
                full.eq(1),
                *[own.eq(getattr(source, f"sums{k}")) for k, own in enumerate(held)],
                second.eq(source.second),
                first.eq(opens),
                row.eq(0),
                group.eq(0),
                left.eq(tile),
                total.eq(tile),
            ),
        ]
        return full
