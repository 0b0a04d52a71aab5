"""Pairs of an add's inputs: two beats side by side."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Signal

from dscim.gateware.engine.accumulator import SUM_BITS
from dscim.gateware.engine.align import aligned_layout
from dscim.gateware.engine.loops import vector_channels
from dscim.gateware.specs import SocSpec


class Pairs(LiteXModule):
    """Holds the first input's channels until the second's come.

    | port   | dir | meaning                                                              |
    |--------|-----|----------------------------------------------------------------------|
    | sink   | in  | stream: aligned_layout; the beat with `last` is the second           |
    | source | out | stream: slots, 32 bits a channel: first input in bits 0..7, second   |
    |        |     | in bits 8..15                                                        |
    """

    def __init__(self, spec: SocSpec):
        channels = vector_channels(spec)
        self.sink = sink = stream.Endpoint(aligned_layout(spec))
        self.source = source = stream.Endpoint([("slots", SUM_BITS * channels)])

        # # #

        first = Signal(8 * channels)
        slots = []
        for channel in range(channels):
            octet = slice(8 * channel, 8 * channel + 8)
            slot = Signal(SUM_BITS)
            self.comb += slot.eq(Cat(first[octet], sink.data[octet]))
            slots.append(slot)
        self.comb += [
            source.slots.eq(Cat(*slots)),
            source.valid.eq(sink.valid & sink.last),
            sink.ready.eq(~sink.last | source.ready),
        ]
        self.sync += If(sink.valid & ~sink.last, first.eq(sink.data))
