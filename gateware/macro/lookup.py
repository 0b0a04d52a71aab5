"""The part of a step that all columns of a group share: a row's hits, ready to be looked up.

A cell's count is the number of hits below its level, 0..P, among the P samples of the step's
chunk. Levels and counts are bit-sliced. Stages are those of `SelectedSamples`.
"""

from litex.gen import LiteXModule
from migen import Array, C, Cat, Mux, Signal, log2_int

from dscim.gateware.logic import delayed, delayed_all
from dscim.gateware.macro.slices import add_slices, choose, sum_slices
from dscim.gateware.specs.sequence import bit_reverse


class CounterLookup(LiteXModule):
    """The counter sequence: sample u of a chunk has the weight's threshold number v =
    bit-reversed u, or P - 1 - v in regions with odd i + j.

    Let v = h*B + l. If A*H + a samples pass the activation (B*H = P), v is a hit if rev(l) < A, or
    if rev(l) = A and rev(h) < a. So all blocks of B have the same hits, except for one. The number
    of hits below the level h*B + l is

        whole[h] + part[l] + (more[h] and beyond[l])

    that is: the hits of the blocks before h, the common hits before l, and the exception, if block
    h has it and it is before l.

    | port   | dir | meaning                                                        |
    |--------|-----|----------------------------------------------------------------|
    | level  | in  | stage 1: the activation's in the whole region, log2 S bits     |
    | chunk  | in  | stage 1: number of the chunk (0 if P = S)                      |
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
        """Stage 3: for every column, the number of hits below `level`, bit-sliced."""
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
    """A table: all samples of a region are one chunk, and samples beyond n never hit. The weights'
    thresholds rise with v.

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
        """As in `CounterLookup`."""
        return _looked_up(module, level, self.whole, len(level[0]))


def exceeds(number, constant: int):
    """number > constant, without a carry chain: an expression of one bit, or 0."""
    greater = 0
    for k in range(max(len(number), constant.bit_length())):
        bit = number[k] if k < len(number) else 0
        greater = bit & greater if constant >> k & 1 else bit | greater
    return greater


def _held(module, bits: int, sums):
    """New registers: the k-th holds bit k of all sums. A sum is a list of bit-sliced numbers."""
    numbers = [sum_slices(module, numbers) if numbers else [] for numbers in sums]
    held = [Signal(len(numbers)) for _ in range(bits)]
    module.sync += [
        register.eq(Cat(*[number[k] if k < len(number) else C(0, 1) for number in numbers]))
        for k, register in enumerate(held)
    ]
    return held


def _looked_up(module, select, table, columns: int):
    """For all columns, the numbers of `table` that `select` names, bit-sliced."""
    return [choose(module, select, list(entries), columns) for entries in table]
