"""Requantisation of one channel: from a 32-bit sum to int8, pipelined."""

from types import SimpleNamespace

from litex.gen import LiteXModule
from migen import Cat, If, Mux, Record, Replicate, Signal

from dscim.gateware.logic import delayed

SUM, PRODUCT = (32, True), (63, True)

DECODE_LATENCY = 2
"""Cycles from an accumulator and its parameters to the sum in product units."""

PRODUCT_LATENCY = 2
"""Cycles from a value and its multiplier to their product."""

ROUNDING_LATENCY = 2
"""Cycles from a product to the output."""

RESCALE_LATENCY = PRODUCT_LATENCY + ROUNDING_LATENCY
"""Cycles from a value to the output."""

SCALE_LATENCY = DECODE_LATENCY + RESCALE_LATENCY
"""Cycles from an accumulator and its parameters to the output."""

DIGIT = 17
"""Bits of the lower half of a factor: a multiplier of the FPGA takes 18 bits with their sign."""

MAX_LEFT, MAX_RIGHT = 30, 31
"""The greatest shifts to the left and to the right."""

WINDOW = 10
"""Bits that are kept of a quotient, the lowest of which is a half: a quotient that does not fit is
clamped, whatever the zero point is."""


def parameter_layout():
    """A channel's parameters as they lie in memory: 128 bits."""
    return [("bias", SUM), ("multiplier", 32), ("shift", SUM), ("reserved", 32)]


class Scale(LiteXModule):
    """Bias, multiplication, rounding, zero point, clamp: the steps of TensorFlow Lite's reference.

    | port            | dir | meaning                                                     |
    |-----------------|-----|-------------------------------------------------------------|
    | count           | in  | the sum of counts N                                         |
    | activation_sum  | in  | the sum of a'; used only with `offset`                      |
    | parameters      | in  | those of the channel; multiplier: 31 bits; shift: -31..30   |
    | fields          | in  | the layer's: decode_shift (0..16), offset, single_rounding, |
    |                 |     | output_zero, clamp_low <= clamp_high                        |
    | total           | out | product units with the bias, SCALE_LATENCY cycles later     |
    | output          | out | int8, SCALE_LATENCY cycles later                            |

    offset: whether layers in that mode can occur; otherwise activation_sum is not used at all.
    Takes a new channel every cycle; nothing stalls. The fields are stable a cycle before the first
    channel.
    """

    def __init__(self, fields, offset: bool = True):
        self.count = Signal(SUM)
        self.activation_sum = Signal(SUM)
        self.parameters = Record(parameter_layout())
        self.total = Signal(SUM)
        self.output = Signal((8, True))

        # # #

        self.decode = decode = Decode(fields, offset)
        self.rescale = rescale = Rescale(
            SimpleNamespace(
                single_rounding=fields.single_rounding,
                zero=fields.output_zero,
                low=fields.clamp_low,
                high=fields.clamp_high,
            )
        )
        self.comb += [
            decode.count.eq(self.count),
            decode.activation_sum.eq(self.activation_sum),
            decode.bias.eq(self.parameters.bias),
            rescale.value.eq(decode.total),
            rescale.multiplier.eq(
                delayed(self, self.parameters.multiplier[: len(rescale.multiplier)], DECODE_LATENCY)
            ),
            rescale.shift.eq(
                delayed(self, self.parameters.shift[: len(rescale.shift)], DECODE_LATENCY)
            ),
            self.total.eq(delayed(self, decode.total, RESCALE_LATENCY)),
            self.output.eq(rescale.output),
        ]


