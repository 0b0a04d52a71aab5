"""The addition of one channel: two int8 inputs, scaled to the scale of the sum, then summed."""

from types import SimpleNamespace

from litex.gen import LiteXModule
from migen import C, Cat, Mux, Replicate, Signal, log2_int

from dscim.gateware.descriptor import MAX_WIDENING
from dscim.gateware.engine.scale import DIGIT, RESCALE_LATENCY, SUM, Rescale
from dscim.gateware.logic import delayed

TERM_LATENCY = 6
"""Cycles from the inputs to their sum in 32 bits."""

ADDITION_LATENCY = TERM_LATENCY + RESCALE_LATENCY
"""Cycles from the inputs to the output."""

SETTLING = 3
"""Cycles from an add's fields to its first inputs, at least."""

STEP = 4
"""Products are shifted by multiples of it: factors, which all lanes share, make up the rest."""

MIN_DROPPED = 31 - MAX_WIDENING
MAX_DROPPED = 40
"""The bits of a product (40 bits) that are dropped. If more were, the result would be 0."""

FACTOR_BITS = 31 + STEP - 1
PRODUCT_BITS = 9 + FACTOR_BITS
FIRST = MIN_DROPPED + STEP - 2
"""The lowest bit of a product that rounds it: half of a unit after the shortest shift."""

MIN_MIDDLE = MIN_DROPPED - 1
"""The lowest bit that the second rounding may drop."""

QUOTIENT_BITS = PRODUCT_BITS - FIRST - 1


class Addition(LiteXModule):
    """TensorFlow Lite's int8 ADD in the steps of its reference; every scaling rounds twice.

    | port   | dir | meaning                                                                 |
    |--------|-----|-------------------------------------------------------------------------|
    | first  | in  | int8                                                                    |
    | second | in  | int8                                                                    |
    | fields | in  | the layer's: the inputs' zero points, left_shift, multipliers, shifts,  |
    |        |     | the sum's zero point and clamp; stable SETTLING cycles before inputs    |
    | term   | out | 32 bits, signed, TERM_LATENCY cycles later: the sum before scaling      |
    | output | out | int8, ADDITION_LATENCY cycles later                                     |

    Takes new inputs every cycle; nothing stalls.
    """

    def __init__(self, fields, settings=None):
        self.first, self.second = Signal((8, True)), Signal((8, True))
        self.term = Signal(SUM)
        self.output = Signal((8, True))

        # # #

        self.terms = terms = Terms(fields, settings)
        self.rescale = rescale = Rescale(
            SimpleNamespace(
                single_rounding=0, zero=fields.sum_zero, low=fields.sum_low, high=fields.sum_high
            )
        )
        self.comb += [
            terms.first.eq(self.first),
            terms.second.eq(self.second),
            self.term.eq(terms.term),
            rescale.value.eq(terms.term),
            rescale.multiplier.eq(fields.output_multiplier),
            rescale.shift.eq(fields.output_shift),
            self.output.eq(rescale.output),
        ]


class Terms(LiteXModule):
    """The sum of an add's two inputs before it is scaled; see `Addition` for the ports."""

    def __init__(self, fields, settings=None):
        self.first, self.second = Signal((8, True)), Signal((8, True))
        self.term = Signal(SUM)

        # # #

        if settings is None:
            self.settings = settings = AdditionSettings(fields)
        self.one = one = Term(settings.first)
        self.other = other = Term(settings.second)
        total = Signal(SUM)
        self.comb += [one.x.eq(self.first), other.x.eq(self.second)]
        self.sync += [
            total.eq(one.quotient + other.quotient + one.carry),
            self.term.eq(total + delayed(self, other.carry)),
        ]


class AdditionSettings(LiteXModule):
    """The numbers of an add's two inputs, `first` and `second`. Additions may share them."""

    def __init__(self, fields):
        self.first, self.second = (
            TermSettings(
                fields.left_shift,
                *(getattr(fields, f"{name}_{kind}") for kind in ("zero", "multiplier", "shift")),
            )
            for name in ("first", "second")
        )


