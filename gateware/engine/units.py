"""The units that compute: macros, adds and pools."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Case, Cat, If, Mux, Signal

from dscim.gateware.engine.accumulator import SUM_BITS, products_layout
from dscim.gateware.engine.reader import words_layout
from dscim.gateware.engine.tiles import slots
from dscim.gateware.engine.vector import Pairs, Pool
from dscim.gateware.macro import build_macro
from dscim.gateware.macro.interface import weight_layout
from dscim.gateware.specs import SocSpec


def vector_layout(spec: SocSpec):
    """The result of an add or a pool, in the place of sums."""
    return [("sums", SUM_BITS * slots(spec))]


class Units(LiteXModule):
    """Passes windows to the unit for the layer's operation, and passes on its results.

    | port         | dir | meaning                                                        |
    |--------------|-----|----------------------------------------------------------------|
    | fields, plan | in  | those of the layer                                             |
    | weights      | in  | stream: weight_layout                       |
    | words        | in  | stream: words_layout; `last` ends a window                     |
    | products     | out | stream: products_layout                                        |
    | vectors      | out | stream: vector_layout                                          |
    | computing    | out | the chosen macro computes                                      |
    | levels       | out | stream: encoded words for the depthwise unit, if there is one  |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.weights = stream.Endpoint(weight_layout(spec.macro))
        self.words = words = stream.Endpoint(words_layout(spec))
        self.products = stream.Endpoint(products_layout(spec))
        self.vectors = vectors = stream.Endpoint(vector_layout(spec))
        self.computing = Signal()

        # # #

        self.macros = macros = Macros(spec, fields, plan)
        if spec.depthwise:
            self.levels = macros.levels
        self.pairs = pairs = Pairs(spec)
        self.pool = pool = Pool(spec, fields)
        # no path from the choice of a unit to the pool's adders
        self.pooled = pooled = stream.Buffer(words_layout(spec), pipe_valid=True)
        vector, add = Signal(), Signal()
        self.sync += [vector.eq(plan.vector), add.eq(plan.add)]  # known long before the first word
        self.comb += [
            self.weights.connect(macros.weights),
            macros.products.connect(self.products),
            self.computing.eq(macros.computing),
            pooled.source.connect(pool.sink),
            If(~vector, words.connect(macros.words))
            .Elif(
                add,
                words.connect(pairs.sink),
                pairs.source.connect(vectors, omit={"slots"}),
                vectors.sums.eq(pairs.source.slots),
            )
            .Else(
                words.connect(pooled.sink),
                pool.source.connect(vectors, omit={"slots"}),
                vectors.sums.eq(pool.source.slots),
            ),
        ]


class Macros(LiteXModule):
    """Passes weights and windows to the chosen macro; passes on its products, sign-extended.

    | port        | dir | meaning                                                   |
    |-------------|-----|-----------------------------------------------------------|
    | fields      | in  | of the layer: macro, inputs                               |
    | plan        | in  | of the layer: apart                                       |
    | weights     | in  | stream: weight_layout                  |
    | words       | in  | stream: words_layout                                      |
    | products    | out | stream: products_layout                                   |
    | computing   | out | the chosen macro computes                                 |
    | levels      | out | stream: encoded words for the depthwise unit              |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.weights = stream.Endpoint(weight_layout(spec.macro))
        self.words = words = stream.Endpoint(words_layout(spec))
        self.products = stream.Endpoint(products_layout(spec))
        self.computing = Signal()

        # # #

        macros = [build_macro(macro, spec.banks) for macro in spec.macros]
        routes = {}
        chosen, tail = Signal.like(fields.macro), Signal(3)
        self.sync += [  # known long before the first weight
            chosen.eq(fields.macro),
            tail.eq(fields.inputs - 1),
        ]
        used = Cat(*[Mux(bit, tail, 7) for bit in words.tail])
        for place, macro in enumerate(macros):
            self.add_module(f"macro{place}", macro)
            self.comb += macro.activations.used.eq(used)
            routes[place] = [
                self.weights.connect(macro.weights),
                words.connect(macro.activations, omit={"padding", "tail"}),
                macro.products.connect(self.products, keep={"valid", "ready"}),
                *_widened(macro, self.products),
            ]
        self.comb += [
            Case(chosen, routes) if len(macros) > 1 else routes[0],
            self.computing.eq(Array([macro.computing for macro in macros])[chosen]),
        ]
        if spec.depthwise:
            banks, self.levels = macros[0].banks, macros[0].window.encoded
            config = banks.apart_config
            self.sync += [  # known long before the first word
                banks.apart.eq(plan.apart),
                config.samples_log2.eq(fields.samples_log2),
                config.zero_point.eq(fields.input_zero),
                config.activation_shift.eq(fields.activation_shift),
            ]


def _widened(macro, products):
    """Statements: a macro's counts as `products`, 32 bits per column, and the sum of a'."""
    sums = []
    for column in range(macro.spec.columns):
        narrow, count = Signal((macro.count_width, True)), Signal((SUM_BITS, True))
        low = macro.count_width * column
        macro.comb += [
            narrow.eq(macro.products.counts[low : low + macro.count_width]),
            count.eq(narrow),
        ]
        sums.append(count)
    return [
        products.sums.eq(Cat(*sums)),
        products.activation_sum.eq(macro.products.activation_sum),
    ]
