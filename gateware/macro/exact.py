"""The exact INT8 macro: products of the integers themselves behind the same interface."""

from migen import Cat, If, Signal, bits_for

from dscim.gateware.logic import delayed_all
from dscim.gateware.macro.interface import Macro
from dscim.gateware.macro.output import COUNTER_LATENCY, ColumnCounters
from dscim.gateware.macro.taken import TakenRows
from dscim.gateware.macro.weights import WeightInput, WeightMemory
from dscim.gateware.macro.window import ExactOperands, Window
from dscim.gateware.specs import MacroSpec

LATENCY = 2
"""Cycles from the issue of a step to its terms at the column counters."""


def largest_product(bits: int) -> int:
    """With eight bits |x - z| is at most 255, |w| at most 128."""
    return ((1 << bits) - 1) << bits - 1


def exact_count_width(spec: MacroSpec, bits: int = 8) -> int:
    """Bits of the exact sum over all rows."""
    return bits_for(spec.rows * largest_product(bits)) + 1


class Exact(Macro):
    """`lanes` rows of each group per cycle, multiply and add; G/lanes cycles per product.

    N is the sum of (x - z)*w, whatever the stream length and the signed mode.
    Stages: 0 issue, the rows' weights are read; 1 products; column counters.
    """

    def __init__(self, spec: MacroSpec, words: int, bits: int = 8):
        """bits: of the operands; fewer than eight, the low ones, only to compare sizes."""
        super().__init__(spec, words, exact_count_width(spec, bits))
        lanes = spec.lanes
        steps = spec.or_width // lanes

        # # #

        self.window = window = Window(
            spec, words, ExactOperands(self.banks.window_config, bits), self.banks
        )
        self.source = source = WeightInput(spec, encoded=False)
        self.store = store = WeightMemory(
            spec, self.banks, source.source, source.slices[:bits], lanes
        )
        self.taken = taken = TakenRows(spec, window, self.banks, [lanes] if steps > 1 else [])
        self.schedule(window, source, steps, steps - 1, LATENCY + COUNTER_LATENCY, steps)
        sequencer = self.sequencer
        self.comb += [taken.rotate.eq(sequencer.active), store.address.eq(sequencer.step)]
        active = sequencer.active
        (next_active,) = delayed_all(self, [active])
        factors = []
        for rows, words_ in zip(taken.groups, store.words, strict=True):
            for row, word in zip(rows, words_, strict=False):
                a, held = Signal(window.width), Signal(len(word))
                self.sync += If(active, a.eq(row), held.eq(word))
                factors.append((a, held))
        terms = [
            [
                self._product(
                    a, [word[k * spec.columns + column] for k in range(bits)], next_active
                )
                for a, word in factors
            ]
            for column in range(spec.columns)
        ]
        self.counters = counters = ColumnCounters(
            terms, spec.groups * lanes * largest_product(bits), self.count_width
        )
        self.deliver(counters, LATENCY)

    def _product(self, activation, weight, active):
        """A new register, loaded while active: (x - z) * w, both in two's complement."""
        a, w = Signal((len(activation), True)), Signal((len(weight), True))
        product = Signal((len(a) + len(w), True))
        self.comb += [a.eq(activation), w.eq(Cat(*weight))]
        self.sync += If(active, product.eq(a * w))
        return product
