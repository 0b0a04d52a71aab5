"""Thresholds of a region on their grid, for the counter sequence."""

from litex.gen import LiteXModule
from migen import Signal, log2_int


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
