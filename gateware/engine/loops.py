"""The loops of a layer: column tile, strip of pixels, row tile."""

from litex.gen import LiteXModule
from migen import If, Mux, Signal, bits_for

from dscim.gateware.engine.setup import SIZE_BITS
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

CHANNEL_BITS = 13


def vector_channels(spec: SocSpec) -> int:
    """Channels per column tile of an add or a pool: those of a word, or the columns if fewer."""
    return min(WORD_BYTES, spec.macro.columns)


class Loops(LiteXModule):
    """The current row tile of a layer, and the step to the next one.

    Column tiles are the outer loop, then strips of at most `spec.strip` pixels, then row tiles, so
    that the weights of a row tile are loaded once per strip. A product's column tile is as wide as
    the macro and reads all inputs. That of an add or a pool reads the channels that it writes, and
    has one row tile.

    | port         | dir | meaning                                                          |
    |--------------|-----|------------------------------------------------------------------|
    | start        | in  | pulse: go to the first row tile of the layer                     |
    | advance      | in  | pulse: go to the next row tile                                   |
    | pixels       | out | pixels of the strip                                              |
    | rows         | out | rows of the row tile                                             |
    | weight_adr   | out | its first row in the weight memory                               |
    | input_first  | out | first channel of the input that the column tile reads            |
    | inputs       | out | number of channels that it reads                                 |
    | output_first | out | first channel of the output that the column tile writes          |
    | output_end   | out | the channel after its last                                       |
    | output_adr   | out | first word of the strip's outputs                                |
    | first, final | out | the row tile is the first, the last of its strip                 |
    | column_final | out | the strip is the last of its column tile                         |
    | layer_final  | out | the column tile is the last of the layer                         |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.start = Signal()
        self.advance = Signal()
        self.pixels = Signal(bits_for(spec.strip))
        self.rows = Signal(bits_for(spec.macro.rows))
        self.weight_adr = Signal(SIZE_BITS)
        self.input_first = Signal(CHANNEL_BITS)
        self.inputs = Signal(CHANNEL_BITS)
        self.output_first = Signal(CHANNEL_BITS)
        self.output_end = Signal(CHANNEL_BITS)
        self.output_adr = Signal(SIZE_BITS)
        self.first = Signal()
        self.final = Signal()
        self.column_final = Signal()
        self.layer_final = Signal()

        # # #

        self._width = Signal(CHANNEL_BITS)
        self._channels_left = Signal(CHANNEL_BITS)
        self._rows_left = Signal(16)
        self._pixels_left = Signal(SIZE_BITS)
        self._column_weights = Signal(SIZE_BITS)
        self._show_channels(spec, fields, plan)
        self._show_rows_and_pixels(spec, fields)
        self._step(spec, fields, plan)

    def _show_channels(self, spec: SocSpec, fields, plan):
        """The column tile: `_channels_left` counts the outputs of it and of all later tiles."""
        done, outputs, final = Signal(CHANNEL_BITS), Signal(CHANNEL_BITS), Signal()
        self.comb += [
            self._width.eq(Mux(plan.vector, vector_channels(spec), spec.macro.columns)),
            final.eq(self._channels_left <= self._width),
            outputs.eq(Mux(final, self._channels_left, self._width)),
            done.eq(fields.outputs - self._channels_left),
        ]
        self.sync += [
            self.layer_final.eq(final),
            self.output_first.eq(fields.output_channel + done),
            self.output_end.eq(fields.output_channel + done + outputs),
            self.input_first.eq(fields.input_channel + Mux(plan.vector, done, 0)),
            self.inputs.eq(Mux(plan.vector, outputs, fields.inputs)),
        ]

    def _show_rows_and_pixels(self, spec: SocSpec, fields):
        final, column_final = Signal(), Signal()
        self.comb += [
            final.eq(self._rows_left <= spec.macro.rows),
            column_final.eq(self._pixels_left <= spec.strip),
        ]
        self.sync += [
            self.rows.eq(Mux(final, self._rows_left, spec.macro.rows)),
            self.pixels.eq(Mux(column_final, self._pixels_left, spec.strip)),
            self.first.eq(self._rows_left == fields.depth),
            self.final.eq(final),
            self.column_final.eq(column_final),
        ]

    def _step(self, spec: SocSpec, fields, plan):
        """Goes to the next row tile, strip or column tile; `start` comes last, so it wins."""
        next_weights = Signal.like(self._column_weights)
        self.comb += next_weights.eq(self._column_weights + fields.depth)
        self.sync += [
            If(
                self.advance,
                self._rows_left.eq(self._rows_left - spec.macro.rows),
                self.weight_adr.eq(self.weight_adr + spec.macro.rows),
                If(
                    self.final,
                    self._rows_left.eq(fields.depth),
                    self.weight_adr.eq(self._column_weights),
                    self._pixels_left.eq(self._pixels_left - spec.strip),
                    self.output_adr.eq(self.output_adr + spec.strip * plan.output_pixel_words),
                    If(
                        self.column_final,
                        self._pixels_left.eq(plan.pixels),
                        self.output_adr.eq(fields.output_base),
                        self._channels_left.eq(self._channels_left - self._width),
                        self._column_weights.eq(next_weights),
                        self.weight_adr.eq(next_weights),
                    ),
                ),
            ),
            If(
                self.start,
                self._rows_left.eq(fields.depth),
                self._pixels_left.eq(plan.pixels),
                self._channels_left.eq(fields.outputs),
                self.output_adr.eq(fields.output_base),
                self._column_weights.eq(fields.weight_base),
                self.weight_adr.eq(fields.weight_base),
            ),
        ]
