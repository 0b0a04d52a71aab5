"""The exact INT8 macro: products of the integers themselves behind the same interface."""

from migen import Cat, If, Signal, bits_for, log2_int

from dscim.gateware.logic import delayed, delayed_all
from dscim.gateware.macro.encoder import Difference, IntegerWeight
from dscim.gateware.macro.interface import BEAT_ROWS, Macro
from dscim.gateware.macro.output import COUNTER_LATENCY, ColumnCounters
from dscim.gateware.macro.weights import WeightMemory, WeightRegisters
from dscim.gateware.macro.window import OperandWindow
from dscim.gateware.macro.window_store import WindowMemory, WindowRegisters
from dscim.gateware.specs import MacroSpec

LARGEST_PRODUCT = 255 * 128
"""|x - z| is at most 255, |w| at most 128."""


def exact_count_width(spec: MacroSpec) -> int:
    """Bits of the exact sum over all rows."""
    return bits_for(spec.rows * LARGEST_PRODUCT) + 1


def product_of(module, activation, weight, active=1):
    """A new register, loaded while active: (x - z) * w, of 9 and 8 bits of two's complement."""
    a, w, product = Signal((9, True)), Signal((8, True)), Signal((17, True))
    module.comb += [a.eq(activation), w.eq(weight)]
    module.sync += If(active, product.eq(a * w))
    return product


class Exact(Macro):
    """One row of each group per cycle, multiply and add; G cycles per product.

    N is the sum of (x - z)*w, whatever the stream length and the signed mode.
    Stages: 0 issue, the rows' activations are selected, weights read; 1 products; column counters.
    """

    def __init__(self, spec: MacroSpec):
        super().__init__(spec, exact_count_width(spec))

        # # #

        self.window = OperandWindow(
            spec,
            [Difference(self.zero_point) for _ in range(BEAT_ROWS)],
            lambda value: value,
            WindowMemory(spec, 8),
        )
        self.store = WeightMemory(
            spec, [IntegerWeight() for _ in range(spec.columns)], 7, lambda value: value
        )
        latency = 2
        self.schedule(
            self.window,
            self.store,
            spec.or_width,
            spec.or_width - 1,
            latency + COUNTER_LATENCY,
            spec.or_width,
        )
        sequencer = self.sequencer
        region = Signal(log2_int(spec.or_width))
        self.comb += [
            region.eq(sequencer.step),
            self.store.region.eq(region),
            self.window.store.region.eq(region),
        ]
        rows = delayed_all(self, self.window.store.rows)
        active = delayed(self, sequencer.active)
        terms = [
            [
                product_of(self, row, self.store.cell(group, column), active)
                for group, row in enumerate(rows)
            ]
            for column in range(spec.columns)
        ]
        self.counters = counters = ColumnCounters(
            terms, spec.groups * LARGEST_PRODUCT, self.count_width
        )
        self.deliver(counters, latency)


class ExactParallel(Macro):
    """All rows at once, in one cycle; for gate counts and small sizes.

    N is the sum of (x - z)*w. It is the exact counterpart of the paper's array: no memory, no
    sequence, a multiplier for every cell.
    """

    def __init__(self, spec: MacroSpec):
        super().__init__(spec, exact_count_width(spec))

        # # #

        self.window = OperandWindow(
            spec,
            [Difference(self.zero_point) for _ in range(BEAT_ROWS)],
            lambda value: value,
            WindowRegisters(spec, 8),
        )
        self.store = WeightRegisters(
            spec, [IntegerWeight() for _ in range(spec.columns)], 7, lambda value: value
        )
        latency = 1
        self.schedule(self.window, self.store, 2, 0, latency + COUNTER_LATENCY, 1)
        terms = [
            [
                product_of(
                    self,
                    self.window.store.row(row),
                    Cat(*[bits[column] for bits in self.store.slices[row]]),
                )
                for row in range(spec.rows)
            ]
            for column in range(spec.columns)
        ]
        self.counters = counters = ColumnCounters(
            terms, spec.rows * LARGEST_PRODUCT, self.count_width
        )
        self.deliver(counters, latency)
