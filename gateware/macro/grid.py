"""Thresholds of a region on their grid, for the counter sequence."""

from litex.gen import LiteXModule
from migen import C, Cat, Mux, Signal, log2_int

from dscim.gateware.specs.sequence import bit_reverse


class Grid(LiteXModule):
    """The grid of the thresholds of a region for the present n (run-time).

    The thresholds are u*step + max(step/2 - 1, 0) for u in 0..n-1, step = S/n, so an operand of
    log2 S bits lies above (operand + step/2) div step of them: its level, 0..n.

    | port         | dir | meaning                       |
    |--------------|-----|-------------------------------|
    | samples_log2 | in  | log2 n, 0..log2 S             |
    | half         | out | step/2, rounded down          |
    | fine         | out | step - 1                      |
    | step_log2    | out | log2 step                     |
    """

    def __init__(self, side: int):
        self.side_log2 = log2_int(side)
        self.samples_log2 = Signal(3)
        self.half = Signal(self.side_log2)
        self.fine = Signal(self.side_log2)
        self.step_log2 = Signal(3)

        # # #

        self.comb += [self.half.eq((side//2) >> self.samples_log2),
                      self.fine.eq((side - 1) >> self.samples_log2),
                      self.step_log2.eq(self.side_log2 - self.samples_log2)]

    def scaled_level(self, operand):
        """A new signal of log2 S + 1 bits: level * step of an operand (log2 S bits)."""
        total, level = Signal(self.side_log2 + 1), Signal(self.side_log2 + 1)
        self.comb += [total.eq(operand + self.half), level.eq(total & ~self.fine)]
        return level

    def level(self, operand):
        """A new signal of log2 S bits: the level; n = S has no level S, so it fits."""
        level = Signal(self.side_log2)
        self.comb += level.eq(self.scaled_level(operand) >> self.step_log2)
        return level


class Hits(LiteXModule):
    """The P samples of a region that an activation's level passes, in the weight's order.

    Sample u of a chunk of P meets the weight's threshold number v = bit-reversed u, or
    P - 1 - v in regions of odd i + j. `hits[v]` is 1 when u is below the level.

    | port   | dir | meaning                                         |
    |--------|-----|-------------------------------------------------|
    | level  | in  | la of the whole region, log2 S bits             |
    | chunk  | in  | number of the chunk (0 where P = S)       |
    | odd    | in  | i + j is odd                                    |
    | passed | out | samples of this chunk below the level, 0..P     |
    | hits   | out | P bits                                          |
    """

    def __init__(self, side: int, lanes: int):
        bits, chunks = log2_int(lanes), side//lanes
        self.level = Signal(log2_int(side))
        self.chunk = Signal(max(1, log2_int(chunks)))
        self.odd = Signal()
        self.passed = Signal(bits + 1)
        self.hits = Signal(lanes)

        # # #

        below, even = Signal(lanes), Signal(lanes)
        if chunks == 1:
            self.comb += self.passed.eq(self.level)
        else:
            here = self.level[bits:]
            self.comb += self.passed.eq(Mux(here == self.chunk, self.level[:bits],
                                            Mux(here > self.chunk, lanes, 0)))
        self.comb += [
            below.eq(~(C((1 << lanes) - 1, lanes) << self.passed)),
            even.eq(Cat(*[below[bit_reverse(v, bits)] for v in range(lanes)])),
            self.hits.eq(Mux(self.odd, Cat(*[even[lanes - 1 - v] for v in range(lanes)]), even)),
        ]
