"""Thresholds of a region and the level of an operand: how many thresholds it exceeds.

The samples of a region are u = 0..n-1. Their thresholds of activations never decrease with u, so
sample u passes if the activation's level exceeds u. All n up to `most` are built.
"""

from migen import Array, C, Cat, Constant, Replicate, Signal, bits_for, log2_int


def built(most: int) -> range:
    """log2 of every n up to `most`."""
    return range(log2_int(most) + 1)


def chosen(samples_log2, values):
    """The value for the n that is set; values: for n = 1, 2, 4 ..."""
    return values[0] if all(value is values[0] for value in values) else Array(values)[samples_log2]


def step_fraction(side: int, most: int, samples_log2):
    """S/n - 1 for the n that is set, as a value of log2 S bits."""
    width = log2_int(side)
    return Array([C((side >> log2) - 1, width) for log2 in built(most)])[samples_log2]


class Grid:
    """The counter sequence: thresholds u*step + max(step/2 - 1, 0), step = S/n.

    An operand of log2 S bits lies above (operand + step/2) div step of them. The weight's
    thresholds are the same ones in another order: sample u has number v = bit-reversed u, or
    n - 1 - v in regions with odd i + j.
    """

    def __init__(self, side: int, most: int):
        self.side, self.most = side, most
        self.side_log2 = log2_int(side)
        self.level_bits = bits_for(min(most, side - 1))

    def level(self, module, operand, samples_log2):
        """A new signal: the level of an activation's operand (log2 S bits)."""
        doubled = [0, *operand]
        kept = log2_int(self.most) + 1
        parts = []
        for log2 in built(self.most):
            part = Signal(kept)
            module.comb += part.eq(Cat(*doubled[self.side_log2 - log2 :]))
            parts.append(part)
        shifted, level = Signal(kept), Signal(self.level_bits)
        module.comb += shifted.eq(chosen(samples_log2, parts))
        if kept == 1:
            return shifted
        module.comb += level.eq(shifted[1:] + shifted[0])
        return level

    def thresholds(self, module, slots: int, chunk, odd, samples_log2):
        """New signals: the weight's thresholds of samples u = chunk*slots + 0, 1 ... slots - 1.

        Samples beyond n have those of u mod n.
        """
        fine, kept, middle = (Signal(self.side_log2) for _ in range(3))
        module.comb += [
            fine.eq(step_fraction(self.side, self.most, samples_log2)),
            kept.eq(~fine),
            middle.eq(fine >> 1),
        ]
        found = []
        for slot in range(slots):
            bits = [*C(slot, max(1, log2_int(slots)))][: log2_int(slots)] + list(chunk)
            bits += [C(0, 1)] * (self.side_log2 - len(bits))
            threshold = Signal(self.side_log2)
            flipped = Cat(*reversed(bits)) ^ Replicate(odd, self.side_log2)
            module.comb += threshold.eq((flipped & kept) | middle)
            found.append(threshold)
        return found


class TableGrid:
    """A table: thresholds of its own for each n on both axes. Methods of `Grid`."""

    def __init__(self, side: int, table, most: int):
        self.side, self.most = side, most
        self.side_log2 = log2_int(side)
        self.level_bits = bits_for(most)
        self.entries = [
            [[value * side // 256 for value in axis] for axis in zip(*points, strict=True)]
            for _, points in table[: log2_int(most) + 1]
        ]

    def level(self, module, operand, samples_log2):
        """A new signal: the level of an activation's operand (log2 S bits)."""
        level = Signal(self.level_bits)
        rows = []
        for thresholds, _ in self.entries:
            row = Signal.like(level)
            levels = [sum(value > t for t in thresholds) for value in range(self.side)]
            module.comb += row.eq(Array([C(value, len(level)) for value in levels])[operand])
            rows.append(row)
        module.comb += level.eq(chosen(samples_log2, rows))
        return level

    def thresholds(self, module, slots: int, chunk, odd, samples_log2):
        """New signals: the weight's thresholds of samples u = chunk*slots + 0, 1 ... slots - 1.

        Samples beyond n have those of u mod n.
        """
        found = []
        for slot in range(slots):
            values = []
            for _, thresholds in self.entries:
                n = len(thresholds)
                value = Signal(self.side_log2)
                each = [
                    Constant(thresholds[(k * slots + slot) % n], self.side_log2)
                    for k in range(1 << len(chunk))
                ]
                module.comb += value.eq(Array(each)[chunk] if len(chunk) else each[0])
                values.append(value)
            threshold = Signal(self.side_log2)
            module.comb += threshold.eq(chosen(samples_log2, values))
            found.append(threshold)
        return found


def build_grid(spec):
    """The grid of a macro's sequence, counter or table."""
    if spec.sequence.table:
        return TableGrid(spec.side, spec.sequence.table, spec.max_samples)
    return Grid(spec.side, spec.max_samples)
