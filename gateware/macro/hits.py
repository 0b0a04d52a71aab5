"""Which samples of a region an activation passes, in the weight's order."""

from litex.gen import LiteXModule
from migen import Array, C, Cat, Mux, Signal, log2_int

from dscim.gateware.specs.sequence import bit_reverse


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


class TableHits(LiteXModule):
    """As `Hits`, for a table: all samples of a region are one chunk, those beyond n never hit.

    | port         | dir | meaning                                |
    |--------------|-----|----------------------------------------|
    | level        | in  | la, 0..n                               |
    | samples_log2 | in  | log2 n, 0..log2 P                      |
    | passed       | out | samples below the level, 0..P          |
    | hits         | out | P bits, in the order of q              |
    """

    def __init__(self, side: int, lanes: int, table):
        bits = log2_int(lanes)
        self.level = Signal(log2_int(side))
        self.samples_log2 = Signal(3)
        self.passed = Signal(bits + 1)
        self.hits = Signal(lanes)

        # # #

        below = Signal(lanes)
        orders = []
        for _, points in table[:bits + 1]:
            order = Signal(lanes)
            rising = sorted((q, u) for u, (_, q) in enumerate(points))
            self.comb += order.eq(Cat(*[below[u] for _, u in rising]))
            orders.append(order)
        self.comb += [self.passed.eq(self.level),
                      below.eq(~(C((1 << lanes) - 1, lanes) << self.passed)),
                      self.hits.eq(Array(orders)[self.samples_log2])]
