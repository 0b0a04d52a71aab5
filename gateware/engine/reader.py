"""A memory's read port as a stream."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Mux, Signal


class MemoryReader(LiteXModule):
    """Reads a word for each address that comes in; what came with the address goes along.

    | port   | dir | meaning                                             |
    |--------|-----|-----------------------------------------------------|
    | sink   | in  | stream: adr and the companions; `last` goes along   |
    | source | out | stream: data (the word) and the companions          |

    read: the `read` record of a `WindowedMemory`. One word a cycle. beside: None, or such a record
    of somebody who shares the port and always comes first; a word that waits is kept meanwhile.
    """

    def __init__(self, read, companions: list[tuple[str, int]], beside=None):
        self.sink = stream.Endpoint([("adr", len(read.adr)), *companions])
        self.source = stream.Endpoint([("data", len(read.dat_r)), *companions])

        # # #

        valid = Signal()
        advance = Signal()
        self.comb += [
            self.sink.ready.eq(advance),
            self.source.valid.eq(valid),
        ]
        self.sync += If(advance, valid.eq(self.sink.valid)).Elif(self.source.ready, valid.eq(0))
        for name in [*(name for name, _ in companions), "last"]:
            held = Signal.like(getattr(self.sink, name))
            self.sync += If(advance, held.eq(getattr(self.sink, name)))
            self.comb += getattr(self.source, name).eq(held)
        if beside is None:
            self._read_alone(read, valid, advance)
        else:
            self._read_shared(read, valid, advance, beside)

    def _read_alone(self, read, valid, advance):
        self.comb += [
            advance.eq(~valid | self.source.ready),
            read.adr.eq(self.sink.adr),
            read.re.eq(advance & self.sink.valid),
            self.source.data.eq(read.dat_r),
        ]

    def _read_shared(self, read, valid, advance, beside):
        """What waits in the memory's output is kept before another's word comes there."""
        kept, word = Signal(), Signal(len(read.dat_r))
        self.comb += [
            advance.eq((~valid | self.source.ready) & ~beside.re),
            read.adr.eq(Mux(beside.re, beside.adr, self.sink.adr)),
            read.re.eq(beside.re | (advance & self.sink.valid)),
            beside.dat_r.eq(read.dat_r),
            self.source.data.eq(Mux(kept, word, read.dat_r)),
        ]
        self.sync += [
            If(~kept, word.eq(read.dat_r)),
            If(self.source.ready, kept.eq(0)).Elif(valid & beside.re, kept.eq(1)),
        ]
