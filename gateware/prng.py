"""The pseudo-random number generator: P points of a sequence per cycle (contract, "Sequence").

One generator serves the whole macro: all rows and all columns see the same points.
"""

from litex.gen import LiteXModule
from migen import Array, Cat, Constant, If, Signal, log2_int

from dscim.gateware.grid import step_fraction
from dscim.gateware.specs import SequenceSpec
from dscim.gateware.specs.product import region_side
from dscim.gateware.specs.sequence import lfsr_step


def build_prng(sequence: SequenceSpec, or_width: int, lanes: int) -> "PRNG":
    """The generator of a sequence with `lanes` (1, 2, 4 ... 64) points per cycle."""
    if sequence.kind == "lfsr":
        return LFSRGenerator(sequence, lanes)
    if sequence.kind == "table":
        return TableGenerator(sequence, or_width, lanes)
    return CounterGenerator(or_width, lanes)


class PRNG(LiteXModule):
    """The ports of every generator. At cycle c lane p shows point t = c*P + p.

    | port         | dir | meaning                                                     |
    |--------------|-----|-------------------------------------------------------------|
    | restart      | in  | the next cycle shows the points from t = 0                  |
    | advance      | in  | the next cycle shows the next P points; restart wins        |
    | samples_log2 | in  | log2 n; the lfsr sequence does not depend on it             |
    | points       | out | for each lane (r_a, r_w), 8 bits each                       |
    """

    def __init__(self, lanes: int):
        self.restart = Signal()
        self.advance = Signal()
        self.samples_log2 = Signal(3)
        self.points = [(Signal(8, name=f"r_a{p}"), Signal(8, name=f"r_w{p}")) for p in range(lanes)]


class LFSRGenerator(PRNG):
    """Two 8-bit Galois LFSRs; each lane has its own pair, which jumps P steps per cycle."""

    def __init__(self, sequence: SequenceSpec, lanes: int):
        super().__init__(lanes)

        # # #

        for axis, (taps, seed) in enumerate(zip(sequence.taps, sequence.seeds, strict=True)):
            first = seed
            for lane in self.points:
                state = lane[axis]
                state.reset = Constant(first, 8)
                self.sync += [
                    If(self.advance, state.eq(jumped(state, taps, lanes))),
                    If(self.restart, state.eq(first)),
                ]
                first = lfsr_step(first, taps)


def jump_matrix(taps: int, steps: int) -> list[int]:
    """`steps` steps of an LFSR as a matrix over GF(2): the state bits that each bit XORs."""
    rows = [0] * 8
    for source in range(8):
        image = 1 << source
        for _ in range(steps):
            image = lfsr_step(image, taps)
        for bit in range(8):
            rows[bit] |= (image >> bit & 1) << source
    return rows


def jumped(state, taps: int, steps: int):
    """The state after `steps` steps: an expression of 8 bits."""
    bits = []
    for row in jump_matrix(taps, steps):
        sources = [state[source] for source in range(8) if row >> source & 1]
        total = sources[0]
        for source in sources[1:]:
            total = total ^ source
        bits.append(total)
    return Cat(*bits)


class CounterGenerator(PRNG):
    """Van der Corput points in region order: t counts the regions, then their samples."""

    def __init__(self, or_width: int, lanes: int):
        super().__init__(lanes)

        # # #

        side = region_side(or_width)
        self.fine = Signal(log2_int(side))
        self.step_log2 = Signal(3)
        step = Signal(max(1, log2_int(or_width * side // lanes)))
        self.comb += [
            self.fine.eq(step_fraction(side, side, self.samples_log2)),
            self.step_log2.eq(log2_int(side) - self.samples_log2),
        ]
        self.sync += [If(self.advance, step.eq(step + 1)), If(self.restart, step.eq(0))]
        region_bits = log2_int(or_width)
        for lane, point in enumerate(self.points):
            t = Signal(log2_int(or_width * side))
            self.comb += t.eq(Cat(Constant(lane, log2_int(lanes)), step) if lanes > 1 else step)
            self._point(point, t[:region_bits], t[region_bits:], side)

    def _point(self, point, region, u, side: int):
        """Sample u of a region: u*step on one axis, bit-reversed or its complement on the other."""
        root_log2, side_log2 = len(region) // 2, log2_int(side)
        j, i = region[:root_log2], region[root_log2:]
        along, across = Signal(side_log2), Signal(side_log2)
        middle = self.fine >> 1
        odd = i[0] ^ j[0]
        self.comb += [
            along.eq((u << self.step_log2) | middle),
            # n*step = S: reversing log2 n bits of u and scaling is reversing all log2 S bits
            across.eq((Cat(*reversed(list(u))) ^ Cat(*[odd & ~bit for bit in self.fine])) | middle),
            point[0].eq(Cat(along, i)),
            point[1].eq(Cat(across, j)),
        ]


class TableGenerator(PRNG):
    """A table's points in region order, from a read-only table of thresholds for each n."""

    def __init__(self, sequence: SequenceSpec, or_width: int, lanes: int):
        super().__init__(lanes)

        # # #

        side = region_side(or_width)
        most = min(side, sequence.max_samples)
        self._tables = [
            [[value * side // 256 for value in axis] for axis in zip(*points, strict=True)]
            for _, points in sequence.table[: log2_int(most) + 1]
        ]
        step = Signal(max(1, log2_int(max(1, or_width * most // lanes))))
        self.sync += [If(self.advance, step.eq(step + 1)), If(self.restart, step.eq(0))]
        region_bits = log2_int(or_width)
        for lane, point in enumerate(self.points):
            t = Signal(region_bits + 6)
            self.comb += t.eq(Cat(Constant(lane, log2_int(lanes)), step) if lanes > 1 else step)
            j, i = t[: region_bits // 2], t[region_bits // 2 : region_bits]
            self.comb += [
                r.eq(Cat(self._threshold(axis, t[region_bits:], log2_int(side)), region))
                for axis, (r, region) in enumerate(zip(point, (i, j), strict=True))
            ]

    def _threshold(self, axis: int, u, width: int):
        """A new signal: the threshold of sample u for the current n."""
        found = []
        for table in self._tables:
            value = Signal(width)
            self.comb += value.eq(Array([Constant(entry, width) for entry in table[axis]])[u])
            found.append(value)
        threshold = Signal(width)
        self.comb += threshold.eq(Array(found)[self.samples_log2])
        return threshold
