"""The tensor that a product's outputs are added to, read beside the windows."""

from itertools import pairwise

from litex.gen import LiteXModule
from migen import C, Cat, If, Record, Signal, log2_int

from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

RESIDUAL_LATENCY = 4
"""Cycles from a step to its octets."""


class Residual(LiteXModule):
    """Reads a word for the first step in it, and gives each step's octets.

    Its words are the output's, elsewhere: whatever channels a step writes, it reads the same ones
    at as many words from `second_base`, before they are written.

    | port   | dir | meaning                                                               |
    |--------|-----|-----------------------------------------------------------------------|
    | step   | in  | present: lanes that have a channel; opens: the pixel's first; place:  |
    |        |     | channel of lane 0; adr: the pixel's first word in the output          |
    | fields | in  | the layer's: residual, second_base, output_base                       |
    | read   | out | adr, re; in  dat_r, a cycle after re                                  |
    | octets | out | `lanes` bytes, RESIDUAL_LATENCY cycles after the step                 |
    """

    def __init__(self, spec: SocSpec, fields, step):
        lanes = spec.requant_lanes
        octet_bits = log2_int(WORD_BYTES)
        self.read = read = Record(
            [("adr", log2_int(spec.activation_words)), ("re", 1), ("dat_r", 8 * WORD_BYTES)]
        )
        self.octets = Signal(8 * lanes)

        # # #

        away = Signal(17)  # wraps
        first = [Signal(octet_bits, name=f"first{k}") for k in range(RESIDUAL_LATENCY - 1)]
        arrived, word = Signal(), Signal(8 * WORD_BYTES)
        opens = step.opens | (step.place[:octet_bits] == 0)
        self.sync += [
            away.eq(fields.second_base - fields.output_base),  # long before the first step
            read.adr.eq(away + step.adr + step.place[octet_bits:]),
            read.re.eq(fields.residual & (step.present != 0) & opens),
            arrived.eq(read.re),
            If(arrived, word.eq(read.dat_r)),
            first[0].eq(step.place[:octet_bits]),
            *[after.eq(before) for before, after in pairwise(first)],
            self.octets.eq(word >> Cat(C(0, 3), first[-1])),
        ]
