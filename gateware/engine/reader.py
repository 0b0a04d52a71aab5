"""Memories as streams: words, rows of weights, aligned activations."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, Constant, If, Mux, Replicate, Signal, bits_for

from dscim.gateware.engine.walker import beat_layout
from dscim.gateware.macro.interface import activation_layout, weight_layout
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES


class MemoryReader(LiteXModule):
    """Reads a word for each address; the companions of the address are passed on with the word.

    | port   | dir | meaning                                             |
    |--------|-----|-----------------------------------------------------|
    | sink   | in  | stream: adr, the companions, `last`                 |
    | source | out | stream: data (the word), the companions, `last`     |

    read: the `read` record of a `WindowedMemory`. One word per cycle. other: None, or the record
    of another reader that shares the port and always has priority; a waiting word is kept.
    """

    def __init__(self, read, companions: list[tuple[str, int]], other=None):
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
        if other is None:
            self._read_alone(read, valid, advance)
        else:
            self._read_shared(read, valid, advance, other)

    def _read_alone(self, read, valid, advance):
        self.comb += [
            advance.eq(~valid | self.source.ready),
            read.adr.eq(self.sink.adr),
            read.re.eq(advance & self.sink.valid),
            self.source.data.eq(read.dat_r),
        ]

    def _read_shared(self, read, valid, advance, other):
        """Keeps a word that waits in the memory's output before the other reader replaces it."""
        kept, word = Signal(), Signal(len(read.dat_r))
        self.comb += [
            advance.eq((~valid | self.source.ready) & ~other.re),
            read.adr.eq(Mux(other.re, other.adr, self.sink.adr)),
            read.re.eq(other.re | (advance & self.sink.valid)),
            other.dat_r.eq(read.dat_r),
            self.source.data.eq(Mux(kept, word, read.dat_r)),
        ]
        self.sync += [
            If(~kept, word.eq(read.dat_r)),
            If(self.source.ready, kept.eq(0)).Elif(valid & other.re, kept.eq(1)),
        ]


class WeightLoader(LiteXModule):
    """Streams `rows` rows, starting at `adr`, to rows 0, 1, ... of the macro, one per cycle.

    | port   | dir | meaning                                                    |
    |--------|-----|------------------------------------------------------------|
    | start  | in  | pulse: start at `adr`                                      |
    | adr    | in  | first row in the weight memory                             |
    | rows   | in  | rows to load, 1..R; stable until done                      |
    | done   | out | pulse: the macro has accepted the last row                 |
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


def aligned_layout(spec: SocSpec):
    """The macro's activations, and 1 where the beat is padding."""
    return [*activation_layout(spec.macro), ("padding", 1)]


class Aligner(LiteXModule):
    """Moves a beat's first byte to bit 0, and inserts the zero point where the window is padding.

    | port       | dir | meaning                                      |
    |------------|-----|----------------------------------------------|
    | zero_point | in  | z, int8                                      |
    | sink       | in  | stream: data (a word) and beat_layout        |
    | source     | out | stream: aligned_layout                       |
    """

    def __init__(self, spec: SocSpec):
        self.zero_point = Signal((8, True))
        self.sink = sink = stream.Endpoint([("data", 8 * WORD_BYTES), *beat_layout(spec)])
        self.source = source = stream.Endpoint(aligned_layout(spec))

        # # #

        # otherwise `ready` would cross from the requantiser to the memory in one cycle
        shifted = stream.Buffer(aligned_layout(spec), pipe_valid=True, pipe_ready=True)
        self.submodules += shifted
        self.comb += [
            sink.connect(shifted.sink, keep={"valid", "ready", "last", "row", "count", "padding"}),
            shifted.sink.data.eq(sink.data >> Cat(Constant(0, 3), sink.lead)),
            If(sink.padding, shifted.sink.data.eq(Replicate(self.zero_point, WORD_BYTES))),
            shifted.source.connect(source),
        ]
