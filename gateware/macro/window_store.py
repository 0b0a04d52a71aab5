"""Storage for two windows of operands: one in use, one being written."""

from litex.gen import LiteXModule
from migen import C, Case, Cat, If, Memory, Mux, Replicate, Signal, bits_for, log2_int

from dscim.gateware.macro.interface import BEAT_ROWS


class WindowStore(LiteXModule):
    """Two banks of R rows, each an operand and its sign (top bit): the base of both kinds.

    Lane l has the rows r with r mod 8 = l, block k those with r div 8 = k. A beat's rows are in one
    block and, wrapped, in the next. Rows of a window that are not written read 0.

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | bank   | -   | register: the bank in use; switched by the owner                   |
    | target | in  | the bank to write                                                  |
    | write  | in  | a beat is written                                                  |
    | fresh  | in  | ... the first of its window                                        |
    | block  | in  | its block                                                          |
    | low    | in  | lanes with a row in `block`                                        |
    | high   | in  | lanes with a row in the next                                       |
    | values | in  | a value for each lane                                              |
    """

    def __init__(self, spec, width: int):
        self.bank = Signal()
        self.target = Signal()
        self.write = Signal()
        self.fresh = Signal()
        self.block = Signal(bits_for(spec.rows // BEAT_ROWS - 1))
        self.low = Signal(BEAT_ROWS)
        self.high = Signal(BEAT_ROWS)
        self.values = Signal(BEAT_ROWS * (width + 1))


class WindowRegisters(WindowStore):
    """Every row at once; ports of `WindowStore`.

    width: bits of an operand.
    """

    def __init__(self, spec, width: int):
        super().__init__(spec, width)
        self.width = width + 1
        self.banks = [
            [
                Signal(BEAT_ROWS * self.width, name=f"bank{b}_block{k}")
                for k in range(spec.rows // BEAT_ROWS)
            ]
            for b in range(2)
        ]

        # # #

        self.sync += If(
            self.write,
            Case(self.target, {b: self._block_writes(bank) for b, bank in enumerate(self.banks)}),
        )

    def _block_writes(self, bank):
        def lanes(block, mask):
            return [
                If(mask[lane], self._lane(block, lane).eq(self._lane(self.values, lane)))
                for lane in range(BEAT_ROWS)
            ]

        writes = []
        for k, block in enumerate(bank):
            writes += [If(self.fresh, block.eq(0)), If(self.block == k, *lanes(block, self.low))]
            if k:
                writes.append(If(self.block == k - 1, *lanes(block, self.high)))
        return writes

    def _lane(self, block, lane: int):
        return block[lane * self.width : (lane + 1) * self.width]

    def row(self, row: int):
        """Operand and sign (top bit) of a row of the window in use."""
        low, high = [self._lane(bank[row // BEAT_ROWS], row % BEAT_ROWS) for bank in self.banks]
        return Mux(self.bank, high, low)


class WindowMemory(WindowStore):
    """The same row of each OR group at once; ports of `WindowStore` and:

    | port   | dir | meaning                                                            |
    |--------|-----|--------------------------------------------------------------------|
    | region | in  | the row within the groups, of the window in use                    |
    | rows   | out | for each group operand and sign (top bit), in the same cycle       |

    width: bits of an operand. Each lane of a group is a memory. A bit for each row marks those that
    belong to the window, because memories cannot be cleared.
    """

    def __init__(self, spec, width: int):
        super().__init__(spec, width)
        self.region = Signal(log2_int(spec.or_width))
        self.rows = [Signal(width + 1, name=f"row{group}") for group in range(spec.groups)]

        # # #

        used = [Signal(spec.rows, name=f"used{b}") for b in range(2)]
        written, kept = Signal(spec.rows), Signal(spec.rows)
        self.comb += [
            written.eq(
                Cat(
                    *[
                        (self.low & Replicate(self.block == k, BEAT_ROWS))
                        | (self.high & Replicate(self.block == k - 1, BEAT_ROWS) if k else 0)
                        for k in range(spec.rows // BEAT_ROWS)
                    ]
                )
            ),
            kept.eq(
                written | (Mux(self.target, used[1], used[0]) & Replicate(~self.fresh, spec.rows))
            ),
        ]
        self.sync += If(
            self.write, Case(self.target, {b: bank.eq(kept) for b, bank in enumerate(used)})
        )
        blocks, place = spec.or_width // BEAT_ROWS, Cat(self.region, self.bank)
        step_log2 = log2_int(width + 1, need_pow2=False)
        for group, row in enumerate(self.rows):
            rows = slice(group * spec.or_width, (group + 1) * spec.or_width)
            banks, lanes = Signal(2 * spec.or_width), Signal(BEAT_ROWS << step_log2)
            here = Signal()
            self.comb += [
                banks.eq(Cat(used[0][rows], used[1][rows])),
                *[
                    lanes[lane << step_log2 : (lane + 1) << step_log2].eq(
                        self._lane(lane, group, blocks, width + 1)
                    )
                    for lane in range(BEAT_ROWS)
                ],
                # shifts are cheapest for a simulator
                here.eq(banks >> place),
                row.eq(
                    (lanes >> Cat(C(0, step_log2), self.region[: log2_int(BEAT_ROWS)]))
                    & Replicate(here, width + 1)
                ),
            ]

    def _lane(self, lane: int, group: int, blocks: int, width: int):
        """The memory of a group's lane, both banks; returns its word for the region's block."""
        memory = Memory(width, 2 * blocks, name=f"window{group}_lane{lane}")
        write = memory.get_port(write_capable=True)
        read = memory.get_port(async_read=True)
        self.specials += memory, write, read
        block = Signal(len(self.block) + 1)
        self.comb += [
            block.eq(self.block + self.high[lane]),
            write.adr.eq(Cat(block[: log2_int(blocks)], self.target)),
            write.we.eq(
                self.write
                & (self.low[lane] | self.high[lane])
                & (block[log2_int(blocks) :] == group)
            ),
            write.dat_w.eq(self.values[lane * width : (lane + 1) * width]),
            read.adr.eq(Cat(self.region[log2_int(BEAT_ROWS) :], self.bank)),
        ]
        return read.dat_r
