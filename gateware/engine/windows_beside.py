"""The pixels that one window of the macro serves, one behind the other in its rows."""

from litex.gen import LiteXModule
from migen import If, Signal, bits_for

from dscim.gateware.specs import SocSpec


class WindowsBeside(LiteXModule):
    """Which of the pixels that a window serves is read, and where the next one's rows begin.

    | port    | dir | meaning                                                            |
    |---------|-----|--------------------------------------------------------------------|
    | open    | in  | pulse: a window's first pixel comes next; wins over advance        |
    | advance | in  | pulse: the next pixel comes next                                   |
    | more    | out | the pixel is not its window's last                                 |
    | row     | out | the next pixel's first row: behind this pixel's, a whole OR group  |

    fields, plan: the layer's, long before.
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.open = Signal()
        self.advance = Signal()
        self.more = Signal()
        self.row = Signal(bits_for(spec.macro.rows))

        # # #

        group = spec.macro.or_width
        left, whole, step = Signal(3), Signal(len(plan.window) + 1), Signal.like(self.row)
        self.comb += [self.more.eq(left != 0), whole.eq(plan.window + group - 1)]
        self.sync += [
            step.eq(whole & ~(group - 1)),
            If(self.advance, left.eq(left - 1), self.row.eq(self.row + step)),
            If(self.open, left.eq((1 << fields.windows_log2) - 1), self.row.eq(step)),
        ]
