"""Operands in the form that macros compute with: magnitude and sign (contract, section 2).

As far as activations go, offset mode is split mode with the zero point -128 and no shift: x + 128
is x - (-128), which is never negative.
"""

from litex.gen import LiteXModule
from migen import C, Cat, If, Mux, Signal


class ActivationEncoder(LiteXModule):
    """Activations as magnitude and sign in two stages: the first is |x - z|, the second shifts.

    modes: the signed modes built. zero_point: z. Both stages are combinational.
    offset: a' = x + 128, sign 0; split: a' = min(|x - z| << e, 255), sign of x - z.
    """

    def __init__(self, modes, config):
        self.modes = modes
        self.signed = "split" in modes
        self.zero_point, self.shift = Signal((8, True)), Signal(2)
        if modes == ("split",):
            self.comb += [
                self.zero_point.eq(config.zero_point),
                self.shift.eq(config.activation_shift),
            ]
        elif self.signed:
            self.comb += [
                self.zero_point.eq(Mux(config.offset, -128, config.zero_point)),
                self.shift.eq(Mux(config.offset, 0, config.activation_shift)),
            ]
        self.width = 8 + self.signed

    def first(self, module, x):
        """A new signal: |x - z| and above it, with the mode split, the sign of x - z."""
        result = Signal(self.width)
        if not self.signed:
            module.comb += result.eq(x ^ 0x80)
            return result
        value, up, down = Signal((8, True)), Signal((9, True)), Signal((9, True))
        module.comb += [
            value.eq(x),
            up.eq(value - self.zero_point),
            down.eq(self.zero_point - value),
            result.eq(Cat(Mux(up[8], down[:8], up[:8]), up[8])),
        ]
        return result

    def second(self, module, held, shift):
        """A new signal of 8 bits: a' of what `first` gave."""
        result = Signal(8)
        if not self.signed:
            module.comb += result.eq(held)
            return result
        shifted = Signal(11)
        module.comb += [
            shifted.eq(held[:8] << shift),
            result.eq(Mux(shifted[8:] != 0, 0xFF, shifted[:8])),
        ]
        return result


class WeightEncoder(LiteXModule):
    """One weight w, int8, as magnitude w' and sign; combinational.

    offset: w' = w + 128, sign 0; split: w' = 2*min(|w|, 127), sign of w.

    | port      | dir | meaning                            |
    |-----------|-----|------------------------------------|
    | w         | in  | int8                               |
    | offset    | in  | the mode, if both are built        |
    | value     | out | w', 0..255                         |
    | sign      | out | 1: negative                        |
    """

    def __init__(self, modes):
        self.w = Signal(8)
        self.offset = Signal()
        self.value = Signal(8)
        self.sign = Signal()

        # # #

        size = Signal(7)
        low = self.w[:7]
        in_offset = [self.value.eq(self.w ^ 0x80), self.sign.eq(0)]
        in_split = [self.value.eq(Cat(C(0, 1), size)), self.sign.eq(self.w[7])]
        # -128 has no positive counterpart: the contract saturates it to 127
        self.comb += size.eq(Mux(self.w[7], Mux(low == 0, 127, -low), low))
        if modes == ("split",):
            self.comb += in_split
        elif modes == ("offset",):
            self.comb += in_offset
        else:
            self.comb += If(self.offset, *in_offset).Else(*in_split)
