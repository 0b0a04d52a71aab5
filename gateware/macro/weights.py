"""Where a macro keeps its weights: a memory for each group, or registers for every row."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import READ_FIRST, Cat, If, Memory, Signal, log2_int

from dscim.gateware.macro.interface import weight_layout


class WeightInput(LiteXModule):
    """Encodes rows of weights on their way into a store.

    encoders: one module a column with ports w, value, sign.
    width, operand: bits kept of a weight, and the function from an encoder's value to exactly
    as many bits; the sign is kept beside them, on top.

    | port   | dir | meaning                                                  |
    |--------|-----|----------------------------------------------------------|
    | sink   | in  | stream of weight rows; always taken                      |
    | write  | out | `row` and `word` are to be stored at the end of the cycle |
    | row    | out | row number                                               |
    | word   | out | column c in bits [c*(width + 1), (c + 1)*(width + 1))    |
    """

    def __init__(self, spec, encoders, width: int, operand):
        self.sink = stream.Endpoint(weight_layout(spec))
        self.write = Signal()
        self.row = Signal(len(self.sink.row))
        self.word = Signal(spec.columns*(width + 1))

        # # #

        data = Signal(8*spec.columns)
        self.comb += self.sink.ready.eq(1)
        self.sync += [self.write.eq(self.sink.valid),
                      If(self.sink.valid, self.row.eq(self.sink.row), data.eq(self.sink.data))]
        cells = []
        for column, encoder in enumerate(encoders):
            self.add_module(f"encoder{column}", encoder)
            self.comb += encoder.w.eq(data[8*column:8*column + 8])
            cells += [operand(encoder.value), encoder.sign]
        self.comb += self.word.eq(Cat(*cells))


class WeightMemory(LiteXModule):
    """A G-deep memory for each group: all groups read the same row number of theirs.

    | port      | dir | meaning                                                    |
    |-----------|-----|------------------------------------------------------------|
    | sink      | in  | stream of weight rows                                      |
    | busy      | out | a row is on its way                                        |
    | region    | in  | row number within the groups                               |
    | words     | out | a word a group, one cycle after `region`                   |
    """

    def __init__(self, spec, encoders, width: int, operand):
        self.input = source = WeightInput(spec, encoders, width, operand)
        self.sink = source.sink
        self.busy = source.write
        self.width = width + 1
        self.region = Signal(log2_int(spec.or_width))
        self.words = []

        # # #

        inner = log2_int(spec.or_width)
        for group in range(spec.groups):
            memory = Memory(len(source.word), spec.or_width, name=f"weights{group}")
            mine = source.row[inner:] == group if spec.groups > 1 else 1
            write = memory.get_port(write_capable=True)
            read = memory.get_port(mode=READ_FIRST)
            self.specials += memory, write, read
            self.comb += [write.adr.eq(source.row[:inner]), write.dat_w.eq(source.word),
                          write.we.eq(source.write & mine),
                          read.adr.eq(self.region)]
            self.words.append(read.dat_r)

    def cell(self, group: int, column: int):
        """A new signal: operand and sign (top bit) that a group's memory reads for a column."""
        cell = Signal(self.width)
        self.comb += cell.eq(self.words[group][column*self.width:(column + 1)*self.width])
        return cell


class WeightRegisters(LiteXModule):
    """Every row at once, bit-sliced: bit k of all columns side by side.

    | port   | dir | meaning                                                       |
    |--------|-----|---------------------------------------------------------------|
    | sink   | in  | stream of weight rows                                         |
    | busy   | out | a row is on its way                                           |
    | slices | out | slices[row][k]: bit k of every column's operand; the last one |
    |        |     | holds the signs                                               |
    """

    def __init__(self, spec, encoders, width: int, operand):
        self.input = source = WeightInput(spec, encoders, width, operand)
        self.sink = source.sink
        self.busy = source.write
        self.slices = [[Signal(spec.columns, name=f"weights{row}_bit{k}")
                        for k in range(width + 1)] for row in range(spec.rows)]

        # # #

        sliced = [Cat(*[source.word[column*(width + 1) + k] for column in range(spec.columns)])
                  for k in range(width + 1)]
        for row, slices in enumerate(self.slices):
            self.sync += If(source.write & (source.row == row),
                            *[bits.eq(new) for bits, new in zip(slices, sliced, strict=True)])
