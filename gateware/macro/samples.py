"""The row-selected form with P samples of a region per cycle (contract, section 5).

With the counter sequence or a table, the samples of a region are known in advance, so P of them
are counted at once. Let la and lw be a row's levels, the numbers of thresholds below its operands.
Its count is T = #{u < la : v(u) < lw} with a permutation v. The hits are arranged along v. The
number of hits below each level is prepared once for all columns of a group, and a cell only looks
up its own level.
"""

from litex.gen import LiteXModule
from migen import Cat, If, Mux, Replicate, Signal, log2_int

from dscim.gateware.grid import Grid, TableGrid
from dscim.gateware.logic import delayed, delayed_all
from dscim.gateware.macro.encoder import ActivationEncoder, WeightEncoder
from dscim.gateware.macro.interface import BEAT_ROWS, Macro, stochastic_count_width
from dscim.gateware.macro.lookup import CounterLookup, TableLookup
from dscim.gateware.macro.output import COUNTER_LATENCY, ColumnCounters
from dscim.gateware.macro.slices import add_slices, greater
from dscim.gateware.macro.weights import SlicedWeightMemory
from dscim.gateware.macro.window import OperandWindow
from dscim.gateware.macro.window_store import WindowMemory
from dscim.gateware.specs import MacroSpec

CELL_LATENCY = 4
"""Cycles from the issue of a step to the cells' terms."""


