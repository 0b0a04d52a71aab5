"""The interface that every form of the macro has."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Record, Signal, bits_for

from dscim.gateware.logic import delayed_all
from dscim.gateware.macro.output import ResultBuffer
from dscim.gateware.specs import MacroSpec

BEAT_ROWS = 8
"""Activations per beat."""


def config_layout():
    """Run-time configuration: stable from a tile's first weight beat to its last product."""
    return [("samples_log2", 3), ("offset", 1), ("zero_point", (8, True)), ("activation_shift", 2)]


def weight_layout(spec: MacroSpec):
    """One row of int8 weights per beat, column c in bits [8c, 8c+8)."""
    return [("row", bits_for(spec.rows - 1)), ("data", 8 * spec.columns)]


def activation_layout(spec: MacroSpec):
    """Up to eight consecutive int8 activations per beat, row + b in bits [8b, 8b+8)."""
    return [("row", bits_for(spec.rows - 1)), ("count", 4), ("data", 8 * BEAT_ROWS)]


def product_layout(spec: MacroSpec, count_width: int):
    """One signed count per column, and the sum of the window's a' (offset mode)."""
    return [("counts", spec.columns * count_width), ("activation_sum", 24)]


def stochastic_count_width(spec: MacroSpec) -> int:
    """Bits of a signed count: fewer than S hits per row, since no operand exceeds all S thresholds.

    A table's thresholds need not differ: with a table it is the number of its samples.
    """
    hits = spec.rows * spec.max_samples if spec.sequence.table else spec.rows * spec.side - 1
    return bits_for(hits) + 1


class Sequencer(LiteXModule):
    """Issues the steps of a product, one per cycle; the next may start in the last step's cycle.

    | port      | dir | meaning                                                  |
    |-----------|-----|----------------------------------------------------------|
    | start     | in  | step 0 is issued in the next cycle; only when not active |
    |           |     | or in the last step                                      |
    | last_step | in  | number of the last step                                  |
    | active    | out | a step is issued                                         |
    | step      | out | its number                                               |
    | first     | out | ... the first of its product                             |
    | last      | out | ... the last of its product                              |
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


class Macro(LiteXModule):
    """A product of int8 rows and columns: the base of every form (contract, section 2).

    | port             | dir | meaning                                                          |
    |------------------|-----|------------------------------------------------------------------|
    | weights          | in  | stream: a row of weights; ready only while no product runs and   |
    |                  |     | no complete window waits                                         |
    | activations      | in  | stream: up to 8 rows of a window per beat, bytes from `count` on |
    |                  |     | ignored; `last` ends the window; rows in no beat are unused      |
    | products         | out | stream: signed counts N, each column's in `count_width` bits,    |
    |                  |     | and activation_sum, exact, unsigned, offset mode only            |
    | samples_log2     | in  | log2 n, 0..log2 of `spec.max_samples`                            |
    | offset           | in  | 1: signed mode offset, 0: split                                  |
    | zero_point       | in  | z, int8; split mode and the exact form                           |
    | activation_shift | in  | e, 0..3; split mode                                              |
    | busy             | out | something accepted has not left as a product                     |
    | computing        | out | a point, a region or a row of each group is being issued         |

    Windows are double-buffered: one loads while the other is computed. A product starts only if
    there is room for its result, so that the pipeline never stalls. If only one signed mode is
    built (`spec.signed`), the input `offset` is ignored.
    """

    def __init__(self, spec: MacroSpec, count_width: int):
        self.spec = spec
        self.count_width = count_width
        self.weights = stream.Endpoint(weight_layout(spec))
        self.activations = stream.Endpoint(activation_layout(spec))
        self.products = stream.Endpoint(product_layout(spec, count_width))
        self.config = Record(config_layout())
        self.samples_log2 = self.config.samples_log2
        self.offset = self.config.offset
        self.zero_point = self.config.zero_point
        self.activation_shift = self.config.activation_shift
        self.status = Record([("busy", 1), ("computing", 1)])
        self.busy = self.status.busy
        self.computing = self.status.computing

    def schedule(self, window, store, steps: int, last_step, latency: int, fastest: int):
        """Adds the logic that starts products and the buffer for their results.

        window, store: the `OperandWindow` and the weight store, not yet connected to the ports.
        steps: the largest number of issue cycles of a product. last_step: a value, the number of
        issue cycles as configured, less 1.
        latency: cycles from the issue of the last step to `results.done`.
        fastest: the smallest number of issue cycles of a product.
        The form then uses `self.sequencer` (issue) and `self.results` (sink of counts).
        """
        self.sequencer = sequencer = Sequencer(steps)
        self.results = results = ResultBuffer(
            self.spec.columns * self.count_width, depth=1 + -(-(latency + 4) // fastest)
        )
        self.comb += [
            self.activations.connect(window.sink),
            self.weights.connect(store.sink, omit={"ready"}),
            self.weights.ready.eq(~sequencer.active & ~window.waiting),
            If(~self.weights.ready, store.sink.valid.eq(0)),
            sequencer.last_step.eq(last_step),
            sequencer.start.eq(
                window.full & ~store.busy & results.room & (~sequencer.active | sequencer.last)
            ),
            window.take.eq(sequencer.start),
            results.start.eq(sequencer.start),
            results.activation_sum.eq(window.activation_sum),
            results.source.connect(self.products),
            self.computing.eq(sequencer.active),
            self.busy.eq(window.busy | store.busy | results.busy),
        ]

    def deliver(self, counters, latency: int):
        """Sends the issued steps to the column counters, and their counts to the result buffer.

        latency: cycles from the issue of a step to its terms at the counters.
        """
        steps = self.sequencer
        self.comb += [
            Cat(counters.valid, counters.first, counters.last).eq(
                Cat(*delayed_all(self, [steps.active, steps.first, steps.last], latency))
            ),
            self.results.done.eq(counters.done),
            self.results.counts.eq(Cat(*counters.counts)),
        ]
