"""Issue of a product's steps, one a cycle."""

from litex.gen import LiteXModule
from migen import If, Signal, bits_for


class Sequencer(LiteXModule):
    """Counts the steps of a product; the next product may start in the last step's cycle.

    | port      | dir | meaning                                                 |
    |-----------|-----|---------------------------------------------------------|
    | start     | in  | step 0 is issued in the next cycle; only when not active |
    |           |     | or in the last step                                     |
    | last_step | in  | number of the last step                                 |
    | active    | out | a step is issued                                        |
    | step      | out | its number                                              |
    | first     | out | it is the first of its product                          |
    | last      | out | it is the last of its product                           |
    """

    def __init__(self, steps: int):
        self.start = Signal()
        self.last_step = Signal(bits_for(steps - 1))
        self.active = Signal()
        self.step = Signal(bits_for(steps - 1))
        self.first = Signal()
        self.last = Signal()

        # # #

        self.comb += [
            self.first.eq(self.active & (self.step == 0)),
            self.last.eq(self.active & (self.step == self.last_step)),
        ]
        self.sync += [
            self.step.eq(self.step + 1),
            If(self.last, self.active.eq(0)),
            If(self.start, self.active.eq(1), self.step.eq(0)),
        ]