class SelectedSamples(Macro):
    """P samples of the region's row per cycle: 2..S with the counter sequence, 2..S/2 with a table.

    A product takes G cycles for each P of its n samples, and G if n is less than P. With a table, n
    is at most P.

    Stages: 0 issue, the rows' activation levels are selected; 1 the number of samples that pass,
    weights read; 2 the lookup tables, the weights' levels in this chunk; 3 lookup; then the column
    counters.
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
        self.comb += [
            grid.samples_log2.eq(self.samples_log2) for grid in dict.fromkeys((grid_a, grid_w))
        ]
        self.window = OperandWindow(
            spec,
            [ActivationEncoder(self.config, spec.signed) for _ in range(BEAT_ROWS)],
            lambda magnitude: grid_a.level(magnitude[-side_log2:]),
            WindowMemory(spec, side_log2),
        )
        self.store = SlicedWeightMemory(
            spec,
            [WeightEncoder(self.config, spec.signed) for _ in range(spec.columns)],
            side_log2 + 1,
            lambda magnitude: grid_w.scaled_level(magnitude[-side_log2:]),
        )

        chunks_log2 = Signal(3)
        self.comb += chunks_log2.eq(
            Mux(self.samples_log2 > lanes_log2, self.samples_log2 - lanes_log2, 0)
        )
        self.schedule(
            self.window,
            self.store,
            spec.or_width * spec.side // spec.lanes,
            (spec.or_width << chunks_log2) - 1,
            CELL_LATENCY + COUNTER_LATENCY,
            spec.or_width,
        )
        self._cells(region_bits, log2_int(spec.side) - lanes_log2)

    def _cells(self, region_bits: int, chunk_bits: int):
        """The pipeline from the issued step to the column counters."""
        spec, sequencer = self.spec, self.sequencer
        region = sequencer.step[:region_bits]
        chunk = sequencer.step[region_bits:] if chunk_bits else Signal()
        region1, chunk1 = delayed_all(self, [region, chunk])
        odd1 = Signal()
        self.comb += [
            self.window.store.region.eq(region),
            self.store.region.eq(region1),
            odd1.eq(region1[0] ^ region1[region_bits // 2]),
        ]
        odd2, chunk2 = delayed_all(self, [odd1, chunk1])
        floor2 = Signal.like(chunk)  # a weight counts one more if its low part exceeds it
        self.comb += floor2.eq(Cat(*[bit ^ odd2 for bit in reversed(list(chunk2))]))
        active2 = delayed(self, sequencer.active, 2)
        active = [active2, delayed(self, active2)]
        terms: list[list[Signal]] = [[] for _ in range(spec.columns)]
        carries: list[list[Signal]] = [[] for _ in range(spec.columns)]
        for group, row in enumerate(self.window.store.rows):
            front = GroupFront(row, self._lookup(chunk1, odd1))
            self.add_module(f"group{group}", front)
            level, sign = self._level(self.store.slices(group), floor2, chunk_bits)
            slices, negative = self._terms(front, level, sign, active)
            for column in range(spec.columns):
                term = Signal((len(slices) + 1, True))
                self.comb += term.eq(Cat(*[bits[column] for bits in slices], negative[column]))
                terms[column].append(term)
                carries[column].append(negative[column])
        self.counters = counters = ColumnCounters(
            terms, spec.groups * (spec.lanes + 1), self.count_width, carries
        )
        self.deliver(counters, CELL_LATENCY)

    def _lookup(self, chunk, odd):
        """A group's lookup, connected except for the level."""
        spec = self.spec
        if spec.sequence.table:
            lookup = TableLookup(spec.side, spec.lanes, spec.sequence.table)
            self.comb += lookup.samples_log2.eq(self.samples_log2)
        else:
            lookup = CounterLookup(spec.side, spec.lanes)
            self.comb += [lookup.chunk.eq(chunk), lookup.odd.eq(odd)]
        return lookup

    def _level(self, slices, floor, chunk_bits: int):
        """Stage 2: the weights' levels in this chunk, 0..P, and signs, of all columns."""
        *operand, sign = slices
        level = operand[chunk_bits:]
        if chunk_bits:
            above = greater(
                self, operand[:chunk_bits], [Replicate(bit, self.spec.columns) for bit in floor]
            )
            level = add_slices(self, level, [above])[: len(level)]
        return level, sign

    def _terms(self, front, level, sign, active):
        """Stage 3: a group's counts of its row for all columns, bit-sliced and complemented where
        negative, and a vector of the negative ones.

        active: stages 2 and 3 hold a step. Idle cells do not switch, which saves power on a board
        and time in a simulator.
        """
        columns = self.spec.columns
        held, counts, terms = ([Signal(columns) for _ in level] for _ in range(3))
        negative, complemented = Signal(columns), Signal(columns)
        below = front.lookup.below(self, held[:-1])  # none for level P, which wraps
        self.sync += [
            If(
                active[0],
                negative.eq(sign ^ Replicate(front.sign, columns)),
                *[here.eq(bit) for here, bit in zip(held, level, strict=True)],
            ),
            If(
                active[1],
                complemented.eq(negative),
                *[term.eq(count ^ negative) for term, count in zip(terms, counts, strict=True)],
            ),
        ]
        self.comb += [
            count.eq(
                (below[k] if k < len(below) else 0)
                | (held[-1] & Replicate(front.lookup.passed[k], columns))
            )
            for k, count in enumerate(counts)
        ]
        return terms, complemented


def build_grid(spec: MacroSpec, axis: int):
    """The grid of an axis: 0 for activations, 1 for weights. Without a table both are equal."""
    if not spec.sequence.table:
        return Grid(spec.side)
    return TableGrid(
        spec.side, spec.sequence.table, axis, spec.max_samples, log2_int(spec.side // spec.lanes)
    )


class GroupFront(LiteXModule):
    """Shared by all columns of a group: the selected row's sign, and its hits to be looked up.

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | row    | in  | stage 0: level and sign (top bit) of the selected activation       |
    | sign   | out | stage 2: sign of the activation                                    |
    | lookup | -   | `CounterLookup` or `TableLookup`, connected except for the level   |
    """

    def __init__(self, row, lookup):
        row1 = delayed(self, row)
        self.lookup = lookup
        self.comb += lookup.level.eq(row1[:-1])
        self.sign = delayed(self, row1[-1])
