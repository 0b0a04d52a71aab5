"""The set-up of a layer: reads its descriptor, computes its strides, rejects what cannot run."""

from litex.gen import LiteXModule
from migen import FSM, Array, Cat, If, Mux, NextState, NextValue, Record, Signal, log2_int

from dscim.gateware import descriptor
from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.rejection import rejection
from dscim.gateware.registers import PLACE_BITS
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SIZE_BITS = 17
"""Bits of a size in words: more than any memory needs, so that sizes saturate instead of wrap."""

SATURATED = (1 << SIZE_BITS) - 1

PLAN_LAYOUT = [
    (name, SIZE_BITS)
    for name in (
        "pixel_words",
        "output_pixel_words",
        "column_tiles",
        "taps",
        "window",
        "row_stride",
        "input_words",
        "pixels",
        "output_words",
        "weight_rows",
        "tap_step",
        "pixel_step",
        "line_step",
        "origin_line",
        "origin_pixel",
    )
] + [("vector", 1), ("add", 1)]
"""The values computed from a descriptor. Steps and origins are addresses: they wrap.
vector: the operation uses no macro; add: it is an add."""


def descriptor_layout():
    """The descriptor's fields as a Record layout."""
    return [(f.name, (f.size, f.signed)) for f in descriptor.FIELDS]


class Setup(LiteXModule):
    """Reads the descriptor at `place` and provides its fields and plan, or an error.

    | port   | dir | meaning                                                      |
    |--------|-----|--------------------------------------------------------------|
    | start  | in  | pulse: read the descriptor                                   |
    | place  | in  | its place                                                    |
    | read   | out | read port of the descriptor memory                           |
    | done   | out | pulse: fields, plan and error are valid until the next start |
    | error  | out | ErrorCode; NONE if the layer can run                         |
    | fields | out | the descriptor's fields                                      |
    | plan   | out | strides and sizes in words of the activation memory          |

    One multiplier computes all sizes, one per cycle; its factors are chosen a cycle earlier.
    """

    def __init__(self, spec: SocSpec, read):
        self.start = Signal()
        self.place = Signal(PLACE_BITS)
        self.done = Signal()
        self.error = Signal(4)
        self.fields = fields = Record(descriptor_layout())
        self.plan = plan = Record(PLAN_LAYOUT)

        # # #

        words = [Signal(32, name=f"word{index}") for index in range(descriptor.WORDS)]
        for field in descriptor.FIELDS:
            source = words[field.word][field.offset : field.offset + field.size]
            self.comb += getattr(fields, field.name).eq(source)
        self._small_sizes(spec, fields, plan)
        step = Signal(5)
        products = _products(fields, plan)
        following = Signal.like(step)
        factor_a, factor_b = Signal(SIZE_BITS), Signal(SIZE_BITS)
        product = Signal(2 * SIZE_BITS)
        self.comb += product.eq(factor_a * factor_b)
        self.sync += [
            factor_a.eq(Array([a for _, a, _, _ in products])[following]),
            factor_b.eq(Array([b for _, _, b, _ in products])[following]),
        ]
        size = Mux(product[SIZE_BITS:] != 0, SATURATED, product[:SIZE_BITS])

        self.fsm = fsm = FSM(reset_state="IDLE")
        self._take_words(fsm, read, words)
        fsm.act(
            "MULTIPLY",
            *[
                If(
                    step == k,
                    NextValue(getattr(plan, name), product[:SIZE_BITS] if wraps else size),
                )
                for k, (name, _, _, wraps) in enumerate(products)
            ],
            following.eq(step + 1),
            NextValue(step, step + 1),
            If(step == len(products) - 1, NextValue(step, 0), NextState("JUDGE")),
        )
        fsm.act(
            "JUDGE",
            NextValue(self.error, rejection(self, spec, self.place, fields, plan)),
            NextState("DONE"),
        )
        fsm.act(
            "DONE",
            self.done.eq(1),
            NextState("IDLE"),
        )

    def _take_words(self, fsm, read, words):
        """Reads the descriptor's words one by one, each in two cycles."""
        index = Signal(max=descriptor.WORDS + 1)
        self.comb += read.adr.eq(Cat(index[: log2_int(descriptor.WORDS)], self.place))
        fsm.act("IDLE", NextValue(index, 0), If(self.start, NextState("READ")))
        fsm.act(
            "READ",
            read.re.eq(1),
            NextState("TAKE"),
        )
        fsm.act(
            "TAKE",
            NextValue(Array(words)[index], read.dat_r),
            NextValue(index, index + 1),
            If(index == descriptor.WORDS - 1, NextState("MULTIPLY")).Else(NextState("READ")),
        )

    def _small_sizes(self, spec: SocSpec, fields, plan):
        """The values without a product. Sums are one bit wider, or Migen would drop the carry."""
        inputs, outputs, tiles = Signal(13), Signal(13), Signal(14)
        columns = spec.macro.columns
        self.comb += [
            inputs.eq(fields.input_channels + WORD_BYTES - 1),
            outputs.eq(fields.output_channels + Mux(fields.raw, WORD_BYTES // 4, WORD_BYTES) - 1),
            tiles.eq(fields.outputs + columns - 1),
            plan.pixel_words.eq(inputs[log2_int(WORD_BYTES) :]),
            plan.output_pixel_words.eq(Mux(fields.raw, outputs[1:], outputs[3:])),
            plan.column_tiles.eq(tiles[log2_int(columns) :]),
            plan.vector.eq(fields.operation >= Operation.ADD),
            plan.add.eq(fields.operation == Operation.ADD),
            plan.tap_step.eq(
                Mux(plan.add, fields.second_base - fields.input_base, plan.pixel_words)
            ),
        ]


def _products(f, plan):
    """(name, factor, factor, wraps): the products to form, in order.

    A product may be a factor two places later at the earliest. The factors of the first product
    must not be in the descriptor's last word. `rejection` must not use the last product, which it
    sees a cycle late.
    """
    return [
        ("taps", f.kernel_height, f.kernel_width, False),
        ("row_stride", f.input_width, plan.pixel_words, False),
        ("pixels", f.output_height, f.output_width, False),
        ("window", plan.taps, f.inputs, False),
        ("input_words", f.input_height, plan.row_stride, False),
        ("output_words", plan.pixels, plan.output_pixel_words, False),
        ("weight_rows", f.depth, plan.column_tiles, False),
        ("pixel_step", f.stride_x, plan.pixel_words, True),
        ("line_step", f.stride_y, plan.row_stride, True),
        ("origin_line", f.origin_y, plan.row_stride, True),
        ("origin_pixel", f.origin_x, plan.pixel_words, True),
    ]
