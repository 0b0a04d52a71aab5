"""The parameters of a column tile's channels; those of the next one are read ahead."""

from litex.gen import LiteXModule
from migen import Cat, If, Memory, Record, Signal, bits_for, log2_int

from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

PARAMETER_BITS = 128
"""Bits of a channel's parameters in memory."""


def parameter_layout():
    """A channel's parameters as they lie in memory: three numbers of 32 bits, then reserved ones.

    shift has few bits that matter, the multiplier is not negative.
    """
    return [("bias", (32, True)), ("multiplier", 31), ("shift", (6, True))]


def unpacked(word):
    """The parameters in a word of the parameter memory, as the bits of parameter_layout."""
    return Cat(word[:32], word[32:63], word[64:70])


def widest(spec: SocSpec) -> int:
    """The channels of the widest column tile with parameters."""
    return max(spec.macro.columns, WORD_BYTES * spec.banks if spec.depthwise else 0)


class Parameters(LiteXModule):
    """Reads the parameters of column tile after column tile, one channel per cycle.

    | port   | dir | meaning                                                              |
    |--------|-----|----------------------------------------------------------------------|
    | start  | in  | pulse: a layer of products begins                                    |
    | base   | in  | index of its first channel's parameters                              |
    | count  | in  | its channels, 1 or more                                              |
    | width  | in  | channels of a column tile but the last                               |
    | full   | out | the next column tile's parameters are here                           |
    | take   | in  | use them from the next cycle on; only when full                      |
    | step   | in  | number of the step of `lanes` channels                               |
    | lanes  | out | a record of parameter_layout for each lane                           |

    read: the read port of the parameter memory.
    """

    def __init__(self, spec: SocSpec, read):
        columns, lanes = widest(spec), spec.requant_lanes
        steps = max(1, columns // lanes)
        self.start = Signal()
        self.base = Signal(16)
        self.count = Signal(12)
        self.width = Signal(bits_for(columns))
        self.full = Signal()
        self.take = Signal()
        self.step = Signal(max(1, log2_int(steps)))
        self.lanes = [Record(parameter_layout(), name=f"lane{lane}") for lane in range(lanes)]

        # # #

        using = Signal()  # the half of the memories; the other one is for the next column tile
        adr, left, place = Signal(16), Signal(12), Signal(bits_for(columns))
        reading, arrives = Signal(), Signal()
        column, ends = Signal.like(place), Signal()
        self.comb += [
            reading.eq((left != 0) & ~self.full & ~ends),
            read.adr.eq(adr),
            read.re.eq(reading),
        ]
        self.sync += [
            arrives.eq(reading),
            column.eq(place),
            ends.eq(reading & ((place == self.width - 1) | (left == 1))),
            If(ends, self.full.eq(1)),
            If(
                reading,
                adr.eq(adr + 1),
                left.eq(left - 1),
                place.eq(place + 1),
            ),
            If(self.take, self.full.eq(0), place.eq(0), using.eq(~using)),
            If(self.start, adr.eq(self.base), left.eq(self.count), place.eq(0), self.full.eq(0)),
        ]
        size = len(self.lanes[0].raw_bits())
        low = log2_int(lanes)
        for lane, record in enumerate(self.lanes):
            memory = Memory(size, 2 * steps, name=f"parameters{lane}")
            writer, reader = memory.get_port(write_capable=True), memory.get_port(async_read=True)
            self.specials += memory, writer, reader
            mine = column[:low] == lane if low else 1
            own, taken = (column[low:-1], self.step) if steps > 1 else ((), ())
            self.comb += [
                writer.adr.eq(Cat(*own, ~using)),
                writer.dat_w.eq(unpacked(read.dat_r)),
                writer.we.eq(arrives & mine),
                reader.adr.eq(Cat(*taken, using)),
                record.raw_bits().eq(reader.dat_r),
            ]
