"""The paper's circuit: generators for every row, AND gates, OR trees, column counters."""

from litex.gen import LiteXModule
from migen import C, Cat, Signal, log2_int

from dscim.gateware.logic import any_of, delayed_all
from dscim.gateware.macro.encoder import ActivationEncoder
from dscim.gateware.macro.interface import Macro, stochastic_count_width
from dscim.gateware.macro.output import COUNTER_LATENCY, ColumnCounters
from dscim.gateware.macro.slices import count_columns, sum_slices
from dscim.gateware.macro.sng import PointSlices, RowGenerators
from dscim.gateware.macro.taken import TakenRows
from dscim.gateware.macro.weights import WeightInput, WeightRegisters
from dscim.gateware.macro.window import StochasticOperands, Window
from dscim.gateware.prng import build_prng
from dscim.gateware.specs import MacroSpec


class OrGroup(LiteXModule):
    """The OR trees of one group of G rows: one for positive products, one for negative ones.

    | port     | dir | meaning                                                  |
    |----------|-----|----------------------------------------------------------|
    | rows     | in  | G `RowGenerators`                                        |
    | positive | out | OR of the rows' bits with a positive product             |
    | negative | out | OR of the rows' bits with a negative product             |
    """

    def __init__(self, rows):
        self.rows = rows
        self.positive = Signal.like(rows[0].bits)
        self.negative = Signal.like(rows[0].bits)

        # # #

        self.comb += [
            self.positive.eq(any_of([row.bits & ~row.negative for row in rows])),
            self.negative.eq(any_of([row.bits & row.negative for row in rows])),
        ]


LATENCY = 1
"""Cycles from the issue of a step to its terms at the column counters."""


class Array(Macro):
    """P points per cycle for every row, with any sequence; L/P cycles per product.

    Stages: 0 points, generators, AND and OR; then ones are counted and column counters add.
    `groups` (a list of `OrGroup`) is public, for the monitor and for proofs.
    """

    def __init__(self, spec: MacroSpec, words: int):
        super().__init__(spec, words, stochastic_count_width(spec))
        bits = log2_int(spec.side)

        # # #

        banks = self.banks
        encoder = ActivationEncoder(spec.signed, banks.window_config)
        self.encoder = encoder
        self.operands = operands = StochasticOperands(
            spec, encoder, bits, lambda module, value, n: value[8 - bits :]
        )
        self.window = window = Window(spec, words, operands, banks)
        self.source = source = WeightInput(spec)
        kept = [*source.slices[8 - bits : 8], *source.slices[8:]]
        self.store = WeightRegisters(spec, banks, source.source, kept)
        self.taken = TakenRows(spec, window, banks, [])
        length = Signal(log2_int(spec.or_width * spec.max_samples) + 1)
        samples_log2 = banks.config.samples_log2
        self.comb += [
            self.store.copy.eq(banks.swap),
            length.eq(spec.or_width << samples_log2),  # as wide as L: Verilog cuts shifts
        ]
        self.schedule(
            window,
            source,
            max(2, spec.or_width * spec.max_samples // spec.lanes),
            (length >> log2_int(spec.lanes)) - 1,
            LATENCY + COUNTER_LATENCY,
            max(1, spec.or_width // spec.lanes),
        )
        sequencer = self.sequencer
        self.prng = prng = build_prng(spec.sequence, spec.or_width, spec.lanes)
        self.comb += [
            prng.samples_log2.eq(samples_log2),
            prng.restart.eq(sequencer.start),
            prng.advance.eq(sequencer.active),
        ]
        self.slices = PointSlices(prng.points, spec.side, spec.columns)
        self.groups = [self._group(group) for group in range(spec.groups)]
        up = self._ones([group.positive for group in self.groups])
        down = self._ones([group.negative for group in self.groups])
        self.counters = counters = ColumnCounters(
            [[plus, -minus] for plus, minus in zip(up, down, strict=True)],
            spec.groups * spec.lanes,
            self.count_width,
        )
        self.deliver(counters, LATENCY)

    def _group(self, group: int) -> OrGroup:
        rows = []
        for r in range(self.spec.or_width):
            row = group * self.spec.or_width + r
            i, j = divmod(r, len(self.slices.region_a))
            operand, sign = self.operands.parts(self.taken.groups[group][r])
            weights = list(self.store.slices[row])
            if "split" not in self.spec.signed:
                weights.append(C(0, self.spec.columns))
            generators = RowGenerators(self.slices, operand, sign, weights, i, j)
            self.add_module(f"generators{row}", generators)
            rows.append(generators)
        or_group = OrGroup(rows)
        self.add_module(f"group{group}", or_group)
        return or_group

    def _ones(self, vectors):
        """For each column the number of ones in the groups' vectors, a cycle later."""
        return count_columns(self, delayed_all(self, vectors), self.spec.columns)


class ExclusiveRows(LiteXModule):
    """Monitors an array: at most one row of a group fires, and OR is the sum of the row bits.

    | port      | dir | meaning                                          |
    |-----------|-----|--------------------------------------------------|
    | violation | out | a point of this cycle violates one of the two    |
    """

    def __init__(self, groups, active):
        self.violation = Signal()

        # # #

        wrong = []
        for group in groups:
            fired = sum_slices(self, [[row.bits] for row in group.rows])
            trees = Signal.like(group.positive)
            both = Signal.like(group.positive)
            self.comb += [
                trees.eq(group.positive | group.negative),
                both.eq(group.positive & group.negative),
            ]
            wrong += [fired[0] != trees, both != 0, *[bits != 0 for bits in fired[1:]]]
        self.comb += self.violation.eq(active & (Cat(*wrong) != 0))