class Decode(LiteXModule):
    """A sum of counts in product units, with the bias. It wraps.

    | port            | dir | meaning                                                       |
    |-----------------|-----|---------------------------------------------------------------|
    | count           | in  | the sum of counts N                                           |
    | activation_sum  | in  | the sum of a'; used only with `offset`                        |
    | bias            | in  | the channel's                                                 |
    | fields          | in  | the layer's: decode_shift (0..16), offset                     |
    | total           | out | N << decode_shift, less 128 activation_sum with `offset`,     |
    |                 |     | plus the bias, DECODE_LATENCY cycles later                    |

    offset: whether layers in that mode can occur.
    The shift is a product with a power of two, for which an FPGA has multipliers.
    """

    def __init__(self, fields, offset: bool = True):
        self.count = Signal(SUM)
        self.activation_sum = Signal(SUM)
        self.bias = Signal(SUM)
        self.total = Signal(SUM)

        # # #

        power, correction = Signal(DIGIT), Signal(SUM)
        base, low, high = Signal(SUM), Signal(SUM[0]), Signal(SUM[0] - DIGIT)
        if offset:
            self.comb += If(fields.offset, correction.eq(self.activation_sum << 7))
        self.sync += [
            power.eq(1 << fields.decode_shift),
            base.eq(self.bias - correction),
            low.eq(self.count[:DIGIT] * power),
            high.eq(self.count[DIGIT:] * power),
            self.total.eq(base + (low | Cat(Replicate(0, DIGIT), high))),
        ]


class Rescale(LiteXModule):
    """value * multiplier * 2**(shift - 31), rounded twice or once, zero point, clamp.

    | port       | dir | meaning                                                       |
    |------------|-----|---------------------------------------------------------------|
    | value      | in  | 32 bits, signed                                               |
    | multiplier | in  | 31 bits                                                       |
    | shift      | in  | -31..30, left when positive; then value << shift fits 32 bits |
    | fields     | in  | the layer's: single_rounding, zero, low <= high               |
    | output     | out | int8, RESCALE_LATENCY cycles later                            |
    """

    def __init__(self, fields):
        self.value = Signal(SUM)
        self.multiplier = Signal(31)
        self.shift = Signal((6, True))
        self.output = Signal((8, True))

        # # #

        self.product = product = Product()
        self.rounding = rounding = Rounding(fields)
        self.comb += [
            product.value.eq(self.value),
            product.multiplier.eq(self.multiplier),
            rounding.product.eq(product.product),
            rounding.shift.eq(delayed(self, self.shift, PRODUCT_LATENCY - 1)),
            self.output.eq(rounding.output),
        ]


class Product(LiteXModule):
    """value * multiplier: the sum of four products of their halves.

    | port       | dir | meaning                                       |
    |------------|-----|-----------------------------------------------|
    | value      | in  | 32 bits, signed                               |
    | multiplier | in  | 31 bits                                       |
    | product    | out | 63 bits, signed, PRODUCT_LATENCY cycles later |
    """

    def __init__(self):
        self.value = Signal(SUM)
        self.multiplier = multiplier = Signal(31)
        self.product = Signal(PRODUCT)

        # # #

        value, top = self.value[:DIGIT], Signal((SUM[0] - DIGIT, True))
        low = Signal(2 * DIGIT)
        cross, across, high = (Signal((width, True)) for width in (32, 32, 29))
        self.comb += top.eq(self.value[DIGIT:])
        self.sync += [
            low.eq(value * multiplier[:DIGIT]),
            cross.eq(value * multiplier[DIGIT:]),
            across.eq(top * multiplier[:DIGIT]),
            high.eq(top * multiplier[DIGIT:]),
        ]
        inner, outer = Signal(33), Signal(PRODUCT[0] - DIGIT)
        self.comb += [inner.eq(cross + across), outer.eq(Cat(low[DIGIT:], high))]
        # as an explicit sign: Yosys would otherwise add all three in twice the number of tables
        extended = Cat(inner, Replicate(inner[-1], len(outer) - len(inner)))
        self.sync += self.product.eq(Cat(low[:DIGIT], outer + extended))


