"""The 32-bit partial sums of a strip of pixels over its row tiles."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, READ_FIRST, Cat, If, Memory, Mux, NextState, NextValue, Signal, bits_for

from dscim.gateware.specs import SocSpec

SUM_BITS = 32


def sums_layout(columns: int):
    """A sum per column, in counts, and the sum of a' in the last slot."""
    return [("sums", SUM_BITS * (columns + 1))]


class Accumulator(LiteXModule):
    """Adds the products of one row tile to the sums of the tiles before it, pixel by pixel.

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | start  | in  | pulse: the next product belongs to the strip's first pixel         |
    | first  | in  | the row tile is the first: sums start at zero                      |
    | final  | in  | the row tile is the last: sums leave through `source`              |
    | pixels | in  | pixels of the strip, 1 or more                                     |
    | done   | out | every pixel of the strip has had its product since `start`         |
    | sink   | in  | stream: sums_layout, a product's counts                            |
    | source | out | stream: sums_layout                                                |
    """

    def __init__(self, spec: SocSpec):
        layout = sums_layout(spec.macro.columns)
        self.start = Signal()
        self.first = Signal()
        self.final = Signal()
        self.pixels = Signal(bits_for(spec.strip))
        self.done = Signal()
        self.sink = sink = stream.Endpoint(layout)
        self.source = source = stream.Endpoint(layout)

        # # #

        slots = spec.macro.columns + 1
        memory = Memory(SUM_BITS * slots, spec.strip)
        reader = memory.get_port(mode=READ_FIRST)
        writer = memory.get_port(write_capable=True, mode=READ_FIRST)
        self.specials += memory, reader, writer

        pixel, before = Signal.like(self.pixels), Signal(SUM_BITS * slots)
        taken = Signal()
        added = []
        for slot in range(slots):
            part = slice(SUM_BITS * slot, SUM_BITS * (slot + 1))
            total = Signal(SUM_BITS)
            self.comb += total.eq(sink.sums[part] + before[part])
            added.append(total)
        self.fsm = fsm = FSM(reset_state="FETCH")
        self.comb += [
            self.done.eq(pixel == self.pixels),
            taken.eq(fsm.ongoing("ADD") & sink.valid & sink.ready),
            reader.adr.eq(Mux(taken, pixel + 1, pixel)),
            writer.adr.eq(pixel),
            writer.dat_w.eq(Cat(*added)),
            source.sums.eq(Cat(*added)),
        ]
        self.sync += If(self.start, pixel.eq(0))
        self._step(
            fsm,
            taken,
            [writer.we.eq(~self.final), NextValue(pixel, pixel + 1)],
            If(self.first, NextValue(before, 0)).Else(NextValue(before, reader.dat_r)),
        )

    def _step(self, fsm, taken, take, keep):
        """From pixel to pixel: keeps the word that was read, because a memory's output is late in
        its cycle, then waits for the product. The first address is valid a cycle after `start`."""
        again = If(self.start, NextState("FETCH"))
        fsm.act(
            "FETCH",
            NextState("READ"),
            again,
        )
        fsm.act(
            "READ",
            keep,
            NextState("ADD"),
            again,
        )
        fsm.act(
            "ADD",
            self.source.valid.eq(self.sink.valid & self.final),
            self.sink.ready.eq(~self.final | self.source.ready),
            If(
                taken,
                *take,
                NextState("READ"),
            ),
            again,
        )
