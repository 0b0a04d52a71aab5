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

    def __init__(self, fields):
        self.first, self.second = Signal((8, True)), Signal((8, True))
        self.term = Signal(SUM)
        self.output = Signal((8, True))

        # # #

        self.terms = terms = Terms(fields)
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

    def __init__(self, fields):
        self.first, self.second = Signal((8, True)), Signal((8, True))
        self.term = Signal(SUM)

        # # #

        scaled = []
        for name in ("first", "second"):
            term = Term(
                SimpleNamespace(
                    zero=getattr(fields, f"{name}_zero"),
                    left_shift=fields.left_shift,
                    multiplier=getattr(fields, f"{name}_multiplier"),
                    shift=getattr(fields, f"{name}_shift"),
                )
            )
            self.add_module(f"{name}_term", term)
            self.comb += term.x.eq(getattr(self, name))
            scaled.append(term)
        one, other = scaled
        total = Signal(SUM)
        self.sync += [
            total.eq(one.quotient + other.quotient + one.carry),
            self.term.eq(total + delayed(self, other.carry)),
        ]


class Term(LiteXModule):
    """(x - zero) << left_shift times a Q31 multiplier and a power of two, rounded twice.

    | port     | dir | meaning                                                      |
    |----------|-----|--------------------------------------------------------------|
    | x        | in  | int8                                                         |
    | fields   | in  | zero, left_shift, multiplier, shift: those of the input      |
    | quotient | out | the result less its carry, four cycles later                 |
    | carry    | out | 1 if the result is quotient + 1                              |

    The arithmetic is that of `Rescale`: the result is (Q + e + 1) / 2 rounded down, where Q is the
    product of the difference and the multiplier / 2**(d - 1) rounded down. Here
    d = 31 - left_shift - shift, and e depends on the -shift bits below those of Q. The factor is
    the multiplier, shifted so that d is a multiple of STEP.
    """

    def __init__(self, fields):
        self.x = Signal((8, True))
        self.quotient = Signal((QUOTIENT_BITS, True))
        self.carry = Signal()

        # # #

        factor, steps, twice, middle = self._settings(fields)
        difference, product = Signal((9, True)), Signal((PRODUCT_BITS, True))
        low, high = (Signal((9 + DIGIT, True)) for _ in range(2))
        upper, shifted = Signal((9, True)), Signal((QUOTIENT_BITS + 1, True))
        self.comb += upper.eq(low[DIGIT:])
        self.sync += [
            difference.eq(self.x - fields.zero),
            low.eq(difference * factor[:DIGIT]),
            high.eq(difference * factor[DIGIT:]),
            product.eq(Cat(low[:DIGIT], high + upper)),
        ]
        sign, changed, quotient = product[-1], Signal(), Signal.like(shifted)
        dropped = product[MIN_MIDDLE : MAX_DROPPED - 1] ^ Replicate(sign, len(middle))
        self.comb += [
            shifted.eq(product[FIRST:]),
            quotient.eq(shifted >> Cat(C(0, log2_int(STEP)), steps)),
            changed.eq(twice & ((dropped & middle) == middle)),
        ]
        self.sync += [
            self.quotient.eq(quotient[1:]),
            self.carry.eq(Mux(quotient[0], ~(sign & changed), ~sign & changed)),
        ]

    def _settings(self, fields):
        """The layer's numbers, valid SETTLING cycles after its fields: the factor; the steps by
        which its product is shifted to the right; whether that rounds twice; and the bits that are
        dropped by the second rounding, without the upper one."""
        left, right = Signal(6), Signal(6)
        dropped, fine, first = Signal(6), Signal(log2_int(STEP)), Signal(6)
        factor, steps, twice = Signal(FACTOR_BITS), Signal(3), Signal()
        middle = Signal(MAX_DROPPED - 1 - MIN_MIDDLE)
        last = Signal(6)
        self.comb += [
            fine.eq(-dropped),
            last.eq(dropped + fine - 1 - MIN_MIDDLE),
        ]
        self.sync += [
            left.eq(fields.left_shift + Mux(fields.shift > 0, fields.shift, 0)),
            right.eq(Mux(fields.shift < 0, -fields.shift, 0)),
            dropped.eq(31 + right - left),
            first.eq(30 - MIN_MIDDLE - left),
            factor.eq(Mux(dropped > MAX_DROPPED, 0, fields.multiplier << fine)),
            steps.eq((dropped + STEP - 1 >> log2_int(STEP)) - (MIN_DROPPED // STEP + 1)),
            twice.eq(right != 0),
            middle.eq(((1 << last) - 1) & ~((1 << (first + fine)) - 1)),
        ]
        return factor, steps, twice, middle
