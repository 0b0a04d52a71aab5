"""The macros of a device side by side: one of them works, as the descriptor says."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Case, Cat, Signal

from dscim.gateware.engine.accumulator import SUM_BITS, sums_layout
from dscim.gateware.macro.factory import build_macro
from dscim.gateware.macro.interface import activation_layout, weight_layout
from dscim.gateware.specs import SocSpec


class Macros(LiteXModule):
    """Passes weights and activations to the chosen macro and its products on, sign-extended.

    | port        | dir | meaning                                                   |
    |-------------|-----|-----------------------------------------------------------|
    | fields      | in  | the layer's: macro, and its configuration                 |
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
    """A macro's counts, 32 bits a column, with the sum of a' behind them."""
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
