"""Operands in the form that macros compute with: magnitude and sign (contract, section 2)."""

from litex.gen import LiteXModule
from migen import C, Cat, If, Mux, Signal


def _choose(offset, modes, in_offset, in_split):
    """The assignments of the signed mode: fixed if only one mode is built."""
    if modes == ("split",):
        return in_split
    if modes == ("offset",):
        return in_offset
    return [If(offset, *in_offset).Else(*in_split)]


class ActivationEncoder(LiteXModule):
    """One activation x, int8, as magnitude a' and sign; combinational.

    modes: the signed modes built. offset: a' = x + 128, sign 0;
    split: a' = min(|x - z| << e, 255), sign of x - z.

    | port      | dir | meaning          |
    |-----------|-----|------------------|
    | x         | in  | int8             |
    | value     | out | a', 0..255       |
    | sign      | out | 1: negative      |
    """

    def __init__(self, config, modes):
        self.x = Signal(8)
        self.value = Signal(8)
        self.sign = Signal()

        # # #

        self.difference = difference = Difference(config.zero_point)
        size, shifted = Signal(8), Signal(11)
        self.comb += [
            difference.x.eq(self.x),
            size.eq(Mux(difference.sign, -difference.value, difference.value)),
            shifted.eq(size << config.activation_shift),
            *_choose(
                config.offset,
                modes,
                [self.value.eq(self.x ^ 0x80), self.sign.eq(0)],
                [
                    self.value.eq(Mux(shifted[8:] != 0, 0xFF, shifted[:8])),
                    self.sign.eq(difference.sign),
                ],
            ),
        ]


class Difference(LiteXModule):
    """The exact x - z, both int8, as nine bits of two's complement; combinational.

    | port  | dir | meaning              |
    |-------|-----|----------------------|
    | x     | in  | int8                 |
    | value | out | the low eight bits   |
    | sign  | out | x < z                |
    """

    def __init__(self, zero_point):
        self.x = Signal((8, True))
        self.difference = Signal((9, True))
        self.value = self.difference[:8]
        self.sign = self.difference[8]

        # # #

        self.comb += self.difference.eq(self.x - zero_point)


class WeightEncoder(LiteXModule):
    """One weight w, int8, as magnitude w' and sign; combinational.

    offset: w' = w + 128, sign 0; split: w' = 2*min(|w|, 127), sign of w.

    | port      | dir | meaning          |
    |-----------|-----|------------------|
    | w         | in  | int8             |
    | value     | out | w', 0..255       |
    | sign      | out | 1: negative      |
    """

    def __init__(self, config, modes):
        self.w = Signal(8)
        self.value = Signal(8)
        self.sign = Signal()

        # # #

        size = Signal(7)
        low = self.w[:7]
        self.comb += [
            # -128 has no positive counterpart: the contract saturates it to 127
            size.eq(Mux(self.w[7], Mux(low == 0, 127, -low), low)),
            *_choose(
                config.offset,
                modes,
                [self.value.eq(self.w ^ 0x80), self.sign.eq(0)],
                [self.value.eq(Cat(C(0, 1), size)), self.sign.eq(self.w[7])],
            ),
        ]


class IntegerWeight(LiteXModule):
    """One weight, unchanged: eight bits of two's complement; combinational.

    | port  | dir | meaning              |
    |-------|-----|----------------------|
    | w     | in  | int8                 |
    | value | out | the low seven bits   |
    | sign  | out | w < 0                |
    """

    def __init__(self):
        self.w = Signal(8)
        self.value = self.w[:7]
        self.sign = self.w[7]
