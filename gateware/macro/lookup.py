"""What the columns of a group share of a step: a row's hits, made ready to be looked up.

A cell's count is that of the hits below its own level, 0..P, of the P samples of the step's
chunk. Levels and counts are bit-sliced: bit k of every column side by side. Stages are those of
`SelectedSamples`.
"""

from litex.gen import LiteXModule
from migen import Array, C, Cat, Mux, Signal, log2_int

from dscim.gateware.logic import delayed, delayed_all
from dscim.gateware.macro.slices import add_slices, choose, sum_slices
from dscim.gateware.specs.sequence import bit_reverse


class CounterLookup(LiteXModule):
    """The counter sequence: sample u of a chunk meets the weight's threshold number v =
    bit-reversed u, or P - 1 - v in regions of odd i + j.

    Cut v into h*B + l. Where A*H + a samples pass the activation (B*H = P), v is a hit where
    rev(l) < A, or rev(l) = A and rev(h) < a: blocks of B have their hits in common, but for one.
    So below the level h*B + l lie

        whole[h] + part[l] + (more[h] and beyond[l])

    hits: of the blocks before h, the common ones before l, and that one, where block h has it
    and it is before l.

    | port   | dir | meaning                                                        |
    |--------|-----|----------------------------------------------------------------|
    | level  | in  | stage 1: the activation's in the whole region, log2 S bits     |
    | chunk  | in  | stage 1: number of the chunk (0 where P = S)                   |
    | odd    | in  | stage 1: i + j is odd                                          |
    | passed | out | stage 3: A*H + a, 0..P                                         |
    """

    def __init__(self, side: int, lanes: int):
        self.bits = bits = log2_int(lanes)
        self.low_bits = low_bits = (bits + 1) // 2
        self.level = Signal(log2_int(side))
        self.chunk = Signal(max(1, log2_int(side // lanes)))
        self.odd = Signal()

        # # #

        passed = Signal(bits + 1)
        if side == lanes:
            self.comb += passed.eq(self.level)
        else:
            here = self.level[bits:]
            self.comb += passed.eq(
                Mux(here == self.chunk, self.level[:bits], Mux(here > self.chunk, lanes, 0))
            )
        passed, odd = delayed_all(self, [passed, self.odd])
        rest, common = passed[: bits - low_bits], passed[bits - low_bits :]

        def of_all(bits: int, test):
            """`test` of bit-reversed numbers, in the order of v: a new vector."""
            found = Signal(1 << bits)
            even = [test(bit_reverse(v, bits)) for v in range(1 << bits)]
            self.comb += found.eq(
                Cat(*[Mux(odd, b, a) for a, b in zip(even, reversed(even), strict=True)])
            )
            return found

        in_all = of_all(low_bits, lambda number: exceeds(common, number))
        one = of_all(low_bits, lambda number: common == number)
        more = of_all(bits - low_bits, lambda number: exceeds(rest, number))
        self.whole = _held(
            self, bits, [[[*common]] * h + [[hit] for hit in more[:h]] for h in range(len(more))]
        )
        self.part = _held(
            self, low_bits, [[[hit] for hit in in_all[:low]] for low in range(len(one))]
        )
        self.beyond = _held(self, 1, [[[one[:low] != 0]] if low else [] for low in range(len(one))])
        self.more = _held(self, 1, [[[hit]] for hit in more])
        self.passed = delayed(self, passed)

    def below(self, module, level):
        """Stage 3: for every column the hits below `level`, a slice for each of its bits."""
        low, high = level[: self.low_bits], level[self.low_bits :]
        columns = len(low[0])
        whole, more = (
            _looked_up(module, high, table, columns) for table in (self.whole, self.more)
        )
        part, beyond = (
            _looked_up(module, low, table, columns) for table in (self.part, self.beyond)
        )
        return add_slices(module, whole, part, more[0] & beyond[0])[: self.bits]


class TableLookup(LiteXModule):
    """A table: all samples of a region are one chunk, those beyond n never hit; the weights'
    thresholds rise in the order of v.

    | port         | dir | meaning                                                  |
    |--------------|-----|----------------------------------------------------------|
    | level        | in  | stage 1: the activation's, 0..n                          |
    | samples_log2 | in  | log2 n, 0..log2 P                                        |
    | passed       | out | stage 3: samples that pass the activation, 0..P          |
    """

    def __init__(self, side: int, lanes: int, table):
        self.bits = bits = log2_int(lanes)
        self.level = Signal(log2_int(side))
        self.samples_log2 = Signal(3)

        # # #

        hits, below, passed = Signal(lanes), Signal(lanes), Signal(bits + 1)
        orders = []
        for _, points in table[: bits + 1]:
            order = Signal(lanes)
            rising = sorted((q, u) for u, (_, q) in enumerate(points))
            self.comb += order.eq(Cat(*[below[u] for _, u in rising]))
            orders.append(order)
        self.comb += [
            passed.eq(self.level),
            below.eq(~(C((1 << lanes) - 1, lanes) << passed)),
            hits.eq(Array(orders)[self.samples_log2]),
        ]
        hits, passed = delayed_all(self, [hits, passed])
        self.whole = _held(self, bits, [[[hit] for hit in hits[:v]] for v in range(lanes)])
        self.passed = delayed(self, passed)

    def below(self, module, level):
        """As that of `CounterLookup`."""
        return _looked_up(module, level, self.whole, len(level[0]))


def exceeds(number, constant: int):
    """number > constant, without a carry chain: an expression of one bit, or 0."""
    greater = 0
    for k in range(max(len(number), constant.bit_length())):
        bit = number[k] if k < len(number) else 0
        greater = bit & greater if constant >> k & 1 else bit | greater
    return greater


def _held(module, bits: int, sums):
    """New registers, bit k of all sums in the k-th; each sum is of numbers in slices."""
    numbers = [sum_slices(module, numbers) if numbers else [] for numbers in sums]
    held = [Signal(len(numbers)) for _ in range(bits)]
    module.sync += [
        register.eq(Cat(*[number[k] if k < len(number) else C(0, 1) for number in numbers]))
        for k, register in enumerate(held)
    ]
    return held


def _looked_up(module, select, table, columns: int):
    """The slices, for all columns, of those numbers in `table` that `select` names."""
    return [choose(module, select, list(entries), columns) for entries in table]
