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

SIZES = (
    "taps",
    "step_lines",
    "pixels",
    "origin_lines",
    "window",
    "input_lines",
    "output_lines",
    "weight_rows",
    "tap_rows",
    "step_rows",
    "origin_rows",
    "input_rows",
    "output_rows",
    "next_rows",
    "first_rows",
)
"""The products of two values each, in the order in which they are formed."""

PLANES = ("planes", "read_planes", "write_planes")

PLAN_LAYOUT = [(name, SIZE_BITS) for name in SIZES] + [
    *((name, 12) for name in PLANES),
    ("column_tiles", 12),
    ("first_line", 12),
    ("vector", 1),
    ("add", 1),
    ("apart", 1),
]
"""The values computed from a descriptor.

planes: of a pixel of the input; read_planes: those that a window has; write_planes: of a pixel of
the output. tap_rows: words from a line to that of the next row of the input, whole banks alone;
step_*: to that of the next window below; origin_*: of the first window's first tap, they wrap;
next_rows: as tap_rows, in the output. first_line, first_rows: of the first channel written.
vector: the operation has no weights; add: it is an add; apart: it runs in the depthwise unit."""


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
    | plan   | out | PLAN_LAYOUT: sizes, strides in lines and words               |

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
        products = self._products(spec, fields, plan)
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
        """Reads the descriptor's words, one per cycle; a word arrives a cycle after its address."""
        index = Signal(max=descriptor.WORDS + 1)
        self.comb += read.adr.eq(Cat(index[: log2_int(descriptor.WORDS)], self.place))
        fsm.act("IDLE", NextValue(index, 0), If(self.start, NextState("READ")))
        fsm.act(
            "READ",
            read.re.eq(1),
            *[If(index == k + 1, NextValue(word, read.dat_r)) for k, word in enumerate(words)],
            NextValue(index, index + 1),
            If(index == descriptor.WORDS, NextState("MULTIPLY")),
        )

    def _small_sizes(self, spec: SocSpec, fields, plan):
        """The values without a product. Sums are one bit wider, or Migen would drop the carry."""
        inputs, read, outputs, tiles = Signal(13), Signal(13), Signal(13), Signal(14)
        columns, depthwise = spec.macro.columns, Signal()
        width = Mux(depthwise, WORD_BYTES, columns)
        if columns == WORD_BYTES:
            width = WORD_BYTES
        wide = WORD_BYTES * spec.banks  # of a column tile in the depthwise unit
        per_word = Mux(fields.raw, WORD_BYTES // 4, WORD_BYTES)
        words = log2_int(vector_channels(spec))
        self.comb += [
            depthwise.eq(fields.operation == Operation.DEPTHWISE),
            inputs.eq(fields.input_channels + WORD_BYTES - 1),
            read.eq(fields.inputs + WORD_BYTES - 1),
            outputs.eq(fields.output_channels + per_word - 1),
            plan.planes.eq(inputs[3:]),
            plan.read_planes.eq(Mux(depthwise, 1, read[3:])),
            plan.write_planes.eq(Mux(fields.raw, outputs[1:], outputs[3:])),
            plan.apart.eq(fields.operation == Operation.CHANNELWISE if spec.depthwise else 0),
            plan.vector.eq((fields.operation >= Operation.ADD) & ~plan.apart),
            plan.add.eq(fields.operation == Operation.ADD),
            tiles.eq(
                fields.outputs + Mux(plan.apart, wide, Mux(plan.vector, 1 << words, width)) - 1
            ),
            plan.column_tiles.eq(
                Mux(
                    plan.vector,
                    tiles[words:],
                    Mux(depthwise, tiles[3:], tiles[log2_int(columns) :]),
                )
            ),
            If(plan.apart, plan.column_tiles.eq(tiles[log2_int(wide) :])),
            plan.first_line.eq(
                Mux(fields.raw, fields.output_channel[1:], fields.output_channel[3:])
            ),
        ]

    def _products(self, spec: SocSpec, f, plan):
        """(name, factor, factor, wraps): the products to form, in the order of SIZES.

        A product may be a factor two places later at the earliest. The factors of the first product
        must not be in the descriptor's last word. `rejection` must not use the last product, which
        it sees a cycle late.
        """
        banks = log2_int(spec.banks)
        origin, step = Signal((SIZE_BITS, True)), Signal(SIZE_BITS)
        inputs, outputs = Signal(SIZE_BITS + 1), Signal(SIZE_BITS + 1)
        self.comb += [
            origin.eq(plan.origin_lines + f.input_plane),
            step.eq(plan.step_lines >> banks),
            inputs.eq(plan.input_lines + spec.banks - 1),
            outputs.eq(plan.output_lines + spec.banks - 1),
        ]
        return [
            ("taps", f.kernel_height, f.kernel_width, False),
            ("step_lines", f.stride_y, plan.planes, True),
            ("pixels", f.output_height, f.output_width, False),
            ("origin_lines", f.origin_y, plan.planes, True),
            ("window", plan.taps, plan.read_planes, False),
            ("input_lines", f.input_height, plan.planes, False),
            ("output_lines", f.output_height, plan.write_planes, False),
            ("weight_rows", f.weight_rows, plan.column_tiles, False),
            ("tap_rows", plan.planes >> banks, f.input_width, True),
            ("step_rows", step, f.input_width, True),
            ("origin_rows", origin >> banks, f.input_width, True),
            ("input_rows", inputs >> banks, f.input_width, False),
            ("output_rows", outputs >> banks, f.output_width, False),
            ("next_rows", plan.write_planes >> banks, f.output_width, True),
            ("first_rows", plan.first_line >> banks, f.output_width, True),
        ]


def vector_channels(spec: SocSpec) -> int:
    """Channels per step of an add or a pool: whole words, as many as are requantised per cycle."""
    return WORD_BYTES * max(1, min(spec.requant_lanes // WORD_BYTES, spec.banks))
