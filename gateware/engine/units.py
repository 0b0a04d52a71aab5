"""What computes: the macros, with a transposer before them, and beside them adds and pools."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Signal

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.engine.align import aligned_layout
from dscim.gateware.engine.macros import Macros
from dscim.gateware.engine.pairs import Pairs
from dscim.gateware.engine.pool import Pool
from dscim.gateware.engine.transpose import Transposer
from dscim.gateware.macro.interface import weight_layout
from dscim.gateware.specs import SocSpec


class Units(LiteXModule):
    """Passes windows to the unit that the layer's operation needs, and its results on.

    | port         | dir | meaning                                                        |
    |--------------|-----|----------------------------------------------------------------|
    | fields, plan | in  | the layer's                                                    |
    | weights      | in  | stream: weight_layout                                          |
    | activations  | in  | stream: aligned_layout; `last` ends a window                   |
    | sums         | out | stream: sums_layout, one beat a window; of an add or a pool,   |
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
        vector, beside = sums.sums[: len(pool.source.slots)], sums.sums[-SUM_BITS:]
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
                beside.eq(0),
            )
            .Else(
                activations.connect(pool.sink),
                pool.source.connect(sums, omit={"slots"}),
                vector.eq(pool.source.slots),
                beside.eq(0),
            ),
        ]
