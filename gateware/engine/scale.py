"""Requantisation of one channel: from a 32-bit sum to int8, pipelined."""

from litex.gen import LiteXModule
from migen import If, Mux, Record, Signal

from dscim.gateware.logic import delayed

SUM = (32, True)

SCALE_LATENCY = 6
"""Cycles from an accumulator and its parameters to the output."""


def parameter_layout():
    """A channel's parameters as they lie in memory: 128 bits."""
    return [("bias", SUM), ("multiplier", 32), ("shift", SUM), ("reserved", 32)]


class Scale(LiteXModule):
    """Bias, multiplication, rounding, zero point, clamp: the steps of TensorFlow Lite's reference.

    | port            | dir | meaning                                                     |
    |-----------------|-----|-------------------------------------------------------------|
    | count           | in  | the sum of counts N                                         |
    | activation_sum  | in  | the sum of a'; used only with `offset`                      |
    | parameters      | in  | those of the channel                                        |
    | fields          | in  | the layer's: decode_shift, offset, single_rounding,         |
    |                 |     | output_zero, clamp                                          |
    | total           | out | product units with the bias, SCALE_LATENCY cycles later     |
    | output          | out | int8, SCALE_LATENCY cycles later                            |

    Takes a new channel every cycle; nothing stalls.

    With `single_rounding` the output is the product / 2**(31 + right), ties away from zero. Both
    rounding steps serve for that too. Let h be the product / 2**31 rounded down, and s = 1 if that
    dropped a bit. For right > 0, the second step rounds h up from a remainder of half. That is
    right for h >= 0, whatever s is; for h < 0 a remainder of half is a tie, which is rounded down,
    only if s is 0. For right = 0 the second step does nothing, and the first one adds its nudge
    except for the tie of a negative product.
    """

    def __init__(self, fields):
        self.count = Signal(SUM)
        self.activation_sum = Signal(SUM)
        self.parameters = Record(parameter_layout())
        self.total = Signal(SUM)
        self.output = Signal((8, True))

        # # #

        total = Signal(SUM)
        correction = Signal(SUM)
        self.comb += If(fields.offset, correction.eq(self.activation_sum << 7))
        self.sync += total.eq(
            (self.count << fields.decode_shift) - correction + self.parameters.bias
        )
        self.comb += self.total.eq(delayed(self, total, SCALE_LATENCY - 1))
        shift = delayed(self, self.parameters.shift, 1)
        multiplier = delayed(self, self.parameters.multiplier[:31], 2)

        shifted, wide, wide_held = Signal(SUM), Signal((64, True)), Signal((64, True))
        self.sync += [
            shifted.eq(Mux(shift > 0, total << shift[:5], total)),
            wide.eq(shifted * multiplier),
            wide_held.eq(wide),
        ]
        nudge, above = Signal(), Signal()
        whole = delayed(self, ~shift[-1], 2)
        self.sync += [
            nudge.eq(~fields.single_rounding | (whole & (~wide[-1] | (wide[:30] != 0)))),
            above.eq(fields.single_rounding & (wide[:31] != 0)),
        ]
        high = high_mul(self, wide_held, nudge)
        right = Signal(6)
        self.comb += right.eq(Mux(shift < 0, -shift, 0))
        rounded = divide_by_power(self, high, delayed(self, right, 3), delayed(self, above, 1))
        moved = Signal((33, True))
        self.comb += moved.eq(rounded + fields.output_zero)
        self.comb += (
            If(moved < fields.clamp_low, self.output.eq(fields.clamp_low))
            .Elif(moved > fields.clamp_high, self.output.eq(fields.clamp_high))
            .Else(self.output.eq(moved))
        )


def high_mul(module, wide, nudge):
    """wide / 2**31 (64 bits, signed), plus 1/2 if `nudge` is 1, rounded down.

    With the nudge it is SaturatingRoundingDoublingHighMul, which rounds ties up.
    Returns a new register of `module`, 32 bits, signed.
    """
    nudged, high = Signal(35), Signal(SUM)
    module.comb += nudged.eq(wide[30:] + nudge)
    module.sync += high.eq(nudged[1:33])
    return high


def divide_by_power(module, value, right, above=None):
    """RoundingDivideByPOT: value (32 bits, signed) / 2**right, right 0..32, ties away from zero.

    right: a cycle before `value`. above: 1 if `value` was rounded down from a larger number, so
    that a negative half is not a tie; None: never. Returns a new register of `module`, 32 bits,
    signed. A value is rounded up if the bits shifted out are half or more, a negative value if
    they are more than half.
    """
    half, below = Signal(32), Signal(32)  # the upper bit that leaves, and the others
    rounded, up = Signal(SUM), Signal()
    held = Signal.like(right)
    stays = value[31] if above is None else value[31] & ~above
    module.comb += up.eq(((value & half) != 0) & (~stays | ((value & below) != 0)))
    module.sync += [
        held.eq(right),
        half.eq((1 << right) >> 1),
        below.eq(((1 << right) - 1) >> 1),
        rounded.eq((value >> held) + up),
    ]
    return rounded
