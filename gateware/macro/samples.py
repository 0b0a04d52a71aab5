"""The row-selected form, P samples of a region a cycle (contract, section 5).

With the counter sequence or a table the samples of a region are known in advance, so P of them
are counted at once. With a row's levels (thresholds below its operands) la and lw its count is
T = #{u < la : v(u) < lw}, v a permutation. Hits are laid out along v; their prefix counts are the
same for all columns of a group, and a cell merely looks up its own level in them.
"""

from litex.gen import LiteXModule
from migen import C, Cat, If, Mux, Replicate, Signal, log2_int

from dscim.gateware.grid import Grid, TableGrid
from dscim.gateware.macro.encoder import ActivationEncoder, WeightEncoder
from dscim.gateware.macro.hits import Hits, TableHits
from dscim.gateware.macro.interface import BEAT_ROWS, Macro, stochastic_count_width
from dscim.gateware.macro.output import COUNTER_LATENCY, ColumnCounters, delay
from dscim.gateware.macro.weights import WeightMemory
from dscim.gateware.macro.window import Window
from dscim.gateware.specs import MacroSpec

CELL_LATENCY = 4
"""Cycles from the issue of a step to the cells' terms."""


class SelectedSamples(Macro):
    """P samples of the region's row a cycle: counter sequence, P = 2..S; a table, P = 2..S/2.

    A product takes G cycles for each P of its n samples, and G where n is less than P. A table
    is computed for n up to P.

    Stages: 0 issue, the rows' activation levels selected; 1 hits, weights read; 2 prefix counts,
    the weights' level in this chunk; 3 look-up; then the column counters.
    """

    def __init__(self, spec: MacroSpec):
        super().__init__(spec, stochastic_count_width(spec))
        lanes_log2 = log2_int(spec.lanes)
        region_bits = log2_int(spec.or_width)

        # # #

        side_log2 = log2_int(spec.side)
        self.grid = grid_a = build_grid(spec, 0)
        grid_w = grid_a
        if spec.sequence.table:
            self.weight_grid = grid_w = build_grid(spec, 1)
        self.comb += [grid.samples_log2.eq(self.samples_log2)
                      for grid in dict.fromkeys((grid_a, grid_w))]
        self.window = Window(
            spec, [ActivationEncoder(self.config, spec.signed) for _ in range(BEAT_ROWS)],
            side_log2, lambda magnitude: grid_a.level(magnitude[-side_log2:]))
        self.store = WeightMemory(
            spec, [WeightEncoder(self.config, spec.signed) for _ in range(spec.columns)],
            side_log2 + 1, lambda magnitude: grid_w.scaled_level(magnitude[-side_log2:]))

        chunks_log2 = Signal(3)
        self.comb += chunks_log2.eq(Mux(self.samples_log2 > lanes_log2,
                                        self.samples_log2 - lanes_log2, 0))
        self.schedule(self.window, self.store, spec.or_width*spec.side//spec.lanes,
                      (spec.or_width << chunks_log2) - 1,
                      CELL_LATENCY + COUNTER_LATENCY, spec.or_width)
        self._cells(region_bits, log2_int(spec.side) - lanes_log2)

    def _cells(self, region_bits: int, chunk_bits: int):
        """The pipeline from the issued step to the column counters."""
        spec, sequencer = self.spec, self.sequencer
        region = sequencer.step[:region_bits]
        chunk = sequencer.step[region_bits:] if chunk_bits else Signal()
        region1, chunk1 = delay(self, [region, chunk])
        odd1 = Signal()
        self.comb += [self.store.region.eq(region1),
                      odd1.eq(region1[0] ^ region1[region_bits//2])]
        odd2, chunk2 = delay(self, [odd1, chunk1])
        floor2 = Signal.like(chunk)                     # a weight's low part above it counts
        self.comb += floor2.eq(Cat(*[bit ^ odd2 for bit in reversed(list(chunk2))]))
        terms: list[list[Signal]] = [[] for _ in range(spec.columns)]
        active2, = delay(self, [sequencer.active], 2)
        active3, = delay(self, [active2])
        for group in range(spec.groups):
            row = self.window.selected(group, spec.or_width, region)
            front = GroupFront(spec, row, self._hits(chunk1, odd1))
            self.add_module(f"group{group}", front)
            for column, column_terms in enumerate(terms):
                cell = self.store.cell(group, column)
                column_terms.append(self._cell(front, cell, floor2, chunk_bits,
                                               (active2, active3)))
        self.counters = counters = ColumnCounters(terms, spec.groups*spec.lanes, self.count_width)
        self.comb += Cat(counters.valid, counters.first, counters.last).eq(Cat(
            *delay(self, [sequencer.active, sequencer.first, sequencer.last], CELL_LATENCY)))
        self.deliver(counters)

    def _hits(self, chunk, odd):
        """A group's hits, connected but for the level."""
        spec = self.spec
        if spec.sequence.table:
            hits = TableHits(spec.side, spec.lanes, spec.sequence.table)
            self.comb += hits.samples_log2.eq(self.samples_log2)
        else:
            hits = Hits(spec.side, spec.lanes)
            self.comb += [hits.chunk.eq(chunk), hits.odd.eq(odd)]
        return hits

    def _cell(self, front, cell, floor, chunk_bits: int, active):
        """A column's signed count of a group's row: the prefix count at the weight's level.

        active: stages 2 and 3 hold a step. An idle cell keeps still, which costs a board no
        power and a simulator no time.
        """
        bits = log2_int(self.spec.lanes) + 1
        level, negative = Signal(bits), Signal()
        count, term = Signal(bits), Signal((bits + 1, True))
        whole = cell[chunk_bits:-1]
        carry = cell[:chunk_bits] > floor if chunk_bits else 0
        self.sync += [
            If(active[0], level.eq(whole + carry), negative.eq(cell[-1] ^ front.sign)),
            If(active[1], term.eq((count ^ Replicate(negative, bits + 1)) + negative))]
        # level P wraps to entry 0, which is 0; gates, not choices: a simulator predicts no branch
        self.comb += count.eq(front.lookup(level[:-1])
                              | (Replicate(level[-1], bits) & front.passed))
        return term


def build_grid(spec: MacroSpec, axis: int):
    """The levels of an axis, 0 the activations' and 1 the weights'; alike but for a table."""
    if not spec.sequence.table:
        return Grid(spec.side)
    return TableGrid(spec.side, spec.sequence.table, axis, spec.most_samples,
                     log2_int(spec.side//spec.lanes))


class GroupFront(LiteXModule):
    """What all columns of a group share: the prefix counts of the selected row's hits.

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | row    | in  | stage 0: level and sign (top bit) of the selected activation       |
    | hits   | in  | stage 1: `Hits` of the group, without its level                    |
    | sign   | out | stage 2: sign of the activation                                    |
    | prefix | out | stage 3: hits below v for v = 0..P-1, each in `entry` bits         |
    | passed | out | stage 3: all hits, 0..P                                            |
    """

    def __init__(self, spec: MacroSpec, row, hits):
        lanes, lanes_log2 = spec.lanes, log2_int(spec.lanes)
        self.entry_log2 = bits_log2 = (lanes_log2 - 1).bit_length()
        self.prefix = Signal(lanes << bits_log2)
        self.passed = Signal(lanes_log2 + 1)

        # # #

        row1, = delay(self, [row])
        self.hits = hits
        self.comb += hits.level.eq(row1[:-1])
        hits2, passed2, self.sign = delay(self, [hits.hits, hits.passed, row1[-1]])
        entries = [Signal(1 << bits_log2) for _ in range(lanes)]
        self.comb += [entry.eq(count) for entry, count in zip(
            entries, prefix_counts(self, hits2), strict=True)]
        self.sync += [self.passed.eq(passed2), self.prefix.eq(Cat(*entries))]

    def lookup(self, level):
        """The prefix count at a level below P: an expression to assign to log2 P + 1 bits."""
        scaled = Cat(C(0, self.entry_log2), level) if self.entry_log2 else level
        return (self.prefix >> scaled) & ((1 << (1 << self.entry_log2)) - 1)


def prefix_counts(module, bits):
    """For every v below len(bits) the number of ones below v; in log depth (Sklansky)."""
    counts = [bits[v] for v in range(len(bits))]        # counts[v]: ones in v's block up to v
    size = 1
    while size < len(bits):
        for start in range(size, len(bits), 2*size):
            below = counts[start - 1]
            for v in range(start, start + size):
                total = Signal(size.bit_length() + 1)
                module.comb += total.eq(counts[v] + below)
                counts[v] = total
        size *= 2
    return [C(0, 1), *counts[:-1]]
