"""The units that compute: macros (behind a transposer for depthwise layers), adds and pools."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Case, Cat, If, Signal

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.engine.reader import aligned_layout
from dscim.gateware.engine.transpose import Transposer
from dscim.gateware.engine.vector import Pairs, Pool
from dscim.gateware.macro import build_macro
from dscim.gateware.macro.interface import activation_layout, weight_layout
from dscim.gateware.specs import SocSpec


class Units(LiteXModule):
    """Passes windows to the unit for the layer's operation, and passes on its results.

    | port         | dir | meaning                                                        |
    |--------------|-----|----------------------------------------------------------------|
    | fields, plan | in  | those of the layer                                             |
    | weights      | in  | stream: weight_layout                                          |
    | activations  | in  | stream: aligned_layout; `last` ends a window                   |
    | sums         | out | stream: sums_layout, one beat per window; for an add or pool,  |
    |              |     | the slots of `vector_channels`                                 |
    | computing    | out | the chosen macro issues a region or a point                    |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.weights = stream.Endpoint(weight_layout(spec.macro))
        self.activations = activations = stream.Endpoint(aligned_layout(spec))
        self.sums = sums = stream.Endpoint(sums_layout(spec.macro.columns))
        self.computing = Signal()

        # # #

        self.macros = macros = Macros(spec, fields)
        self.transposer = transposer = Transposer(spec)
        self.pairs = pairs = Pairs(spec)
        self.pool = pool = Pool(spec, fields)
        product, depthwise, add = Signal(), Signal(), Signal()
        self.sync += [  # known long before the first window
            product.eq(fields.operation == Operation.PRODUCT),
            depthwise.eq(fields.operation == Operation.DEPTHWISE),
            add.eq(fields.operation == Operation.ADD),
        ]
        vector, last_slot = sums.sums[: len(pool.source.slots)], sums.sums[-SUM_BITS:]
        self.comb += [
            self.weights.connect(macros.weights),
            self.computing.eq(macros.computing),
            transposer.taps.eq(plan.taps),
            transposer.inputs.eq(fields.inputs),
            transposer.rows.eq(fields.depth),
            sums.sums.eq(macros.products.sums),
            If(
                product,
                activations.connect(macros.activations, omit={"padding"}),
                macros.products.connect(sums, omit={"sums"}),
            )
            .Elif(
                depthwise,
                activations.connect(transposer.sink, omit={"padding"}),
                transposer.source.connect(macros.activations),
                macros.products.connect(sums, omit={"sums"}),
            )
            .Elif(
                add,
                activations.connect(pairs.sink),
                pairs.source.connect(sums, omit={"slots"}),
                vector.eq(pairs.source.slots),
                last_slot.eq(0),
            )
            .Else(
                activations.connect(pool.sink),
                pool.source.connect(sums, omit={"slots"}),
                vector.eq(pool.source.slots),
                last_slot.eq(0),
            ),
        ]


class Macros(LiteXModule):
    """Passes weights and activations to the chosen macro; passes on its products, sign-extended.

    | port        | dir | meaning                                                   |
    |-------------|-----|-----------------------------------------------------------|
    | fields      | in  | of the layer: macro, and its configuration                |
    | weights     | in  | stream: weight_layout                                     |
    | activations | in  | stream: activation_layout                                 |
    | products    | out | stream: sums_layout                                       |
    | computing   | out | the chosen macro issues a region or a point               |
    """

    def __init__(self, spec: SocSpec, fields):
        self.weights = stream.Endpoint(weight_layout(spec.macro))
        self.activations = stream.Endpoint(activation_layout(spec.macro))
        self.products = stream.Endpoint(sums_layout(spec.macro.columns))
        self.computing = Signal()

        # # #

        macros = [build_macro(macro) for macro in spec.macros]
        routes = {}
        chosen = Signal.like(fields.macro)
        self.sync += chosen.eq(fields.macro)  # known long before the first weight
        for place, macro in enumerate(macros):
            self.add_module(f"macro{place}", macro)
            self.comb += [
                macro.samples_log2.eq(fields.samples_log2),
                macro.offset.eq(fields.offset),
                macro.zero_point.eq(fields.input_zero),
                macro.activation_shift.eq(fields.activation_shift),
            ]
            routes[place] = [
                self.weights.connect(macro.weights),
                self.activations.connect(macro.activations),
                macro.products.connect(self.products, keep={"valid", "ready"}),
                self.products.sums.eq(_widen(macro)),
            ]
        self.comb += [
            Case(chosen, routes) if len(macros) > 1 else routes[0],
            self.computing.eq(Array([macro.computing for macro in macros])[chosen]),
        ]


def _widen(macro):
    """A macro's counts, 32 bits per column, followed by the sum of a'."""
    slots = []
    for column in range(macro.spec.columns):
        count = Signal((SUM_BITS, True))
        narrow = Signal((macro.count_width, True))
        low = macro.count_width * column
        macro.comb += [
            narrow.eq(macro.products.counts[low : low + macro.count_width]),
            count.eq(narrow),
        ]
        slots.append(count)
    total = Signal(SUM_BITS)
    macro.comb += total.eq(macro.products.activation_sum)
    return Cat(*slots, total)