class TermSettings(LiteXModule):
    """The numbers of one input, valid SETTLING cycles after the layer's fields.

    | port   | dir | meaning                                                                 |
    |--------|-----|-------------------------------------------------------------------------|
    | zero   | out | the input's zero point                                                  |
    | factor | out | the multiplier of differences: that of the input, shifted               |
    | steps  | out | the steps by which a product is shifted to the right                    |
    | twice  | out | the input has a shift to the right, so that it is rounded twice         |
    | middle | out | the bits that the second rounding drops, without the upper one          |
    """

    def __init__(self, left_shift, zero, multiplier, shift):
        self.zero = zero
        self.factor = Signal(FACTOR_BITS)
        self.steps = Signal(3)
        self.twice = Signal()
        self.middle = Signal(MAX_DROPPED - 1 - MIN_MIDDLE)

        # # #

        left, right, dropped, first = (Signal(6) for _ in range(4))
        lowest, last, fine = Signal(6), Signal(6), Signal(log2_int(STEP))
        ones = C((1 << len(self.middle)) - 1)
        self.comb += [
            fine.eq(-dropped),
            lowest.eq(first + fine),
            last.eq(dropped + fine - 1 - MIN_MIDDLE),
        ]
        self.sync += [
            left.eq(left_shift + Mux(shift > 0, shift, 0)),
            right.eq(Mux(shift < 0, -shift, 0)),
            dropped.eq(31 + right - left),
            first.eq(30 - MIN_MIDDLE - left),
            self.factor.eq(Mux(dropped > MAX_DROPPED, 0, multiplier << fine)),
            self.steps.eq((dropped + STEP - 1 >> log2_int(STEP)) - (MIN_DROPPED // STEP + 1)),
            self.twice.eq(right != 0),
            self.middle.eq((ones << lowest) & ~(ones << last)),
        ]


class Term(LiteXModule):
    """(x - zero) << left_shift times a Q31 multiplier and a power of two, rounded twice.

    | port     | dir | meaning                                                      |
    |----------|-----|--------------------------------------------------------------|
    | x        | in  | int8                                                         |
    | settings | in  | `TermSettings` of the input                                  |
    | quotient | out | the result less its carry, four cycles later                 |
    | carry    | out | 1 if the result is quotient + 1                              |

    The arithmetic is that of `Rescale`: the result is (Q + e + 1) / 2 rounded down, where Q is the
    product of the difference and the multiplier / 2**(d - 1) rounded down. Here
    d = 31 - left_shift - shift, and e depends on the -shift bits below those of Q. The factor is
    the multiplier, shifted so that d is a multiple of STEP.
    """

    def __init__(self, settings):
        self.x = Signal((8, True))
        self.quotient = Signal((QUOTIENT_BITS, True))
        self.carry = Signal()

        # # #

        factor, middle = settings.factor, settings.middle
        difference, product = Signal((9, True)), Signal((PRODUCT_BITS, True))
        low, high = (Signal((9 + DIGIT, True)) for _ in range(2))
        upper, shifted = Signal((9, True)), Signal((QUOTIENT_BITS + 1, True))
        self.comb += upper.eq(low[DIGIT:])
        self.sync += [
            difference.eq(self.x - settings.zero),
            low.eq(difference * factor[:DIGIT]),
            high.eq(difference * factor[DIGIT:]),
            product.eq(Cat(low[:DIGIT], high + upper)),
        ]
        sign, changed, quotient = product[-1], Signal(), Signal.like(shifted)
        dropped = product[MIN_MIDDLE : MAX_DROPPED - 1] ^ Replicate(sign, len(middle))
        self.comb += [
            shifted.eq(product[FIRST:]),
            quotient.eq(shifted >> Cat(C(0, log2_int(STEP)), settings.steps)),
            changed.eq(settings.twice & ((dropped & middle) == middle)),
        ]
        self.sync += [
            self.quotient.eq(quotient[1:]),
            self.carry.eq(Mux(quotient[0], ~(sign & changed), ~sign & changed)),
        ]
