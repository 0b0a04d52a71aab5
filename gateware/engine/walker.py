"""The window walker: the addresses of a row tile's activations, pixel by pixel."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Mux, Record, Signal, bits_for

from dscim.gateware.engine.position import COORDINATE_BITS
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

TILE_LAYOUT = [("ky", 12), ("kx", 12), ("left", 13), ("line", 17), ("adr", 17)]
"""A place in a window: the tap (ky, kx), its channels left to read (0: all), and the addresses of
the tap's row and of the tap, relative to the window's first tap."""

TAP_LAYOUT = [*TILE_LAYOUT, ("channel", 13)]
"""The current place: it has the input channel too, and `left` is never 0."""

MANY = 15
"""More rows or channels than a beat can have."""


def beat_layout(spec: SocSpec):
    """The companions of an address: bytes to skip, bytes to use, 1 for padding, and the macro's row
    of the first byte."""
    return [("lead", 3), ("count", 4), ("padding", 1), ("row", bits_for(spec.macro.rows - 1))]


def _at_most_many(count):
    """The minimum of `count` and MANY, without a carry chain: MANY is four ones."""
    assert MANY == 0b1111
    return Mux(count[4:] != 0, MANY, count[:4]) if len(count) > 4 else count


class WindowWalker(LiteXModule):
    """One beat per cycle: a word of the activation memory, or of padding, with up to 8 channels.

    A row tile starts where the one before it ended, anywhere in a window. That place is kept, so
    that every pixel of the strip starts there, and advanced after the strip's last pixel. Adds and
    pools have no rows: their windows are whole, and an add's second tap is its second input, never
    padding. In a window of several pixels, each pixel starts at a whole OR group.

    | port     | dir | meaning                                                           |
    |----------|-----|-------------------------------------------------------------------|
    | rewind   | in  | pulse, before start: the next row tile is the window's first      |
    | start    | in  | pulse: walk one row tile of `pixels` windows                      |
    | pixels   | in  | windows of the strip, 1 or more                                   |
    | rows     | in  | rows of the row tile, 1..R; not for adds and pools                |
    | first    | in  | first channel to read of a pixel                                  |
    | inputs   | in  | channels to read, 1 or more                                       |
    | position | in  | `Position.now`; `advance` is pulsed after each pixel              |
    | source   | out | stream: adr and beat_layout; `last` ends a window                 |
    """

    def __init__(self, spec: SocSpec, fields, plan, position):
        self.rewind = Signal()
        self.start = Signal()
        self.pixels = Signal(bits_for(spec.strip))
        self.rows = Signal(bits_for(spec.macro.rows))
        self.first = Signal(13)
        self.inputs = Signal(13)
        self.source = stream.Endpoint(
            [("adr", bits_for(spec.activation_words - 1)), *beat_layout(spec)]
        )

        # # #

        active = Signal()
        pixel = Signal.like(self.pixels)
        row = Signal(bits_for(spec.macro.rows))
        room = Signal(bits_for(max(spec.macro.rows, MANY)))  # rows left to read
        tap, following = (Record(TAP_LAYOUT, name=name) for name in ("tap", "following"))
        tile = Record(TILE_LAYOUT)
        self._beat(fields, plan, tap, row, room, position.now)
        self._follow(plan, tap, following)
        final = Signal()
        beside = WindowsBeside(spec, fields, plan)
        self.submodules += beside
        self.comb += [
            self.source.valid.eq(active),
            self.source.last.eq(self._pixel_ends & ~beside.more),
            final.eq(pixel == self.pixels - 1),
            position.advance.eq(active & self.source.ready & self._pixel_ends),
            beside.open.eq(self.start | (active & self.source.ready & self.source.last)),
            beside.advance.eq(position.advance),
        ]
        self._step(plan, tile, tap, following, beside, (active, pixel, row, room, final))

    def _step(self, plan, tile, tap, following, beside, state):
        """From beat to beat, from pixel to pixel of a window, from window to window."""
        active, pixel, row, room, final = state
        open_window = [row.eq(0), room.eq(Mux(plan.vector, MANY, self.rows))]
        self.sync += [
            If(
                active & self.source.ready,
                row.eq(row + self.source.count),
                If(~plan.vector, room.eq(room - self.source.count)),
                tap.eq(following),
                If(
                    self._pixel_ends,
                    row.eq(beside.row),
                    *self._enter(tile, tap),
                ),
                If(
                    self.source.last,
                    pixel.eq(pixel + 1),
                    *open_window,
                    If(
                        final,
                        active.eq(0),
                        *[
                            getattr(tile, name).eq(getattr(following, name))
                            for name, _ in TILE_LAYOUT
                        ],
                    ),
                ),
            ),
            If(self.rewind, tile.raw_bits().eq(0)),
            If(
                self.start,
                active.eq(1),
                pixel.eq(0),
                *open_window,
                *self._enter(tile, tap),
            ),
        ]

    def _enter(self, tile, tap):
        """Assignments: the place where the row tile starts. Only a tile that starts inside a tap
        needs the channel after the last, which is valid a cycle after `first`."""
        end = Signal(13)
        self.sync += end.eq(self.first + self.inputs)
        return [
            *[getattr(tap, name).eq(getattr(tile, name)) for name, _ in TILE_LAYOUT],
            tap.channel.eq(end - tile.left),
            If(tile.left == 0, tap.left.eq(self.inputs), tap.channel.eq(self.first)),
        ]

    def _beat(self, fields, plan, tap, row, room, now):
        """The current beat: up to the end of the word, of the pixel or of the row tile.

        Each of these has its own counter, because three subtractions would be too slow.
        """
        source = self.source
        x, y = (Signal((COORDINATE_BITS, True)) for _ in range(2))
        in_word, in_pixel, in_tile = (Signal(4) for _ in range(3))
        word_first, word_in_tile, pixel_in_tile, pixel_in_word = (Signal() for _ in range(4))
        last_x, last_y, final_tap = Signal(12), Signal(12), Signal()
        self._tap_ends, self._row_ends = tap_ends, row_ends = Signal(), Signal()
        self._pixel_ends = Signal()  # ... within the row tile
        self.sync += [last_x.eq(fields.kernel_width - 1), last_y.eq(fields.kernel_height - 1)]
        self.comb += [
            x.eq(now.x + tap.kx),
            y.eq(now.y + tap.ky),
            source.padding.eq(
                ~plan.add
                & ((x < 0) | (x >= fields.input_width) | (y < 0) | (y >= fields.input_height))
            ),
            source.adr.eq(now.adr + tap.adr + tap.channel[3:]),
            source.lead.eq(tap.channel[:3]),
            source.row.eq(row),
            in_word.eq(WORD_BYTES - tap.channel[:3]),
            in_pixel.eq(_at_most_many(tap.left)),
            in_tile.eq(_at_most_many(room)),
            # in parallel, because chained comparisons would be too slow
            word_first.eq(in_word < in_pixel),
            word_in_tile.eq(in_word < in_tile),
            pixel_in_tile.eq(in_pixel < in_tile),
            pixel_in_word.eq(in_pixel <= in_word),
            source.count.eq(
                Mux(
                    word_first,
                    Mux(word_in_tile, in_word, in_tile),
                    Mux(pixel_in_tile, in_pixel, in_tile),
                )
            ),
            row_ends.eq(tap.kx == last_x),
            final_tap.eq(row_ends & (tap.ky == last_y)),
            tap_ends.eq(pixel_in_word & (in_pixel <= in_tile)),
            self._pixel_ends.eq(
                ~Mux(word_first, word_in_tile, pixel_in_tile) | (final_tap & pixel_in_word)
            ),
        ]

    def _follow(self, plan, tap, following):
        """The place after the current beat."""
        self.comb += [
            following.eq(tap),
            If(
                ~self._tap_ends,
                following.channel.eq(tap.channel + self.source.count),
                following.left.eq(tap.left - self.source.count),
            ).Else(
                following.channel.eq(self.first),
                following.left.eq(self.inputs),
                If(
                    ~self._row_ends,
                    following.kx.eq(tap.kx + 1),
                    following.adr.eq(tap.adr + plan.tap_step),
                ).Else(
                    following.kx.eq(0),
                    following.ky.eq(tap.ky + 1),
                    following.line.eq(tap.line + plan.row_stride),
                    following.adr.eq(tap.line + plan.row_stride),
                ),
            ),
        ]


class WindowsBeside(LiteXModule):
    """Counts the pixels of a window, and finds the first row of the next one.

    | port    | dir | meaning                                                             |
    |---------|-----|---------------------------------------------------------------------|
    | open    | in  | pulse: a window's first pixel is next; wins over advance            |
    | advance | in  | pulse: the next pixel                                               |
    | more    | out | the pixel is not the last of its window                             |
    | row     | out | the next pixel's first row: the first whole OR group after this one |

    fields, plan: those of the layer, valid long before.
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.open = Signal()
        self.advance = Signal()
        self.more = Signal()
        self.row = Signal(bits_for(spec.macro.rows))

        # # #

        group = spec.macro.or_width
        left, whole, step = Signal(3), Signal(len(plan.window) + 1), Signal.like(self.row)
        self.comb += [self.more.eq(left != 0), whole.eq(plan.window + group - 1)]
        self.sync += [
            step.eq(whole & ~(group - 1)),
            If(self.advance, left.eq(left - 1), self.row.eq(self.row + step)),
            If(self.open, left.eq((1 << fields.windows_log2) - 1), self.row.eq(step)),
        ]
