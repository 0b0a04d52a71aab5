"""The points of a step in the form `selected` with P points per cycle, whatever L is.

A group has P slots, one for each point of a step. A granule is g = max(1, P div G) slots.
If G*n <= P, one step holds all points of a group, and granule r is row r's; its slots beyond n are
empty. Else the point with the number i = row*n + sample is in step i div P and slot i mod P. The
slots of a granule always belong to one row, because n is then a multiple of g.
"""

import dataclasses

from litex.gen import LiteXModule
from migen import Cat, If, Memory, Replicate, Signal, log2_int

from dscim.gateware.grid import built, chosen
from dscim.gateware.macro.slices import greater
from dscim.gateware.macro.weights import WeightInput, row_bits
from dscim.gateware.specs import MacroSpec


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the points of a group are. n: samples per row; m: a granule."""

    group: int
    lanes: int
    most: int

    @classmethod
    def of(cls, spec: MacroSpec) -> "Layout":
        return cls(spec.or_width, spec.lanes, spec.max_samples)

    @property
    def granule(self) -> int:
        """g: slots of a granule."""
        return max(1, self.lanes // self.group)

    @property
    def granules(self) -> int:
        """Granules of a group."""
        return self.lanes // self.granule

    @property
    def slots(self) -> int:
        """Slots after which the samples of the slots repeat, whatever n is."""
        return min(self.lanes, max(self.granule, self.most))

    def steps(self, n: int) -> int:
        """Steps of a product."""
        return max(1, self.group * n // self.lanes)

    def chunks(self, n: int) -> int:
        """Steps of one row."""
        return max(1, n // self.lanes)

    def rows(self, n: int) -> int:
        """Rows of a step."""
        return self.group if self.steps(n) == 1 else max(1, self.lanes // n)

    def row(self, n: int, m: int) -> int:
        """The row of a granule, counted from the first row of the step."""
        return m * self.rows(n) // self.granules


def level_bits(module, layout: Layout, level, granule: int, chunk, samples_log2):
    """Values: for each slot of a granule, whether its sample is below the level.

    chunk: bits: the number of the step among those of its row.
    """
    low_bits = log2_int(layout.granule)
    mask = Signal(max(1, log2_int(layout.slots) - low_bits))
    places = [*chunk]
    if layout.slots > layout.granule:
        module.comb += mask.eq(
            chosen(
                samples_log2,
                [
                    max(0, min(1 << log2, layout.lanes) // layout.granule - 1)
                    for log2 in built(layout.most)
                ],
            )
        )
        places = [
            mask[k] if granule >> k & 1 else 0 for k in range(log2_int(layout.slots) - low_bits)
        ] + places
    if not places:
        return [exceeds(level, b) for b in range(layout.granule)]
    low, high = level[:low_bits] if low_bits else 0, level[low_bits:]
    place, above, same = Signal(len(places)), Signal(), Signal()
    module.comb += [place.eq(Cat(*places)), above.eq(high > place), same.eq(high == place)]
    return [
        *[above | (same & (low > b)) for b in range(layout.granule - 1)],
        above,  # the low bits cannot exceed the last slot
    ]


def exceeds(number, constant: int):
    """Whether a number is greater than a constant; 0 if it cannot be."""
    return number > constant if constant < (1 << len(number)) - 1 else 0


class SlotInput(LiteXModule):
    """Rows of weights as bits of their slots: a row of n samples takes max(1, n/P) cycles.

    | port         | dir | meaning                                                          |
    |--------------|-----|------------------------------------------------------------------|
    | sink         | in  | stream of weight rows                                            |
    | busy         | out | a row is not yet stored                                          |
    | write        | out | a chunk is to be stored at the end of the cycle                  |
    | place        | out | its step                                                         |
    | granules     | out | for each granule of a group, whether it takes the chunk          |
    | rows         | out | the row, a bit set                                               |
    | bits         | out | for each slot before samples repeat, a vector over the columns   |
    | signs        | out | a vector, if the mode split is built                             |
    """

    def __init__(self, spec: MacroSpec, layout: Layout, grid, banks):
        self.input = source = WeightInput(spec)
        self.sink = source.sink
        self.busy = Signal()
        self.write = Signal()
        self.place = Signal(max(1, log2_int(layout.steps(layout.most))))
        self.granules = Signal(layout.granules)
        self.rows = Signal(spec.rows)
        self.bits = [Signal(spec.columns, name=f"slot{k}") for k in range(layout.slots)]
        self.signs = Signal(spec.columns)

        # # #

        row = source.source
        values, signed = source.slices[:8], source.slices[8:]
        chunk = Signal(max(1, log2_int(layout.chunks(layout.most))))
        whole, last = Signal(reset=1), Signal()
        chunks = chunk if layout.chunks(layout.most) > 1 else []
        if len(chunks):
            self.comb += whole.eq(
                chunk
                == chosen(row.samples_log2, [layout.chunks(1 << k) - 1 for k in built(layout.most)])
            )
            self.sync += If(row.valid, chunk.eq(chunk + 1), If(whole, chunk.eq(0)))
        thresholds = grid.thresholds(self, layout.slots, chunks, row.odd, row.samples_log2)
        places, granules = self._places(layout, row.row[: log2_int(layout.group)], chunks)
        self.comb += [
            row.ready.eq(whole),
            self.busy.eq(source.busy | self.write),
            banks.write.eq(self.write & last),
            banks.rows.eq(self.rows),
        ]
        ends = Signal()
        self.comb += banks.stored.eq(banks.write & ends)
        self.sync += [
            self.write.eq(row.valid),
            If(
                row.valid,
                last.eq(whole),
                ends.eq(row.last),
                self.place.eq(chosen(row.samples_log2, places)),
                self.granules.eq(chosen(row.samples_log2, granules)),
                self.rows.eq(row_bits(self, spec.rows, row.row)),
                *[
                    bits.eq(
                        greater(
                            self,
                            values[8 - grid.side_log2 :],
                            [Replicate(bit, spec.columns) for bit in threshold],
                        )
                    )
                    for bits, threshold in zip(self.bits, thresholds, strict=True)
                ],
                *[self.signs.eq(sign) for sign in signed],
            ),
        ]

    def _places(self, layout: Layout, row, chunks):
        """For each n, the step and the granules of a row's chunk: new signals."""
        places, granules = [], []
        for log2 in built(layout.most):
            n = 1 << log2
            inner = log2_int(layout.rows(n))
            one, place = Signal(1 << inner), Signal.like(self.place)
            taking = Signal(layout.granules)
            parts = [*list(chunks)[: log2_int(layout.chunks(n))], *row[inner:]]
            self.comb += [
                one.eq(1 << row[:inner] if inner else 1),
                place.eq(Cat(*parts) if parts else 0),
                taking.eq(Cat(*[one[layout.row(n, m)] for m in range(layout.granules)])),
            ]
            places.append(place)
            granules.append(taking)
        return places, granules


