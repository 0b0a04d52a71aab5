"""The entrance of a macro's weights, and two kinds of store."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Memory, Signal, bits_for, log2_int

from dscim.gateware.macro.encoder import WeightEncoder
from dscim.gateware.macro.interface import weight_layout


class WeightInput(LiteXModule):
    """Rows of weights as bit-sliced operands, after two stages.

    encoded: True: magnitudes of eight bits, then signs; False: the bits of the integers.

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | sink   | in  | stream of weight rows                                              |
    | source | out | stream of row, odd, samples_log2, slices and `last`                |
    | busy   | out | a row has not left                                                 |
    | slices | out | of the row at `source`: bit k of every column's operand            |
    """

    def __init__(self, spec, encoded: bool = True):
        self.sink = stream.Endpoint(weight_layout(spec))
        bits = (8 + ("split" in spec.signed)) if encoded else 8
        self.source = source = stream.Endpoint(
            [("row", bits_for(spec.rows - 1)), ("odd", 1), ("samples_log2", 3)]
            + [(f"slice{k}", spec.columns) for k in range(bits)]
        )
        self.slices = [getattr(source, f"slice{k}") for k in range(bits)]
        self.busy = Signal()

        # # #

        arrived = stream.Endpoint(weight_layout(spec))
        cells = []
        for column in range(spec.columns):
            byte = arrived.data[8 * column : 8 * column + 8]
            if not encoded:
                cells.append(byte)
                continue
            encoder = WeightEncoder(spec.signed)
            self.add_module(f"encoder{column}", encoder)
            self.comb += [encoder.w.eq(byte), encoder.offset.eq(arrived.offset)]
            cells.append([*encoder.value, encoder.sign])
        self.comb += [
            arrived.ready.eq(~source.valid | source.ready),
            self.sink.ready.eq(~arrived.valid | arrived.ready),
            self.busy.eq(arrived.valid | source.valid),
        ]
        self.sync += [
            If(
                self.sink.ready,
                arrived.valid.eq(self.sink.valid),
                arrived.last.eq(self.sink.last),
                arrived.payload.raw_bits().eq(self.sink.payload.raw_bits()),
                arrived.param.raw_bits().eq(self.sink.param.raw_bits()),
            ),
            If(
                arrived.ready,
                source.valid.eq(arrived.valid),
                source.last.eq(arrived.last),
                source.row.eq(arrived.row),
                source.odd.eq(arrived.odd),
                source.samples_log2.eq(arrived.samples_log2),
                *[
                    slice_.eq(Cat(*[cell[k] for cell in cells]))
                    for k, slice_ in enumerate(self.slices)
                ],
            ),
        ]


def row_bits(module, rows: int, row):
    """A new signal of `rows` bits: bit `row` is set."""
    low = min(4, len(row))
    lower = Signal(1 << low)
    upper = Signal(max(1, -(-rows >> low)))
    one = Signal(rows)
    module.comb += [lower.eq(1 << row[:low]), upper.eq(1 << row[low:] if low < len(row) else 1)]
    module.comb += one.eq(Cat(*[lower[r & (1 << low) - 1] & upper[r >> low] for r in range(rows)]))
    return one


def store_rows(module, banks, source, rows: int, stored=1):
    """Connects a store that writes a row at once: always ready, a row per cycle.

    Returns a vector: the row that is written in this cycle.
    """
    one = row_bits(module, rows, source.row)
    module.comb += [
        source.ready.eq(stored),
        banks.write.eq(source.valid & stored),
        banks.rows.eq(one),
        banks.stored.eq(banks.write & source.last),
    ]
    return one


class WeightMemory(LiteXModule):
    """Memories of G/lanes rows of both banks, `lanes` for each group; all read the same address.

    Row r of a group is at address r div lanes of the group's memory r mod lanes. slices: the bits
    to store of the row at `source`.

    | port    | dir | meaning                                                    |
    |---------|-----|------------------------------------------------------------|
    | address | in  | r div lanes, of the bank in use                            |
    | words   | out | for each group a word per memory, in the same cycle        |
    """

    def __init__(self, spec, banks, source, slices, lanes: int):
        depth = spec.or_width // lanes
        lane_bits, group_bits = log2_int(lanes), log2_int(spec.or_width)
        self.address = Signal(max(1, log2_int(depth)))
        self.words = []

        # # #

        word = Cat(*slices)
        one = store_rows(self, banks, source, spec.rows)
        row = source.row
        for group in range(spec.groups):
            words = []
            for lane in range(lanes):
                memory = Memory(len(word), 2 * depth, name=f"weights{group}_{lane}")
                port = memory.get_port(write_capable=True)
                read = memory.get_port(async_read=True)
                self.specials += memory, port, read
                mine = [one[group * spec.or_width + k * lanes + lane] for k in range(depth)]
                self.comb += [
                    port.adr.eq(
                        Cat(row[lane_bits:group_bits], ~banks.bank) if depth > 1 else ~banks.bank
                    ),
                    port.we.eq(banks.write & (Cat(*mine) != 0)),
                    port.dat_w.eq(word),
                    read.adr.eq(Cat(self.address, banks.bank) if depth > 1 else banks.bank),
                ]
                words.append(read.dat_r)
            self.words.append(words)


class WeightRegisters(LiteXModule):
    """Registers of every row, all readable at once, bit-sliced; a second set holds the next bank.

    | port   | dir | meaning                                                       |
    |--------|-----|---------------------------------------------------------------|
    | copy   | in  | the next bank is in use from the next cycle on                |
    | slices | out | slices[row][k]: bit k of every column's operand               |
    """

    def __init__(self, spec, banks, source, slices):
        self.copy = Signal()
        one = store_rows(self, banks, source, spec.rows)
        self.slices = []

        # # #

        for row in range(spec.rows):
            waiting, used = (
                [Signal(spec.columns, name=f"{name}{row}_bit{k}") for k in range(len(slices))]
                for name in ("next", "weights")
            )
            self.sync += [
                If(
                    banks.write & one[row],
                    *[w.eq(new) for w, new in zip(waiting, slices, strict=True)],
                ),
                If(self.copy, *[u.eq(w) for u, w in zip(used, waiting, strict=True)]),
            ]
            self.slices.append(used)