class Rounding(LiteXModule):
    """product * 2**(shift - 31), rounded twice or once, zero point, clamp.

    | port       | dir | meaning                                                       |
    |------------|-----|---------------------------------------------------------------|
    | product    | in  | 63 bits, signed: of a value and a multiplier                  |
    | shift      | in  | -31..30, a cycle before the product; left when positive: then |
    |            |     | value << shift fits 32 bits                                   |
    | fields     | in  | the layer's: single_rounding, zero, low <= high               |
    | output     | out | int8, ROUNDING_LATENCY cycles after the product               |

    Let P be the product, and d = 31 - shift. The result is (P + c + 2**(d - 1)) / 2**d, rounded
    down, where c is as follows, since (P / m rounded down + k) / n rounded down is
    (P + k m) / (m n) rounded down.

    | rounding          | c for P >= 0 | c for P < 0 |
    |-------------------|--------------|-------------|
    | twice, shift >= 0 | 0            | 0           |
    | twice, shift < 0  | 2**30        | -(2**30)    |
    | once              | 0            | -1          |

    So the result is (Q + e + 1) / 2 rounded down, where Q is P / 2**(d - 1) rounded down, and e is
    1 or -1 if c changes Q. That depends only on the bits that Q drops: whether they, from bit 30 on
    with two roundings, are all ones, or all zeros if P is negative.
    """

    def __init__(self, fields):
        self.product = product = Signal(PRODUCT)
        self.shift = shift = Signal((6, True))
        self.output = Signal((8, True))

        # # #

        above, span = Signal((9, True)), Signal(8)
        self.sync += [above.eq(fields.zero - fields.low), span.eq(fields.high - fields.low)]
        left, right, amount = Signal(), Signal(), Signal(5)
        self.sync += [
            left.eq(shift > 0),
            right.eq(shift < 0),
            amount.eq(Mux(shift > 0, MAX_LEFT, 0) - shift),
        ]
        sign, widest = product[-1], WINDOW + MAX_RIGHT
        once = sign & (left | (product[:MAX_LEFT] == 0))
        bits, fits, changed = Signal(widest), Signal(), Signal()
        self.comb += [  # of a negative product, the bits are inverted
            bits.eq(Mux(left, product, product >> MAX_LEFT) ^ Replicate(sign, widest)),
            fits.eq(~left | (product[widest:-1] == Replicate(sign, len(product) - widest - 1))),
            changed.eq(Mux(fields.single_rounding, once, right)),
        ]
        for place in (4, 3):
            bits, fits, changed = self._drop(place, amount[place], bits, fits, changed)
        sign, amount, bits, fits, changed = (
            delayed(self, value) for value in (sign, amount, bits, fits, changed)
        )
        for place in (2, 1, 0):
            bits, fits, changed = self._drop(place, amount[place], bits, fits, changed)
        quotient, zero, moved = (Signal((width, True)) for width in (WINDOW, 10, WINDOW + 2))
        self.comb += [
            quotient.eq(bits ^ Replicate(sign, WINDOW)),
            zero.eq(Cat(~sign, above)),
        ]
        self.sync += moved.eq(quotient + zero + (changed ^ sign))
        self._clamp(fields, span, moved, delayed(self, fits & ~bits[-1]), delayed(self, sign))

    def _drop(self, place, chosen, bits, fits, changed):
        """Drops 2**place bits at the lower end if `chosen`, otherwise at the upper end.

        Returns the other bits; `fits`, low if one of the upper ones is set; and `changed`, low if
        one of the lower ones is not.
        """
        count, width = 1 << place, len(bits) - (1 << place)
        kept, fitting, changing = Signal(width), Signal(), Signal()
        self.comb += [
            kept.eq(Mux(chosen, bits[count:], bits[:width])),
            fitting.eq(fits & (chosen | (bits[width:] == 0))),
            changing.eq(changed & (~chosen | (bits[:count] == (1 << count) - 1))),
        ]
        return kept, fitting, changing

    def _clamp(self, fields, span, moved, fits, negative):
        """moved: twice the distance of the result from the lower limit; if it does not fit, only
        the sign of the product counts."""
        distance, kept = Signal((WINDOW + 1, True)), Signal(8)
        below, beyond = Signal(), Signal()
        self.comb += [
            distance.eq(moved[1:]),
            below.eq(Mux(fits, distance[-1], negative)),
            beyond.eq(Mux(fits, distance > span, ~negative)),
            If(below, kept.eq(0)).Elif(beyond, kept.eq(span)).Else(kept.eq(distance)),
            self.output.eq(fields.low + kept),
        ]
