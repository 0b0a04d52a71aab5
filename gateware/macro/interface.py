"""The interface that every form of the macro has, and the schedule of its products."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Record, Signal, bits_for, log2_int

from dscim.gateware.logic import delayed_all
from dscim.gateware.macro.banks import Banks
from dscim.gateware.macro.output import ResultBuffer
from dscim.gateware.specs import MacroSpec
from dscim.gateware.specs.macro import UNIT_ROWS

WORD_BITS = 8 * UNIT_ROWS
"""Bits of a word: an activation for each row of a unit."""

SHIFTS = (0, 1, 2, 4, 8)
"""Units by which the window moves, for each value of `shift`."""


def config_layout():
    """The configuration of a bank of weights."""
    return [("samples_log2", 3), ("offset", 1), ("zero_point", (8, True)), ("activation_shift", 2)]


def weight_layout(spec: MacroSpec):
    """One row of int8 weights per beat, column c in bits [8c, 8c+8).

    odd: the row's region (i, j) has an odd i + j. The configuration is the same in all beats of a
    bank.
    """
    return stream.EndpointDescription(
        [("row", bits_for(spec.rows - 1)), ("odd", 1), ("data", 8 * spec.columns)], config_layout()
    )


def select_bits(words: int) -> int:
    """Bits that name one of the words of a beat."""
    return max(1, log2_int(words))


def activation_layout(spec: MacroSpec, words: int):
    """A step of the window: all units move, then each unit with its `write` bit takes a word.

    shift: the place in SHIFTS; unit u takes the content of unit u + SHIFTS[shift] or, beyond the
    end, keeps its own.
    select: for each unit, the word that it takes. data: the words, lane b in bits [8b, 8b+8).
    used: for each word, its lanes that count in activation_sum, less 1.
    final: with `last`: the last window of its bank.
    """
    return [
        ("shift", 3),
        ("write", spec.units),
        ("select", spec.units * select_bits(words)),
        ("data", WORD_BITS * words),
        ("used", 3 * words),
        ("final", 1),
    ]


def product_layout(spec: MacroSpec, count_width: int):
    """One signed count per column, and the sum of the window's a' (offset mode)."""
    return [("counts", spec.columns * count_width), ("activation_sum", 24)]


def stochastic_count_width(spec: MacroSpec) -> int:
    """Bits of a signed count: fewer than S hits per row, since no operand exceeds all S thresholds.

    A table's thresholds need not differ: with a table it is the number of its samples.
    """
    hits = spec.rows * min(spec.max_samples, spec.side if spec.sequence.table else spec.side - 1)
    if spec.sequence.kind == "lfsr":
        hits = spec.rows * (spec.side - 1)
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

        self.sync += [If(self.last, self.active.eq(0)), If(self.start, self.active.eq(1))]
        if steps == 1:
            self.comb += [self.first.eq(self.active), self.last.eq(self.active)]
            return
        self.comb += [
            self.first.eq(self.active & (self.step == 0)),
            self.last.eq(self.active & (self.step == self.last_step)),
        ]
        self.sync += [self.step.eq(self.step + 1), If(self.start, self.step.eq(0))]


class Macro(LiteXModule):
    """A product of int8 rows and columns: the base of every form (contract, section 2).

    | port        | dir | meaning                                                             |
    |-------------|-----|---------------------------------------------------------------------|
    | weights     | in  | stream: a row of weights per beat; `last` closes the bank; rows in  |
    |             |     | no beat are unused; not ready while a closed bank waits             |
    | activations | in  | stream: steps of the window; `last` completes it; not ready while   |
    |             |     | the bank of its window is not closed                                |
    | products    | out | stream: signed counts N, each column's in `count_width` bits, and   |
    |             |     | activation_sum, exact, unsigned, offset mode only                   |
    | busy        | out | something accepted has not left as a product                        |
    | computing   | out | a step of a product is being issued                                 |

    There are two banks of weights, each with its configuration: one is written while the other is
    in use. They are exchanged when the window after a `final` one starts, the first one included.
    Windows are double-buffered too: the one that is being built, which keeps its content, and the
    one in use. A product starts only if there is room for its result, so that the pipeline never
    stalls. If only one signed mode is built (`spec.signed`), the configuration's `offset` is
    ignored.
    """

    def __init__(self, spec: MacroSpec, words: int, count_width: int):
        self.spec = spec
        self.words = words
        self.count_width = count_width
        self.weights = stream.Endpoint(weight_layout(spec))
        self.activations = stream.Endpoint(activation_layout(spec, words))
        self.products = stream.Endpoint(product_layout(spec, count_width))
        self.status = Record([("busy", 1), ("computing", 1)])
        self.busy = self.status.busy
        self.computing = self.status.computing
        self.banks = Banks(spec)

    def schedule(self, window, source, steps: int, last_step, latency: int, fastest: int):
        """Adds the logic that starts products and the buffer for their results.

        window, source: the `Window` and the `WeightInput`, not yet connected to the ports.
        steps: the largest number of issue cycles of a product. last_step: a value, the number of
        issue cycles as configured in the bank in use, less 1.
        latency: cycles from the issue of the last step to `results.done`.
        fastest: the smallest number of issue cycles of a product.
        The form then uses `self.sequencer` (issue) and `self.results` (sink of counts), and reports
        the last row of a bank as stored to `banks.stored`.
        """
        self.sequencer = sequencer = Sequencer(steps)
        self.results = results = ResultBuffer(
            self.spec.columns * self.count_width, depth=1 + -(-(latency + 2) // fastest)
        )
        banks = self.banks
        self.comb += [
            self.activations.connect(window.sink),
            self.weights.connect(source.sink, omit={"ready"}),
            self.weights.ready.eq(source.sink.ready & banks.writable),
            source.sink.valid.eq(self.weights.valid & banks.writable),
            banks.closing.eq(self.weights.valid & self.weights.ready & self.weights.last),
            banks.closing_config.eq(self.weights.param.raw_bits()),
            banks.writing.eq(source.busy),
            sequencer.last_step.eq(last_step),
            sequencer.start.eq(window.full & results.room & (~sequencer.active | sequencer.last)),
            window.take.eq(sequencer.start),
            banks.swap.eq(sequencer.start & window.opens),
            results.start.eq(sequencer.start),
            results.summed.eq(window.summed),
            results.activation_sum.eq(window.activation_sum),
            results.source.connect(self.products),
            self.computing.eq(sequencer.active),
            self.busy.eq(window.busy | banks.waiting | results.busy),
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
