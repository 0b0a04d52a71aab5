"""The window walker: which words hold the activations of a row tile, pixel after pixel."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Mux, Record, Signal, bits_for

from dscim.gateware.engine.position import COORDINATE_BITS
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

TAP_LAYOUT = [("ky", 12), ("kx", 12), ("channel", 12), ("line", 17), ("adr", 17)]
"""A place in a window: tap, channel (of those that are read), and the tap's address from the
window's first tap."""

ENDLESS = WORD_BYTES + 1
"""Rows that no beat exhausts."""


def beat_layout(spec: SocSpec):
    """What goes with an address: bytes to skip, how many count, whether it is padding,
    and the macro's row of the first."""
    return [("lead", 3), ("count", 4), ("padding", 1), ("row", bits_for(spec.macro.rows - 1))]


class WindowWalker(LiteXModule):
    """One beat a cycle: a word of the activation memory, or of padding, with up to 8 channels.

    A row tile begins where the one before ended, anywhere in a window; that place is kept, so
    that every pixel of the strip starts there, and moved on after the strip's last pixel. Adds
    and pools have no rows: their windows are whole, and an add's second tap is its second input,
    never padding.

    | port     | dir | meaning                                                           |
    |----------|-----|-------------------------------------------------------------------|
    | rewind   | in  | pulse, before start: the next row tile is the window's first      |
    | start    | in  | pulse: walk one row tile of `pixels` windows                      |
    | pixels   | in  | windows of the strip, 1 or more                                   |
    | rows     | in  | rows of the row tile, 1..R; not for adds and pools                |
    | first    | in  | first channel of a pixel that is read                             |
    | inputs   | in  | channels that are read, 1 or more                                 |
    | position | in  | `Position.now`; `advance` is pulsed after each window             |
    | source   | out | stream: adr and beat_layout; `last` ends a window                 |
    """

    def __init__(self, spec: SocSpec, fields, plan, position):
        self.rewind = Signal()
        self.start = Signal()
        self.pixels = Signal(bits_for(spec.strip))
        self.rows = Signal(bits_for(spec.macro.rows))
        self.first = Signal(13)
        self.inputs = Signal(13)
        self.source = stream.Endpoint([("adr", bits_for(spec.activation_words - 1)),
                                       *beat_layout(spec)])

        # # #

        active = Signal()
        pixel = Signal.like(self.pixels)
        row = Signal(bits_for(spec.macro.rows))
        tile, tap, following = (Record(TAP_LAYOUT, name=name)
                                for name in ("tile", "tap", "following"))
        self._beat(fields, plan, tap, row, position.now)
        self._follow(fields, plan, tap, following)
        final = Signal()
        self.comb += [
            self.source.valid.eq(active),
            final.eq(pixel == self.pixels - 1),
            position.advance.eq(active & self.source.ready & self.source.last),
        ]
        self.sync += [
            If(active & self.source.ready,
                row.eq(row + self.source.count),
                tap.eq(following),
                If(self.source.last,
                    row.eq(0),
                    pixel.eq(pixel + 1),
                    tap.eq(tile),
                    If(final,
                        active.eq(0),
                        tile.eq(following),
                    )
                )
            ),
            If(self.rewind, tile.raw_bits().eq(0)),
            If(self.start,
                active.eq(1),
                pixel.eq(0),
                row.eq(0),
                tap.eq(tile),
            ),
        ]

    def _beat(self, fields, plan, tap, row, now):
        """The present beat: up to the end of the word, of the pixel, of the row tile."""
        source, channel, ending = self.source, Signal(13), Signal()
        x, y = (Signal((COORDINATE_BITS, True)) for _ in range(2))
        in_word, in_pixel, in_tile, shorter = (Signal(13) for _ in range(4))
        self.comb += [
            x.eq(now.x + tap.kx),
            y.eq(now.y + tap.ky),
            channel.eq(self.first + tap.channel),
            source.padding.eq(~plan.add & ((x < 0) | (x >= fields.input_width)
                                           | (y < 0) | (y >= fields.input_height))),
            source.adr.eq(now.adr + tap.adr + channel[3:]),
            source.lead.eq(channel[:3]),
            source.row.eq(row),
            in_word.eq(WORD_BYTES - channel[:3]),
            in_pixel.eq(self.inputs - tap.channel),
            in_tile.eq(Mux(plan.vector, ENDLESS, self.rows - row)),
            shorter.eq(Mux(in_word < in_pixel, in_word, in_pixel)),
            source.count.eq(Mux(shorter < in_tile, shorter, in_tile)),
            ending.eq((tap.kx == fields.kernel_width - 1) & (tap.ky == fields.kernel_height - 1)
                      & (shorter == in_pixel)),
            source.last.eq((shorter >= in_tile) | ending),
        ]

    def _follow(self, fields, plan, tap, following):
        """The place after the present beat."""
        channel = Signal(13)
        self.comb += [
            channel.eq(tap.channel + self.source.count),
            following.eq(tap),
            If(channel != self.inputs,
                following.channel.eq(channel)
            ).Else(
                following.channel.eq(0),
                If(tap.kx != fields.kernel_width - 1,
                    following.kx.eq(tap.kx + 1),
                    following.adr.eq(tap.adr + plan.tap_step),
                ).Else(
                    following.kx.eq(0),
                    following.ky.eq(tap.ky + 1),
                    following.line.eq(tap.line + plan.row_stride),
                    following.adr.eq(tap.line + plan.row_stride),
                )
            )
        ]
