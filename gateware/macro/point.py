"""The row-selected form with one point per cycle, for any sequence (contract, section 5)."""

from migen import Cat, Replicate, Signal, log2_int

from dscim.gateware.logic import delayed_all
from dscim.gateware.macro.encoder import ActivationEncoder, WeightEncoder
from dscim.gateware.macro.interface import BEAT_ROWS, Macro, stochastic_count_width
from dscim.gateware.macro.output import COUNTER_LATENCY, ColumnCounters
from dscim.gateware.macro.slices import count_columns, greater
from dscim.gateware.macro.weights import SlicedWeightMemory
from dscim.gateware.macro.window import OperandWindow
from dscim.gateware.macro.window_store import WindowMemory
from dscim.gateware.prng import build_prng
from dscim.gateware.specs import MacroSpec


class SelectedPoint(Macro):
    """One point per cycle, which selects one row of every group; L cycles per product.

    Stages: 0 the point and its region, the rows' activations are selected, weights read; 1 the two
    comparisons; then ones are counted and column counters add.
    """

    def __init__(self, spec: MacroSpec):
        super().__init__(spec, stochastic_count_width(spec))
        bits = log2_int(spec.side)

        # # #

        self.window = OperandWindow(
            spec,
            [ActivationEncoder(self.config, spec.signed) for _ in range(BEAT_ROWS)],
            lambda value: value[8 - bits :],
            WindowMemory(spec, bits),
        )
        self.store = SlicedWeightMemory(
            spec,
            [WeightEncoder(self.config, spec.signed) for _ in range(spec.columns)],
            bits,
            lambda value: value[8 - bits :],
        )
        latency = 2
        self.schedule(
            self.window,
            self.store,
            spec.or_width * spec.side,
            (spec.or_width << self.samples_log2) - 1,
            latency + COUNTER_LATENCY,
            spec.or_width,
        )
        sequencer = self.sequencer
        self.prng = prng = build_prng(spec.sequence, spec.or_width, 1)
        self.comb += [
            prng.samples_log2.eq(self.samples_log2),
            prng.restart.eq(sequencer.start),
            prng.advance.eq(sequencer.active),
        ]
        up, down = self._hits(*prng.points[0], bits)
        self.counters = counters = ColumnCounters(
            [[plus, -minus] for plus, minus in zip(up, down, strict=True)],
            spec.groups,
            self.count_width,
        )
        self.deliver(counters, latency)

    def _hits(self, r_a, r_w, bits: int):
        """For each column, a point's positive hits in all groups, and the negative ones, two cycles
        later."""
        spec = self.spec
        region = Signal(log2_int(spec.or_width))
        self.comb += [
            region.eq(Cat(r_w[bits:], r_a[bits:])),
            self.store.region.eq(region),
            self.window.store.region.eq(region),
        ]
        rows = delayed_all(self, self.window.store.rows)
        within_a, within_w = delayed_all(self, [r_a[:bits], r_w[:bits]])
        positive, negative = [], []
        for group, row in enumerate(rows):
            weights = self.store.slices(group)
            above = greater(
                self, weights[:-1], [Replicate(within_w[k], spec.columns) for k in range(bits)]
            )
            hits, minus = Signal(spec.columns), Signal(spec.columns)
            self.comb += [
                hits.eq(above & Replicate(row[:-1] > within_a, spec.columns)),
                minus.eq(weights[-1] ^ Replicate(row[-1], spec.columns)),
            ]
            plus_bits, minus_bits = Signal(spec.columns), Signal(spec.columns)
            self.sync += [plus_bits.eq(hits & ~minus), minus_bits.eq(hits & minus)]
            positive.append(plus_bits)
            negative.append(minus_bits)
        return tuple(count_columns(self, bits, spec.columns) for bits in (positive, negative))
