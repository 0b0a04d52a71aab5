"""A macro's weight store: a memory for each group, or registers for every row."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import READ_FIRST, Cat, If, Memory, Signal, log2_int

from dscim.gateware.macro.interface import weight_layout


def by_column(cells):
    """A row's word by columns, column 0 lowest."""
    return Cat(*cells)


def by_bit(cells):
    """A row's word by slices: bit k of every column side by side, bit 0 lowest."""
    return Cat(*[cell[k] for k in range(len(cells[0])) for cell in cells])


class WeightInput(LiteXModule):
    """Encodes rows of weights for a store.

    encoders: one module per column with ports w, value, sign.
    width, operand: the bits kept of a weight, and the function from an encoder's value to exactly
    these bits; the sign is the bit above them.
    layout: `by_column` or `by_bit`.

    | port   | dir | meaning                                                   |
    |--------|-----|-----------------------------------------------------------|
    | sink   | in  | stream of weight rows; always ready                       |
    | busy   | out | a row is being encoded                                    |
    | write  | out | `row` and `word` are to be stored at the end of the cycle |
    | row    | out | row number                                                |
    | word   | out | operand and sign, width + 1 bits, of every column         |
    """

    def __init__(self, spec, encoders, width: int, operand, layout):
        self.sink = stream.Endpoint(weight_layout(spec))
        self.busy = Signal()
        self.write = Signal()
        self.row = Signal(len(self.sink.row))
        self.word = Signal(spec.columns * (width + 1))

        # # #

        arrived = stream.Endpoint(weight_layout(spec))
        cells = [Signal(width + 1, name=f"cell{column}") for column in range(spec.columns)]
        for column, encoder in enumerate(encoders):
            self.add_module(f"encoder{column}", encoder)
            self.comb += [
                encoder.w.eq(arrived.data[8 * column : 8 * column + 8]),
                cells[column].eq(Cat(operand(encoder.value), encoder.sign)),
            ]
        self.comb += [self.sink.ready.eq(1), self.busy.eq(arrived.valid | self.write)]
        self.sync += [
            arrived.valid.eq(self.sink.valid),
            self.write.eq(arrived.valid),
            If(self.sink.valid, arrived.row.eq(self.sink.row), arrived.data.eq(self.sink.data)),
            If(arrived.valid, self.row.eq(arrived.row), self.word.eq(layout(cells))),
        ]


class WeightMemory(LiteXModule):
    """A memory of G words for each group; all groups read the same row of theirs.

    | port      | dir | meaning                                                    |
    |-----------|-----|------------------------------------------------------------|
    | sink      | in  | stream of weight rows                                      |
    | busy      | out | a row is not yet stored                                    |
    | region    | in  | row number within the groups                               |
    | words     | out | a word per group, one cycle after `region`                 |
    """

    layout = staticmethod(by_column)

    def __init__(self, spec, encoders, width: int, operand):
        self.input = source = WeightInput(spec, encoders, width, operand, self.layout)
        self.sink = source.sink
        self.busy = source.busy
        self.width = width + 1
        self.region = Signal(log2_int(spec.or_width))
        self.words = []

        # # #

        inner = log2_int(spec.or_width)
        for group in range(spec.groups):
            memory = Memory(self.width * spec.columns, spec.or_width, name=f"weights{group}")
            mine = source.row[inner:] == group if spec.groups > 1 else 1
            write = memory.get_port(write_capable=True)
            read = memory.get_port(mode=READ_FIRST)
            self.specials += memory, write, read
            self.comb += [
                write.adr.eq(source.row[:inner]),
                write.we.eq(source.write & mine),
                write.dat_w.eq(source.word),
                read.adr.eq(self.region),
            ]
            self.words.append(read.dat_r)

    def cell(self, group: int, column: int):
        """A new signal: operand and sign (top bit) that a group's memory reads for a column."""
        cell = Signal(self.width)
        self.comb += cell.eq(self.words[group][column * self.width : (column + 1) * self.width])
        return cell


class SlicedWeightMemory(WeightMemory):
    """As `WeightMemory`, with bit-sliced words."""

    layout = staticmethod(by_bit)

    def slices(self, group: int):
        """The operands of all columns that a group's memory reads, bit-sliced; signs last."""
        columns = len(self.words[group]) // self.width
        return [self.words[group][k * columns : (k + 1) * columns] for k in range(self.width)]


class WeightRegisters(LiteXModule):
    """Registers for every row, all readable at once, bit-sliced.

    | port   | dir | meaning                                                       |
    |--------|-----|---------------------------------------------------------------|
    | sink   | in  | stream of weight rows                                         |
    | busy   | out | a row is not yet stored                                       |
    | slices | out | slices[row][k]: bit k of every column's operand; the last one |
    |        |     | holds the signs                                               |
    """

    def __init__(self, spec, encoders, width: int, operand):
        self.input = source = WeightInput(spec, encoders, width, operand, by_bit)
        self.sink = source.sink
        self.busy = source.busy
        self.slices = [
            [Signal(spec.columns, name=f"weights{row}_bit{k}") for k in range(width + 1)]
            for row in range(spec.rows)
        ]

        # # #

        new = [source.word[k * spec.columns : (k + 1) * spec.columns] for k in range(width + 1)]
        for row, slices in enumerate(self.slices):
            self.sync += If(
                source.write & (source.row == row),
                *[bits.eq(slice_) for bits, slice_ in zip(slices, new, strict=True)],
            )
