"""Weights from memory to the macro: one row of a row tile a cycle."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import If, Signal, bits_for

from dscim.gateware.engine.reader import MemoryReader
from dscim.gateware.macro.interface import weight_layout
from dscim.gateware.specs import SocSpec


class WeightLoader(LiteXModule):
    """Streams `rows` rows from `adr` on into rows 0, 1, ... of the macro.

    | port   | dir | meaning                                                    |
    |--------|-----|------------------------------------------------------------|
    | start  | in  | pulse: adr is taken                                        |
    | adr    | in  | first row in the weight memory                             |
    | rows   | in  | rows to load, 1..R; must hold until done                   |
    | done   | out | pulse: the macro has taken the last                        |
    | source | out | stream: the macro's weights                                |
    """

    def __init__(self, spec: SocSpec, read):
        rows = spec.macro.rows
        self.start = Signal()
        self.adr = Signal(bits_for(spec.weight_rows - 1))
        self.rows = Signal(bits_for(rows))
        self.done = Signal()
        self.source = stream.Endpoint(weight_layout(spec.macro))

        # # #

        self.reader = reader = MemoryReader(read, [("row", bits_for(rows - 1))])
        active = Signal()
        adr = Signal.like(self.adr)
        row = Signal.like(self.rows)
        self.comb += [
            reader.sink.valid.eq(active),
            reader.sink.adr.eq(adr),
            reader.sink.row.eq(row),
            reader.sink.last.eq(row == self.rows - 1),
            reader.source.connect(self.source),
            self.done.eq(self.source.valid & self.source.ready & self.source.last),
        ]
        self.sync += [
            If(
                active & reader.sink.ready,
                adr.eq(adr + 1),
                row.eq(row + 1),
                If(reader.sink.last, active.eq(0)),
            ),
            If(
                self.start,
                active.eq(1),
                adr.eq(self.adr),
                row.eq(0),
            ),
        ]
