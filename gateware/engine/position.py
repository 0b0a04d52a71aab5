"""The position of the current pixel's window in the input."""

from litex.gen import LiteXModule
from migen import If, Record, Signal

COORDINATE_BITS = 26
"""Bits of a signed coordinate: 4095 windows 4095 apart do not wrap."""


def position_layout(size_bits: int):
    """column: pixel of the output row; x, y: first tap; line, adr: words, from input_base."""
    return [
        ("column", 12),
        ("x", (COORDINATE_BITS, True)),
        ("y", (COORDINATE_BITS, True)),
        ("line", size_bits),
        ("adr", size_bits),
    ]


class Position(LiteXModule):
    """Steps through the output pixels in raster order, and back to the start of a strip. If a
    window holds several pixels, it steps through each of them.

    | port    | dir | meaning                                                       |
    |---------|-----|---------------------------------------------------------------|
    | reset   | in  | pulse: go to the first pixel, which becomes the strip's start |
    | restart | in  | pulse: go to the strip's start                                |
    | advance | in  | pulse: go to the next pixel                                   |
    | commit  | in  | pulse: the current pixel becomes the strip's start            |
    | now     | out | the current pixel's window; `adr` wraps in the padding        |

    fields, plan: those of the layer. Addresses are words of the activation memory.
    """

    def __init__(self, fields, plan):
        self.reset = Signal()
        self.restart = Signal()
        self.advance = Signal()
        self.commit = Signal()
        layout = position_layout(len(plan.pixels))
        self.now = now = Record(layout)

        # # #

        start = Record(layout)
        first, last_column = Signal.like(now.adr), Signal(12)
        self.comb += first.eq(fields.input_base + plan.origin_line + plan.origin_pixel)
        self.sync += [
            last_column.eq((fields.output_width << fields.windows_log2) - 1),
            If(
                self.advance,
                If(
                    now.column == last_column,
                    now.column.eq(0),
                    now.x.eq(fields.origin_x),
                    now.y.eq(now.y + fields.stride_y),
                    now.line.eq(now.line + plan.line_step),
                    now.adr.eq(now.line + plan.line_step),
                ).Else(
                    now.column.eq(now.column + 1),
                    now.x.eq(now.x + fields.stride_x),
                    now.adr.eq(now.adr + plan.pixel_step),
                ),
            ),
            If(self.commit, start.eq(now)),
            If(self.restart, now.eq(start)),
        ]
        for record in (now, start):
            self.sync += If(
                self.reset,
                record.column.eq(0),
                record.x.eq(fields.origin_x),
                record.y.eq(fields.origin_y),
                record.line.eq(first),
                record.adr.eq(first),
            )
