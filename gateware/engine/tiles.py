"""The loops of a layer: column tile, strip of pixels, row tile."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Mux, Signal, bits_for

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.setup import SIZE_BITS, vector_channels
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES


def slots(spec: SocSpec) -> int:
    """Sums per pixel and column tile: the macro's columns, or an add's or pool's channels."""
    return max(spec.macro.columns, vector_channels(spec))


def tile_layout(spec: SocSpec):
    """What the parts of the engine know of a row tile.

    opens: its strip is the first of its column tile. begins, final: it is the first, the last of
    its strip.
    pixels: of the strip. units: of the row tile. width: output channels of the column tile.
    weights: first row of the column tile in the weight memory.
    """
    return [
        ("opens", 1),
        ("begins", 1),
        ("final", 1),
        ("pixels", bits_for(spec.strip)),
        ("units", bits_for(spec.macro.units)),
        ("width", bits_for(slots(spec))),
        ("weights", SIZE_BITS),
    ]


class Tiles(LiteXModule):
    """Issues the row tiles of a layer, one after the other.

    Column tiles are the outer loop, then strips of at most `spec.strip` pixels, then row tiles, so
    that the weights of a row tile are loaded once per strip. A column tile has the macro's columns,
    or the channels of a plane if depthwise, or those of a step of an add or a pool, which has one
    row tile.

    | port         | dir | meaning                                              |
    |--------------|-----|------------------------------------------------------|
    | fields, plan | in  | the layer's                                          |
    | start        | in  | pulse: a layer begins                                |
    | source       | out | stream: tile_layout                                  |
    | busy         | out | not all row tiles are issued                         |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.start = Signal()
        self.source = source = stream.Endpoint(tile_layout(spec))
        self.busy = Signal()

        # # #

        depthwise = fields.operation == Operation.DEPTHWISE
        wide = Signal(bits_for(slots(spec)))  # of a column tile that is not the last
        channels, units, pixels = Signal(12), Signal(16), Signal(SIZE_BITS)
        self.sync += wide.eq(
            Mux(
                plan.vector,
                vector_channels(spec),
                Mux(depthwise, WORD_BYTES, spec.macro.columns),
            )
        )
        many, last_column, last_strip = Signal(), Signal(), Signal()
        self.comb += [
            many.eq(units > spec.macro.units),
            last_column.eq(channels <= wide),
            last_strip.eq(pixels <= spec.strip),
            source.valid.eq(self.busy),
            source.final.eq(~many),
            source.units.eq(Mux(many, spec.macro.units, units)),
            source.width.eq(Mux(last_column, channels, wide)),
            source.pixels.eq(Mux(last_strip, pixels, spec.strip)),
        ]
        self.sync += [
            If(
                source.valid & source.ready,
                source.begins.eq(0),
                units.eq(units - spec.macro.units),
                If(
                    source.final,
                    source.begins.eq(1),
                    source.opens.eq(0),
                    units.eq(fields.units),
                    pixels.eq(pixels - spec.strip),
                    If(
                        last_strip,
                        source.opens.eq(1),
                        pixels.eq(plan.pixels),
                        channels.eq(channels - wide),
                        source.weights.eq(source.weights + fields.weight_rows),
                        If(last_column, self.busy.eq(0)),
                    ),
                ),
            ),
            If(
                self.start,
                self.busy.eq(1),
                source.opens.eq(1),
                source.begins.eq(1),
                channels.eq(fields.outputs),
                units.eq(fields.units),
                pixels.eq(plan.pixels),
                source.weights.eq(fields.weight_base),
            ),
        ]
