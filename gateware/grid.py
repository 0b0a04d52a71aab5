"""The level of an operand in a region: how many of the region's thresholds it exceeds."""

from litex.gen import LiteXModule
from migen import Array, C, Cat, Signal, log2_int


class Grid(LiteXModule):
    """The grid of a region's thresholds for an n that is set at run time.

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

        self.comb += [
            self.half.eq((side // 2) >> self.samples_log2),
            self.fine.eq((side - 1) >> self.samples_log2),
            self.step_log2.eq(self.side_log2 - self.samples_log2),
        ]

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


class TableGrid(LiteXModule):
    """As `Grid` for the thresholds of a table on one axis: small read-only tables of levels.

    A level is at most `most`, the samples that a macro's lanes hold. A scaled level is the level
    in the bits above `chunk_bits`, because all samples of a region are one chunk.

    | port         | dir | meaning                       |
    |--------------|-----|-------------------------------|
    | samples_log2 | in  | log2 n, 0..log2 of `most`     |
    """

    def __init__(self, side: int, table, axis: int, most: int, chunk_bits: int):
        self.side_log2 = log2_int(side)
        self.samples_log2 = Signal(3)
        self.chunk_bits = chunk_bits
        entries = table[: log2_int(most) + 1]
        self.levels = [
            [
                sum(operand > point[axis] * side // 256 for point in points)
                for operand in range(side)
            ]
            for _, points in entries
        ]

    def level(self, operand):
        """A new signal of log2 S bits: the level, which fits as fewer than S samples are held."""
        level = Signal(self.side_log2)
        rows = []
        for levels in self.levels:
            row = Signal.like(level)
            self.comb += row.eq(Array([C(value, self.side_log2) for value in levels])[operand])
            rows.append(row)
        self.comb += level.eq(Array(rows)[self.samples_log2])
        return level

    def scaled_level(self, operand):
        """A new signal of log2 S + 1 bits."""
        scaled = Signal(self.side_log2 + 1)
        self.comb += scaled.eq(
            Cat(C(0, self.chunk_bits), self.level(operand))
            if self.chunk_bits
            else self.level(operand)
        )
        return scaled
