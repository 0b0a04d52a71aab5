"""The loops of a layer: column tile, strip of pixels, row tile."""

from litex.gen import LiteXModule
from migen import If, Mux, Signal, bits_for

from dscim.gateware.engine.setup import SIZE_BITS
from dscim.gateware.specs import SocSpec


class Loops(LiteXModule):
    """Where a layer's work stands, and what the next row tile is.

    Column tiles are outermost, then strips of at most `spec.strip` pixels, then row tiles, so
    that the weights of a row tile are loaded once a strip.

    | port         | dir | meaning                                                          |
    |--------------|-----|------------------------------------------------------------------|
    | start        | in  | pulse: to the first row tile of the layer                        |
    | advance      | in  | pulse: to the next row tile                                      |
    | pixels       | out | pixels of the strip                                              |
    | rows         | out | rows of the row tile                                             |
    | weight_adr   | out | its first row in the weight memory                               |
    | channel      | out | first output channel of the column tile                          |
    | output_adr   | out | first word of the strip's outputs                                |
    | first, final | out | the row tile is the first, the last of its strip                 |
    | column_final | out | the strip is the last of its column tile                         |
    | layer_final  | out | the column tile is the last of the layer                         |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        rows_bits = bits_for(spec.macro.rows)
        self.start = Signal()
        self.advance = Signal()
        self.pixels = Signal(bits_for(spec.strip))
        self.rows = Signal(rows_bits)
        self.weight_adr = Signal(SIZE_BITS)
        self.channel = Signal(13)
        self.output_adr = Signal(SIZE_BITS)
        self.first = Signal()
        self.final = Signal()
        self.column_final = Signal()
        self.layer_final = Signal()

        # # #

        rows_left = Signal(16)
        pixels_left = Signal(SIZE_BITS)
        column_weights = Signal(SIZE_BITS)
        self.comb += [
            self.rows.eq(Mux(self.final, rows_left, spec.macro.rows)),
            self.pixels.eq(Mux(self.column_final, pixels_left, spec.strip)),
            self.final.eq(rows_left <= spec.macro.rows),
            self.column_final.eq(pixels_left <= spec.strip),
            self.layer_final.eq(self.channel + spec.macro.columns >= fields.outputs),
            self.first.eq(rows_left == fields.depth),
        ]
        self.sync += [
            If(self.advance,
                rows_left.eq(rows_left - spec.macro.rows),
                self.weight_adr.eq(self.weight_adr + spec.macro.rows),
                If(self.final,
                    rows_left.eq(fields.depth),
                    self.weight_adr.eq(column_weights),
                    pixels_left.eq(pixels_left - spec.strip),
                    self.output_adr.eq(self.output_adr + spec.strip*plan.output_pixel_words),
                    If(self.column_final,
                        pixels_left.eq(plan.pixels),
                        self.output_adr.eq(fields.output_base),
                        self.channel.eq(self.channel + spec.macro.columns),
                        column_weights.eq(column_weights + fields.depth),
                        self.weight_adr.eq(column_weights + fields.depth),
                    )
                )
            ),
            If(self.start,
                rows_left.eq(fields.depth),
                pixels_left.eq(plan.pixels),
                self.channel.eq(0),
                self.output_adr.eq(fields.output_base),
                column_weights.eq(fields.weight_base),
                self.weight_adr.eq(fields.weight_base),
            ),
        ]
