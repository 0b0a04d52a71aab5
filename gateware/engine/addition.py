"""Additions of two int8 inputs, each scaled to the scale of the sum, by tables.

An input has 256 values. What each adds to the sum, times the sum's multiplier, is calculated once
per layer and kept in tables, so that a lane has no multipliers: it adds two of these numbers and
rounds. The product of a sum is the sum of the products.
"""

from types import SimpleNamespace

from litex.gen import LiteXModule
from migen import READ_FIRST, C, Cat, If, Memory, Mux, Record, Replicate, Signal, log2_int

from dscim.gateware.descriptor import MAX_WIDENING
from dscim.gateware.engine.scale import (
    DIGIT,
    PRODUCT,
    PRODUCT_LATENCY,
    ROUNDING_LATENCY,
    Product,
    Rounding,
)
from dscim.gateware.logic import delayed

TERM_LATENCY = 5
"""Cycles from an input to its term."""

ADDITION_LATENCY = 3 + ROUNDING_LATENCY
"""Cycles from the inputs to the output."""

SETTLING = 3
"""Cycles from an add's fields to its first term's input, at least."""

VALUES = 256
"""Values of an input."""

FILLING = SETTLING + VALUES + TERM_LATENCY + PRODUCT_LATENCY
"""Cycles in which a layer's tables are filled, after that of its start."""

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
TERM_BITS = QUOTIENT_BITS + 1
SHARE_BITS = TERM_BITS + 31
"""Bits of a term times the sum's multiplier."""


def shares_layout():
    """An entry of the tables: the value of an input, and what it adds to the sum's product as the
    first input and as the second."""
    return [("write", 1), ("x", 8), ("first", SHARE_BITS), ("second", SHARE_BITS)]


class Addition(LiteXModule):
    """TensorFlow Lite's int8 ADD in the steps of its reference; every scaling rounds twice.

    | port   | dir | meaning                                                                 |
    |--------|-----|-------------------------------------------------------------------------|
    | shares | in  | record of shares_layout: `write` stores an entry                        |
    | first  | in  | int8                                                                    |
    | second | in  | int8                                                                    |
    | fields | in  | the layer's: output_shift, the sum's zero point and clamp               |
    | output | out | int8, ADDITION_LATENCY cycles later                                     |

    Takes new inputs every cycle once the tables are filled; nothing stalls.
    """

    def __init__(self, fields, shares):
        self.first, self.second = Signal((8, True)), Signal((8, True))
        self.output = Signal((8, True))

        # # #

        parts = []
        for name in ("first", "second"):
            table = Memory(SHARE_BITS, VALUES, name=f"shares_{name}")
            writer = table.get_port(write_capable=True, mode=READ_FIRST)
            reader = table.get_port(mode=READ_FIRST)
            self.specials += table, writer, reader
            part = Signal((SHARE_BITS, True))
            self.comb += [
                writer.adr.eq(shares.x),
                writer.dat_w.eq(getattr(shares, name)),
                writer.we.eq(shares.write),
                reader.adr.eq(getattr(self, name)),
            ]
            self.sync += part.eq(reader.dat_r)
            parts.append(part)
        self.rounding = rounding = Rounding(
            SimpleNamespace(
                single_rounding=0, zero=fields.sum_zero, low=fields.sum_low, high=fields.sum_high
            )
        )
        product = Signal(PRODUCT)
        self.sync += product.eq(parts[0] + parts[1])
        self.comb += [
            rounding.product.eq(product),
            rounding.shift.eq(fields.output_shift),
            self.output.eq(rounding.output),
        ]


class Shares(LiteXModule):
    """Calculates the entries of the additions' tables: all values of both inputs, one per cycle.

    | port   | dir | meaning                                                                 |
    |--------|-----|-------------------------------------------------------------------------|
    | start  | in  | pulse: a layer begins whose fields are settled                          |
    | wanted | in  | with start: the layer has additions                                     |
    | fields | in  | the layer's: the inputs' zero points, left_shift, multipliers, shifts,  |
    |        |     | output_multiplier                                                       |
    | entry  | out | record of shares_layout                                                 |
    | ready  | out | the tables are filled, or not wanted; low for FILLING cycles            |
    """

    def __init__(self, fields):
        self.start = Signal()
        self.wanted = Signal()
        self.entry = Record(shares_layout())
        self.ready = Signal()

        # # #

        place, running = Signal(max=SETTLING + VALUES), Signal()
        self.sync += [
            place.eq(place + 1),
            If(place == SETTLING + VALUES - 1, running.eq(0)),
            If(self.start, place.eq(0), running.eq(self.wanted)),
        ]
        latency = TERM_LATENCY + PRODUCT_LATENCY
        x = Signal(8)
        self.comb += [
            x.eq(place - SETTLING),
            self.entry.write.eq(delayed(self, running, latency)),
            self.entry.x.eq(delayed(self, x, latency)),
        ]
        self.comb += self.ready.eq(~(running | self.entry.write))
        for name in ("first", "second"):
            settings = TermSettings(
                fields.left_shift,
                *(getattr(fields, f"{name}_{kind}") for kind in ("zero", "multiplier", "shift")),
            )
            term, product = Term(settings), Product()
            for kind, part in (("settings", settings), ("term", term), ("product", product)):
                self.add_module(f"{name}_{kind}", part)
            self.comb += [
                term.x.eq(x),
                product.value.eq(term.term),
                product.multiplier.eq(fields.output_multiplier),
                getattr(self.entry, name).eq(product.product),
            ]


class TermSettings(LiteXModule):
    """The numbers of one input's terms, valid SETTLING cycles after the layer's fields.

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
    | term     | out | the result, TERM_LATENCY cycles later                        |

    The arithmetic is that of `Rounding`: the result is (Q + e + 1) / 2 rounded down, where Q is the
    product of the difference and the multiplier / 2**(d - 1) rounded down. Here
    d = 31 - left_shift - shift, and e depends on the -shift bits below those of Q. The factor is
    the multiplier, shifted so that d is a multiple of STEP.
    """

    def __init__(self, settings):
        self.x = Signal((8, True))
        self.term = Signal((TERM_BITS, True))

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
        whole, carry = Signal((QUOTIENT_BITS, True)), Signal()
        self.sync += [
            whole.eq(quotient[1:]),
            carry.eq(Mux(quotient[0], ~(sign & changed), ~sign & changed)),
            self.term.eq(whole + carry),
        ]
