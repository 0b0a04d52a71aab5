"""A memory's read port as a stream."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Signal


class MemoryReader(LiteXModule):
    """Reads a word for each address that comes in; what came with the address goes along.

    | port   | dir | meaning                                             |
    |--------|-----|-----------------------------------------------------|
    | sink   | in  | stream: adr and the companions; `last` goes along   |
    | source | out | stream: data (the word) and the companions          |

    read: the `read` record of a `WindowedMemory`. One word a cycle.
    """

    def __init__(self, read, companions: list[tuple[str, int]]):
        self.sink = stream.Endpoint([("adr", len(read.adr)), *companions])
        self.source = stream.Endpoint([("data", len(read.dat_r)), *companions])

        # # #

        valid = Signal()
        advance = Signal()
        self.comb += [
            advance.eq(~valid | self.source.ready),
            self.sink.ready.eq(advance),
            read.adr.eq(self.sink.adr),
            read.re.eq(advance & self.sink.valid),
            self.source.valid.eq(valid),
            self.source.data.eq(read.dat_r),
        ]
        self.sync += If(advance, valid.eq(self.sink.valid))
        for name in [*(name for name, _ in companions), "last"]:
            held = Signal.like(getattr(self.sink, name))
            self.sync += If(advance, held.eq(getattr(self.sink, name)))
            self.comb += getattr(self.source, name).eq(held)
