"""Stochastic number generators with region gating, P points at a time (contract, "Bit").

Comparators are bit-sliced: bit k of all lanes side by side. A vector over lanes and columns is
lane-major: bit p*C + c is lane p of column c.
"""

from litex.gen import LiteXModule
from migen import Cat, Replicate, Signal, log2_int

from dscim.gateware.macro.slices import greater


class PointSlices(LiteXModule):
    """The P points of a cycle as vectors over the lanes.

    | port       | dir | meaning                                                    |
    |------------|-----|------------------------------------------------------------|
    | points     | in  | for each lane (r_a, r_w)                                   |
    | region_a   | out | for each i: lanes with r_a div S = i (P bits); also        |
    | region_w   | out | for each j: the same of r_w, for every column (C*P bits)   |
    | within_a   | out | slices of r_a mod S, P bits each                           |
    | within_w   | out | slices of r_w mod S, for every column, C*P bits each       |
    """

    def __init__(self, points, side: int, columns: int):
        self.region_a, self.within_a = self._axis([r_a for r_a, _ in points], side, 1)
        self.region_w, self.within_w = self._axis([r_w for _, r_w in points], side, columns)

    def _axis(self, coordinates, side: int, repeat: int):
        def vector(bits):
            signal = Signal(repeat * len(coordinates))
            self.comb += signal.eq(Cat(*[Replicate(bit, repeat) for bit in bits]))
            return signal

        bits = log2_int(side)
        regions = [
            vector([r[bits:] == region for r in coordinates]) for region in range(256 // side)
        ]
        return regions, [vector([r[k] for r in coordinates]) for k in range(bits)]


class RowGenerators(LiteXModule):
    """The two number generators of one row, and the AND of their bits.

    | port     | dir | meaning                                                        |
    |----------|-----|----------------------------------------------------------------|
    | operand  | in  | a' >> sh                                                       |
    | sign     | in  | sign of the activation                                         |
    | weights  | in  | slices of w' >> sh of every column, then the signs             |
    | bits     | out | x_a & x_w for every lane and column                            |
    | negative | out | the product's sign for every lane and column                   |
    """

    def __init__(self, points: PointSlices, operand, sign, weights, i: int, j: int):
        lanes, width = len(points.region_a[0]), len(points.region_w[0])
        columns = width // lanes
        self.x_a = Signal(lanes)
        self.x_w = Signal(width)
        self.bits = Signal(width)
        self.negative = Signal(width)

        # # #

        above_a = greater(
            self, [Replicate(operand[k], lanes) for k in range(len(operand))], points.within_a
        )
        above_w = greater(self, [Replicate(bits, lanes) for bits in weights[:-1]], points.within_w)
        self.comb += [
            self.x_a.eq(points.region_a[i] & above_a),
            self.x_w.eq(points.region_w[j] & above_w),
            self.bits.eq(self.x_w & Cat(*[Replicate(self.x_a[p], columns) for p in range(lanes)])),
            self.negative.eq(Replicate(weights[-1] ^ Replicate(sign, columns), lanes)),
        ]
