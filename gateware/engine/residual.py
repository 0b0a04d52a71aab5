"""The tensor that is added to a product's outputs, read pixel by pixel."""

from litex.gen import LiteXModule
from migen import C, Cat, If, Record, Signal

from dscim.gateware.engine.lines import ROW_BITS, each_bank, place_layout, rotated
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

RESIDUAL_LATENCY = 3
"""Cycles from a step to the bytes of its residual."""


class Residual(LiteXModule):
    """Reads a word of every bank at once, and hands out the bytes of step after step.

    The tensor has the layout of the output: a pixel's words lie in the same banks, at the same
    distance from `second_base`, and are read before they are written.

    | port   | dir | meaning                                                               |
    |--------|-----|-----------------------------------------------------------------------|
    | begins | in  | a step whose words are not read yet; with place: of its first word in |
    |        |     | the output, and octet: its first byte in it                           |
    | fields | in  | the layer's: residual, second_base, output_base, output_width         |
    | read   | out | adr of each bank, re; in: dat_r, a cycle after re                     |
    | octets | out | `lanes` bytes, RESIDUAL_LATENCY cycles after each step                |
    """

    def __init__(self, spec: SocSpec, fields, adr_bits: int):
        banks, lanes = spec.banks, spec.requant_lanes
        self.begins = Signal()
        self.place = Record(place_layout(banks))
        self.octet = Signal(3)
        self.read = read = Record(
            [("adr", banks * adr_bits), ("re", 1), ("dat_r", 8 * WORD_BYTES * banks)]
        )
        self.octets = Signal(8 * lanes)

        # # #

        away, near, far = Signal(ROW_BITS), Signal(ROW_BITS), Signal(ROW_BITS)
        bank, octet = Signal.like(self.place.bank), Signal.like(self.octet)
        turn, skip = Signal.like(bank), Signal.like(octet)
        arrived = Signal()
        size = 8 * min(WORD_BYTES * banks, max(WORD_BYTES, spec.macro.columns))
        words, held = Signal(size), Signal(size)
        self.comb += [
            near.eq(self.place.row + away),
            far.eq(near + fields.output_width),
            words.eq(rotated(self, read.dat_r, turn, 8 * WORD_BYTES)[:size] >> Cat(C(0, 3), skip)),
            self.octets.eq(held),
        ]
        self.sync += [
            away.eq(fields.second_base - fields.output_base),  # long before the first step
            read.re.eq(fields.residual & self.begins),
            read.adr.eq(each_bank(banks, self.place.bank, near[:adr_bits], far[:adr_bits])),
            If(self.begins, bank.eq(self.place.bank), octet.eq(self.octet)),
            turn.eq(bank),
            skip.eq(octet),
            arrived.eq(read.re),
            held.eq(held >> 8 * lanes),
            If(arrived, held.eq(words)),
        ]
