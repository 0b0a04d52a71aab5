"""The inputs of an add: each brought to the scale of the sum, then summed."""

from litex.gen import LiteXModule
from migen import Mux, Signal

from dscim.gateware.engine.rounding import SUM, delayed, divide_by_power

ADDEND_LATENCY = 5
"""Cycles from a slot to its term."""


class Addend(LiteXModule):
    """What is scaled in the end: of an add, the sum of two scaled inputs; else the slot itself.

    | port   | dir | meaning                                                                |
    |--------|-----|------------------------------------------------------------------------|
    | slot   | in  | a sum; of an add, the two int8 inputs, the first in bits 0..7          |
    | fields | in  | the layer's: zero points, left_shift, multipliers and shifts           |
    | plan   | in  | the layer's: add                                                       |
    | term   | out | 32 bits, signed, ADDEND_LATENCY cycles later                           |

    A new slot every cycle; nothing stalls.
    """

    def __init__(self, fields, plan):
        self.slot = Signal(SUM)
        self.term = Signal(SUM)

        # # #

        first = self._scaled(self.slot[:8], fields.input_zero, fields.left_shift,
                             fields.first_multiplier, fields.first_shift)
        second = self._scaled(self.slot[8:16], fields.second_zero, fields.left_shift,
                              fields.second_multiplier, fields.second_shift)
        slot = delayed(self, self.slot, ADDEND_LATENCY - 1)
        self.sync += self.term.eq(Mux(plan.add, first + second, slot))

    def _scaled(self, octet, zero, left_shift, multiplier, shift):
        """(octet - zero) << left_shift by a Q31 multiplier with double rounding, in four cycles.

        The difference has 9 bits, so it is multiplied before it is widened: the high half of
        the doubled product is product / 2**(31 - left), ties upwards.
        """
        x, difference, product = Signal((8, True)), Signal((9, True)), Signal((40, True))
        left, right, places = Signal(6), Signal(6), Signal(5)
        half, nudged, high = Signal(31), Signal((41, True)), Signal(SUM)
        self.comb += [
            x.eq(octet),
            left.eq(left_shift + Mux(shift > 0, shift, 0)),
            nudged.eq(product + half),
        ]
        self.sync += [  # the fields stand still long before the first slot
            right.eq(Mux(shift < 0, -shift, 0)),
            places.eq(31 - left),
            half.eq((1 << 30) >> left),
            difference.eq(x - zero),
            product.eq(difference*multiplier),
            high.eq(nudged >> places),
        ]
        return divide_by_power(self, high, right)
