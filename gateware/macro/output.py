"""Column counters, and the buffer of finished products."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Mux, Signal, bits_for

from dscim.gateware.logic import add_with_carry, delayed_all, sum_with_carries

COUNTER_LATENCY = 2
"""Cycles from a term at the counters' input to `done`."""


class ColumnCounters(LiteXModule):
    """Adds up each column's signed terms over all steps of a product.

    terms: for each column, the signed signals to add. carries: for each column, bits to add too, at
    most as many as terms. span: the largest absolute sum of a column's terms and bits in one step.

    | port   | dir | meaning                                             |
    |--------|-----|-----------------------------------------------------|
    | valid  | in  | the terms belong to a step                          |
    | first  | in  | ... the first of its product                        |
    | last   | in  | ... the last of its product                         |
    | counts | out | for each column N, `width` bits, two's complement   |
    | done   | out | the counts are complete, in this cycle only         |
    """

    def __init__(self, terms, span: int, width: int, carries=None):
        self.valid = Signal()
        self.first = Signal()
        self.last = Signal()
        self.counts = [Signal((width, True), name=f"count{c}") for c in range(len(terms))]
        self.done = Signal()

        # # #

        valid, first, last = delayed_all(self, [self.valid, self.first, self.last])
        self.sync += self.done.eq(valid & last)
        for column, count in enumerate(self.counts):
            total, carry = sum_with_carries(self, terms[column], carries[column] if carries else ())
            held = Signal((bits_for(span) + 1, True), name=f"sum{column}")
            before = Signal((width, True))
            self.comb += before.eq(Mux(first, 0, count))
            self.sync += If(self.valid, held.eq(total))
            after = before + held
            if carry is not None:
                held_carry = Signal()
                self.sync += If(self.valid, held_carry.eq(carry))
                after = add_with_carry(self, before, held, held_carry)
            self.sync += If(valid, count.eq(after))


class ResultBuffer(LiteXModule):
    """Reserves room for every started product, and holds finished products until they are taken.

    | port           | dir | meaning                                                      |
    |----------------|-----|--------------------------------------------------------------|
    | room           | out | a product may be started                                     |
    | start          | in  | one starts                                                   |
    | summed         | in  | `activation_sum` is that of the oldest started window        |
    |                |     | without one; before `done`                                   |
    | done           | in  | `counts` are those of the oldest started product             |
    | source         | out | stream of finished products                                  |
    | busy           | out | a started product is not yet taken                           |
    """

    def __init__(self, counts_width: int, depth: int):
        self.room = Signal()
        self.start = Signal()
        self.summed = Signal()
        self.activation_sum = Signal(24)
        self.done = Signal()
        self.counts = Signal(counts_width)
        self.source = stream.Endpoint([("counts", counts_width), ("activation_sum", 24)])
        self.busy = Signal()

        # # #

        self.finished = finished = stream.SyncFIFO([("counts", counts_width)], depth)
        self.sums = sums = stream.SyncFIFO([("activation_sum", 24)], depth)
        pending = Signal(max=depth + 1)
        taken = Signal()
        self.comb += [
            self.room.eq(pending != depth),
            self.busy.eq(pending != 0),
            sums.sink.valid.eq(self.summed),
            sums.sink.activation_sum.eq(self.activation_sum),
            finished.sink.valid.eq(self.done),
            finished.sink.counts.eq(self.counts),
            self.source.valid.eq(finished.source.valid),
            self.source.counts.eq(finished.source.counts),
            self.source.activation_sum.eq(sums.source.activation_sum),
            taken.eq(self.source.valid & self.source.ready),
            finished.source.ready.eq(taken),
            sums.source.ready.eq(taken),
        ]
        self.sync += pending.eq(pending + self.start - taken)