class SlotStore(LiteXModule):
    """The bits of all granules: registers if a product is one step, else a memory per granule.

    | port    | dir | meaning                                                                 |
    |---------|-----|-------------------------------------------------------------------------|
    | read    | in  | memories: `step` is read; registers: the next bank is copied            |
    | step    | in  | memories: the step of the bank in use                                   |
    | words   | out | in the next cycle, for each group and granule: the vectors of its slots |
    |         |     | and of the signs                                                        |
    """

    def __init__(self, spec: MacroSpec, layout: Layout, source: SlotInput, banks):
        steps = layout.steps(layout.most)
        self.read = Signal()
        self.step = Signal.like(source.place)
        self.words = []

        # # #

        columns, g = spec.columns, layout.granule
        address = Signal(len(self.step) + 1)
        self.sync += If(self.read, address.eq(Cat(self.step, banks.bank)))
        for group in range(spec.groups):
            mine = source.rows[group * spec.or_width : (group + 1) * spec.or_width]
            here = Signal()
            self.comb += here.eq(source.write & (mine != 0))
            words = []
            for m in range(layout.granules):
                first = m * g % layout.slots
                vectors = [*source.bits[first : first + g]]
                vectors += [source.signs] if "split" in spec.signed else []
                name = f"weights{group}_{m}"
                word = Signal(columns * len(vectors), name=name)
                enable = here & source.granules[m]
                if steps == 1:
                    waiting = Signal.like(word, name=f"next{group}_{m}")
                    self.sync += [
                        If(enable, waiting.eq(Cat(*vectors))),
                        If(self.read, word.eq(waiting)),
                    ]
                else:
                    memory = Memory(len(word), 2 * steps, name=f"bits{group}_{m}")
                    port = memory.get_port(write_capable=True)
                    read = memory.get_port(async_read=True)
                    self.specials += memory, port, read
                    self.comb += [
                        port.adr.eq(Cat(source.place, ~banks.bank)),
                        port.we.eq(enable),
                        port.dat_w.eq(Cat(*vectors)),
                        read.adr.eq(address),
                        word.eq(read.dat_r),
                    ]
                words.append([word[k * columns : (k + 1) * columns] for k in range(len(vectors))])
            self.words.append(words)
