"""The addition of one channel: two int8 inputs, scaled to the scale of the sum, then summed."""

from types import SimpleNamespace

from litex.gen import LiteXModule
from migen import C, Mux, Signal

from dscim.gateware.engine.scale import SCALE_LATENCY, SUM, Scale, divide_by_power

TERM_LATENCY = 5
"""Cycles from the inputs to their sum in 32 bits."""

ADDITION_LATENCY = TERM_LATENCY + SCALE_LATENCY
"""Cycles from the inputs to the output."""


class Addition(LiteXModule):
    """TensorFlow Lite's int8 ADD in the steps of its reference; every scaling rounds twice.

    | port   | dir | meaning                                                                 |
    |--------|-----|-------------------------------------------------------------------------|
    | first  | in  | int8                                                                    |
    | second | in  | int8                                                                    |
    | fields | in  | the layer's: the inputs' zero points, left_shift, multipliers, shifts,  |
    |        |     | the sum's zero point and clamp                                          |
    | term   | out | 32 bits, signed, TERM_LATENCY cycles later: the sum before scaling      |
    | output | out | int8, ADDITION_LATENCY cycles later                                     |

    Takes new inputs every cycle; nothing stalls.
    """

    def __init__(self, fields):
        self.first, self.second = Signal((8, True)), Signal((8, True))
        self.term = Signal(SUM)
        self.output = Signal((8, True))

        # # #

        first, second = (
            self._scaled(
                getattr(self, name),
                getattr(fields, f"{name}_zero"),
                fields.left_shift,
                getattr(fields, f"{name}_multiplier"),
                getattr(fields, f"{name}_shift"),
            )
            for name in ("first", "second")
        )
        self.sync += self.term.eq(first + second)
        self.scale = scale = Scale(
            SimpleNamespace(
                decode_shift=C(0),
                offset=C(0),
                single_rounding=C(0),
                output_zero=fields.sum_zero,
                clamp_low=fields.sum_low,
                clamp_high=fields.sum_high,
            )
        )
        self.comb += [
            scale.count.eq(self.term),
            scale.parameters.multiplier.eq(fields.output_multiplier),
            scale.parameters.shift.eq(fields.output_shift),
            self.output.eq(scale.output),
        ]

    def _scaled(self, x, zero, left_shift, multiplier, shift):
        """(x - zero) << left_shift times a Q31 multiplier with double rounding, in four cycles.

        The difference has 9 bits, so it is multiplied before it is widened: the high half of
        the doubled product is product / 2**(31 - left), ties rounded up.
        """
        difference, product = Signal((9, True)), Signal((40, True))
        left, right, places = Signal(6), Signal(6), Signal(5)
        half, nudged, high = Signal(31), Signal((41, True)), Signal(SUM)
        self.comb += [
            left.eq(left_shift + Mux(shift > 0, shift, 0)),
            nudged.eq(product + half),
        ]
        self.sync += [  # the fields are stable long before the first inputs
            right.eq(Mux(shift < 0, -shift, 0)),
            places.eq(31 - left),
            half.eq((1 << 30) >> left),
            difference.eq(x - zero),
            product.eq(difference * multiplier),
            high.eq(nudged >> places),
        ]
        return divide_by_power(self, high, right)
