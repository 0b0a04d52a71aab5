"""Reads of the activation memory as a stream: words in the order of lines, padding filled in."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Mux, Replicate, Signal

from dscim.gateware.engine.addresses import move_layout, read_layout
from dscim.gateware.engine.lines import rotated
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES


class MemoryReader(LiteXModule):
    """Reads for each address; the companions of the address are passed on with the words.

    | port   | dir | meaning                                             |
    |--------|-----|-----------------------------------------------------|
    | sink   | in  | stream: adr, the companions, `last`                 |
    | source | out | stream: data (the words), the companions, `last`    |

    read: the `read` record of a `WindowedMemory`. One read per cycle. other: the record of another
    reader that shares the port and always has priority, whose words do not replace those that wait;
    None if the port is not shared.
    """

    def __init__(self, read, companions: list[tuple[str, int]], other=None):
        self.sink = stream.Endpoint([("adr", len(read.adr)), *companions])
        self.source = stream.Endpoint([("data", len(read.dat_r)), *companions])

        # # #

        valid, advance = Signal(), Signal()
        self.comb += [self.sink.ready.eq(advance), self.source.valid.eq(valid)]
        self.sync += If(advance, valid.eq(self.sink.valid)).Elif(self.source.ready, valid.eq(0))
        if other is None:
            self.comb += [
                advance.eq(~valid | self.source.ready),
                read.adr.eq(self.sink.adr),
                read.re.eq(advance & self.sink.valid),
                self.source.data.eq(read.dat_r),
            ]
        else:
            self._share(read, other, valid, advance)
        for name in [*(name for name, _ in companions), "last"]:
            held = Signal.like(getattr(self.sink, name))
            self.sync += If(advance, held.eq(getattr(self.sink, name)))
            self.comb += getattr(self.source, name).eq(held)

    def _share(self, read, other, valid, advance):
        """Keeps words that wait in the memory's output before the other reader replaces them."""
        kept, words = Signal(), Signal(len(read.dat_r))
        self.comb += [
            advance.eq((~valid | self.source.ready) & ~other.re),
            read.adr.eq(Mux(other.re, other.adr, self.sink.adr)),
            read.re.eq(other.re | (advance & self.sink.valid)),
            other.dat_r.eq(read.dat_r),
            self.source.data.eq(Mux(kept, words, read.dat_r)),
        ]
        self.sync += [
            If(~kept, words.eq(read.dat_r)),
            If(self.source.ready, kept.eq(0)).Elif(valid & other.re, kept.eq(1)),
        ]


def words_layout(spec: SocSpec):
    """The words of a beat in the order of lines, which of them are padding, and what the beat does
    in the macro's window."""
    return [
        ("data", 8 * WORD_BYTES * spec.banks),
        ("padding", spec.banks),
        *move_layout(spec),
    ]


class Aligner(LiteXModule):
    """Turns the banks' words so that that of the first line is the first, and fills in padding.

    | port       | dir | meaning                                                     |
    |------------|-----|-------------------------------------------------------------|
    | zero_point | in  | z, int8: the bytes of padding                               |
    | sink       | in  | stream: data (a word of each bank), read_layout without adr,|
    |            |     | move_layout                                                 |
    | source     | out | stream: words_layout                                        |
    """

    def __init__(self, spec: SocSpec):
        self.zero_point = Signal((8, True))
        companions = [*read_layout(spec)[1:], *move_layout(spec)]
        self.sink = sink = stream.Endpoint([("data", 8 * WORD_BYTES * spec.banks), *companions])
        self.source = source = stream.Endpoint(words_layout(spec))

        # # #

        # otherwise `ready` would cross from the requantiser to the memory in one cycle
        self.turned = turned = stream.Buffer(words_layout(spec), pipe_valid=True, pipe_ready=True)
        bits = 8 * WORD_BYTES
        words = rotated(self, sink.data, sink.bank, bits)
        filler = Replicate(self.zero_point, WORD_BYTES)
        self.comb += [
            sink.connect(turned.sink, omit={"data", "bank"}),
            turned.sink.data.eq(
                Cat(
                    *[
                        Mux(sink.padding[word], filler, words[word * bits : (word + 1) * bits])
                        for word in range(spec.banks)
                    ]
                )
            ),
            turned.source.connect(source),
        ]
