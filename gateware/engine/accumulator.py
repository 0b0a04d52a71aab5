"""The 32-bit partial sums of a strip of pixels over its row tiles."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import READ_FIRST, Cat, If, Memory, Mux, Record, Signal, bits_for

from dscim.gateware.engine.tiles import slots, tile_layout
from dscim.gateware.specs import SocSpec

SUM_BITS = 32

STAGES = 4
"""Cycles from a product until its sum can be read."""


def sums_layout(spec: SocSpec):
    """A sum for each column, in counts, or what an add or a pool has instead; the sum of a'.

    opens: the pixel is the first of its column tile. width: the channels that arrive.
    Only from the depthwise unit: follows: they are further channels of the same pixel; second,
    stays: as in `OutputPlace`.
    """
    return [
        ("sums", SUM_BITS * slots(spec)),
        ("activation_sum", SUM_BITS),
        ("opens", 1),
        ("width", bits_for(slots(spec))),
        ("follows", 1),
        ("second", 1),
        ("stays", 1),
    ]


def products_layout(spec: SocSpec):
    """The counts of a product, a sum of 32 bits each, and the sum of a'."""
    return [("sums", SUM_BITS * spec.macro.columns), ("activation_sum", SUM_BITS)]


class Accumulator(LiteXModule):
    """Adds the products of a row tile to the sums of the tiles before it, one pixel per cycle.

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | tiles  | in  | stream: tile_layout                                                |
    | sink   | in  | stream: products_layout                                            |
    | source | out | stream: sums_layout, of the last row tiles alone                   |
    | busy   | out | a sum is on its way                                                |

    Stages: the sum so far is read, then added to, then written or handed on. A pixel's sum is in
    memory STAGES cycles later, so a strip of fewer pixels waits for it.
    """

    def __init__(self, spec: SocSpec):
        self.tiles = tiles = stream.Endpoint(tile_layout(spec))
        self.sink = sink = stream.Endpoint(products_layout(spec))
        self.source = source = stream.Endpoint(sums_layout(spec))
        self.busy = Signal()

        # # #

        width = SUM_BITS * (spec.macro.columns + 1)
        memory = Memory(width, spec.strip, name="sums")
        reader = memory.get_port(has_re=True, mode=READ_FIRST)
        writer = memory.get_port(write_capable=True, mode=READ_FIRST)
        self.specials += memory, reader, writer

        pixel, advance, ready = Signal.like(tiles.pixels), Signal(), Signal()
        layout = [
            ("valid", 1),
            ("first", 1),
            ("final", 1),
            ("opens", 1),
            ("width", len(source.width)),
            ("pixel", len(pixel)),
            ("data", width),
        ]
        read, added, done = (Record(layout, name=name) for name in ("read", "added", "done"))
        before = Signal(width)
        last = pixel == tiles.pixels - 1
        short = tiles.pixels < STAGES
        waits = ~tiles.begins & short & (read.valid | added.valid | done.valid)
        self.comb += [
            advance.eq(~(done.valid & done.final) | source.ready),
            ready.eq(advance & tiles.valid & ~waits),
            sink.ready.eq(ready),
            tiles.ready.eq(sink.valid & ready & last),
            reader.adr.eq(pixel),
            reader.re.eq(advance),
            writer.adr.eq(done.pixel),
            writer.dat_w.eq(done.data),
            writer.we.eq(done.valid & ~done.final),
            source.valid.eq(done.valid & done.final),
            source.sums.eq(done.data[:-SUM_BITS]),
            source.activation_sum.eq(done.data[-SUM_BITS:]),
            source.opens.eq(done.opens),
            source.width.eq(done.width),
            self.busy.eq(read.valid | added.valid | done.valid),
        ]
        totals = []
        for slot in range(spec.macro.columns + 1):
            part, total = slice(SUM_BITS * slot, SUM_BITS * (slot + 1)), Signal(SUM_BITS)
            self.comb += total.eq(added.data[part] + before[part])
            totals.append(total)
        self.sync += [
            If(sink.valid & ready, pixel.eq(Mux(last, 0, pixel + 1))),
            If(
                advance,
                read.valid.eq(sink.valid & ready),
                read.first.eq(tiles.begins),
                read.final.eq(tiles.final),
                read.opens.eq(tiles.opens & (pixel == 0)),
                read.width.eq(tiles.width),
                read.pixel.eq(pixel),
                read.data.eq(Cat(sink.sums, sink.activation_sum)),
                added.eq(read),
                before.eq(Mux(read.first, 0, reader.dat_r)),
                done.eq(added),
                done.data.eq(Cat(*totals)),
            ),
        ]
