"""A ring memory: written ahead at any place, read in order as far as its owner has committed."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import READ_FIRST, If, Memory, Record, Signal, log2_int


class Ring(LiteXModule):
    """A ring of `depth` items (a power of two) of `width` bits; places are modulo `depth`.

    The owner writes ahead of `committed`, and advances it when all items before it may be read.
    Until then it may overwrite them.

    | port      | dir | meaning                                                           |
    |-----------|-----|-------------------------------------------------------------------|
    | write     | in  | adr, dat_w, we: at any place from `committed` on, before `freed`  |
    | committed | in  | a register of the owner: the first place that may not be read     |
    | freed     | out | the first place that has not been read: the owner stays before it |
    | source    | out | data, one item per cycle                                          |
    """

    def __init__(self, width: int, depth: int):
        bits = log2_int(depth)
        self.write = Record([("adr", bits), ("we", 1), ("dat_w", width)])
        self.committed, self.freed = Signal(bits), Signal(bits)
        self.source = source = stream.Endpoint([("data", width)])

        # # #

        memory = Memory(width, depth)
        reader = memory.get_port(has_re=True, mode=READ_FIRST)
        writer = memory.get_port(write_capable=True, mode=READ_FIRST)
        self.specials += memory, reader, writer
        self.comb += [
            writer.adr.eq(self.write.adr),
            writer.dat_w.eq(self.write.dat_w),
            writer.we.eq(self.write.we),
            reader.adr.eq(self.freed),
            reader.re.eq((self.freed != self.committed) & (source.ready | ~source.valid)),
            source.data.eq(reader.dat_r),
        ]
        self.sync += If(reader.re, self.freed.eq(self.freed + 1), source.valid.eq(1)).Elif(
            source.ready, source.valid.eq(0)
        )
