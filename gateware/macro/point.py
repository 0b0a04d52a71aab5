"""The row-selected form with one point per cycle, for any sequence (contract, section 5)."""

from migen import Array, C, Cat, Replicate, Signal, log2_int

from dscim.gateware.logic import delayed_all
from dscim.gateware.macro.encoder import ActivationEncoder
from dscim.gateware.macro.interface import Macro, stochastic_count_width
from dscim.gateware.macro.output import COUNTER_LATENCY, ColumnCounters
from dscim.gateware.macro.slices import count_columns, greater
from dscim.gateware.macro.taken import TakenRows
from dscim.gateware.macro.weights import WeightInput, WeightMemory
from dscim.gateware.macro.window import StochasticOperands, Window
from dscim.gateware.prng import build_prng
from dscim.gateware.specs import MacroSpec

LATENCY = 2
"""Cycles from the issue of a step to its terms at the column counters."""


class SelectedPoint(Macro):
    """One point per cycle, which selects one row of every group; L cycles per product.

    Stages: 0 the point and its region, the rows' activations are selected, weights read; 1 the two
    comparisons; then ones are counted and column counters add.
    """

    def __init__(self, spec: MacroSpec, words: int):
        super().__init__(spec, words, stochastic_count_width(spec))
        bits = log2_int(spec.side)

        # # #

        banks = self.banks
        self.encoder = encoder = ActivationEncoder(spec.signed, banks.window_config)
        self.operands = operands = StochasticOperands(
            spec, encoder, bits, lambda module, value, n: value[8 - bits :]
        )
        self.window = window = Window(spec, words, operands, banks)
        self.source = source = WeightInput(spec)
        kept = [*source.slices[8 - bits : 8], *source.slices[8:]]
        self.store = WeightMemory(spec, banks, source.source, kept, 1)
        self.taken = TakenRows(spec, window, banks, [])
        samples_log2 = banks.config.samples_log2
        self.schedule(
            window,
            source,
            spec.or_width * spec.max_samples,
            (spec.or_width << samples_log2) - 1,
            LATENCY + COUNTER_LATENCY,
            spec.or_width,
        )
        sequencer = self.sequencer
        self.prng = prng = build_prng(spec.sequence, spec.or_width, 1)
        self.comb += [
            prng.samples_log2.eq(samples_log2),
            prng.restart.eq(sequencer.start),
            prng.advance.eq(sequencer.active),
        ]
        up, down = self._hits(*prng.points[0], bits)
        self.counters = counters = ColumnCounters(
            [[plus, -minus] for plus, minus in zip(up, down, strict=True)],
            spec.groups,
            self.count_width,
        )
        self.deliver(counters, LATENCY)

    def _hits(self, r_a, r_w, bits: int):
        """For each column, a point's positive hits in all groups, and the negative ones, two cycles
        later."""
        spec = self.spec
        region = Signal(log2_int(spec.or_width))
        self.comb += [region.eq(Cat(r_w[bits:], r_a[bits:])), self.store.address.eq(region)]
        within_a, within_w = delayed_all(self, [r_a[:bits], r_w[:bits]])
        positive, negative = [], []
        for rows, (word,) in zip(self.taken.groups, self.store.words, strict=True):
            row, stored = Signal(self.window.width), Signal(len(word))
            self.sync += [row.eq(Array(rows)[region]), stored.eq(word)]
            operand, sign = self.operands.parts(row)
            weights = [stored[k * spec.columns : (k + 1) * spec.columns] for k in range(bits)]
            signs = stored[bits * spec.columns :] if "split" in spec.signed else C(0, spec.columns)
            above = greater(
                self, weights, [Replicate(within_w[k], spec.columns) for k in range(bits)]
            )
            hits, minus = Signal(spec.columns), Signal(spec.columns)
            self.comb += [
                hits.eq(above & Replicate(operand > within_a, spec.columns)),
                minus.eq(signs ^ Replicate(sign, spec.columns)),
            ]
            plus_bits, minus_bits = Signal(spec.columns), Signal(spec.columns)
            self.sync += [plus_bits.eq(hits & ~minus), minus_bits.eq(hits & minus)]
            positive.append(plus_bits)
            negative.append(minus_bits)
        return tuple(count_columns(self, bits, spec.columns) for bits in (positive, negative))
