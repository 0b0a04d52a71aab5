"""The form `selected` with P points per cycle, whatever L is (contract, section 5)."""

from migen import Array, Cat, If, Signal, log2_int

from dscim.gateware.grid import build_grid, built, chosen
from dscim.gateware.logic import delayed, delayed_all
from dscim.gateware.macro.encoder import ActivationEncoder
from dscim.gateware.macro.hits import Granule, HitSums
from dscim.gateware.macro.interface import Macro, stochastic_count_width
from dscim.gateware.macro.slots import Layout, SlotInput, SlotStore, exceeds, level_bits
from dscim.gateware.macro.taken import TakenRows
from dscim.gateware.macro.window import StochasticOperands, Window
from dscim.gateware.specs import MacroSpec


class Selected(Macro):
    """P points of each group per cycle, counter sequence or table; max(1, L/P) cycles per product.

    With the sequences counter and table the samples of a row are known in advance. A weight is
    stored as a bit for each of its samples, an activation's bits are formed for all columns at
    once. A cell is an AND gate for each slot.
    Stages: issue; if a product has several steps: the step's bits are selected and read; AND and
    sums of hits; counts.
    """

    def __init__(self, spec: MacroSpec, words: int):
        super().__init__(spec, words, stochastic_count_width(spec))
        self.layout = layout = Layout.of(spec)
        self.grid = grid = build_grid(spec)
        self.several = several = layout.steps(layout.most) > 1

        # # #

        banks = self.banks
        self.encoder = encoder = ActivationEncoder(spec.signed, banks.window_config)
        self.operands = StochasticOperands(
            spec,
            encoder,
            grid.level_bits,
            lambda module, value, n: grid.level(module, value[8 - grid.side_log2 :], n),
        )
        self.window = window = Window(spec, words, self.operands, banks)
        self.source = SlotInput(spec, layout, grid, banks)
        self.store = store = SlotStore(spec, layout, self.source, banks)
        operands = self._issued() if several else self._taken()
        active = delayed(self, self.issued, int(several))
        granules = [
            Granule(
                bits, sign, word[: layout.granule], word[layout.granule] if encoder.signed else None
            )
            for group, words_ in zip(operands, store.words, strict=True)
            for (bits, sign), word in zip(group, words_, strict=True)
        ]
        self.hits = hits = HitSums(granules, active, self.count_width)
        latency = int(several) + hits.latency
        steps = layout.steps(layout.most)
        self.schedule(
            window,
            self.source,
            steps,
            chosen(
                banks.config.samples_log2, [layout.steps(1 << k) - 1 for k in built(layout.most)]
            ),
            latency + several,
            layout.steps(1),
        )
        self.comb += self.issued.eq(self.sequencer.active)
        self._count(latency)

    def _taken(self):
        """A product is one step: the bits of every row, formed when the window is taken."""
        layout, banks = self.layout, self.banks
        self.issued = Signal()
        self.comb += self.store.read.eq(banks.swap)
        groups = []
        for group in range(self.spec.groups):
            granules = []
            for m in range(layout.granules):
                row = group * layout.group + m
                level, sign = self.operands.parts(self.window.rows[row])
                bits, held = Signal(layout.granule), Signal()
                self.sync += If(
                    self.window.take,
                    bits.eq(Cat(*[exceeds(level, b) for b in range(layout.granule)])),
                    If(~banks.used_next[row], bits.eq(0)),
                    held.eq(sign),
                )
                granules.append((bits, held))
            groups.append(granules)
        return groups

    def _issued(self):
        """Each step's bits, selected from the rows in use, which are rotated."""
        layout, banks = self.layout, self.banks
        samples_log2 = banks.config.samples_log2
        self.issued = Signal()
        step = Signal(log2_int(layout.steps(layout.most)))
        chunk_bits = log2_int(layout.chunks(layout.most))
        chunk, whole = Signal(max(1, chunk_bits)), Signal(reset=1)
        if chunk_bits:
            last = Signal(chunk_bits)
            self.comb += [
                last.eq(
                    chosen(samples_log2, [layout.chunks(1 << k) - 1 for k in built(layout.most)])
                ),
                chunk.eq(step & last),
                whole.eq(chunk == last),
            ]
        several = [1 << k for k in built(layout.most) if layout.steps(1 << k) > 1]
        moves = sorted({layout.rows(n) for n in several})
        self.taken = taken = TakenRows(self.spec, self.window, banks, moves)
        self.step = step
        self.comb += [
            self.store.read.eq(self.issued),
            self.store.step.eq(step),
            *[
                taken.rotate[k].eq(
                    self.issued
                    & whole
                    & Array([int(layout.rows(1 << log2) == move) for log2 in built(layout.most)])[
                        samples_log2
                    ]
                )
                for k, move in enumerate(moves)
            ],
        ]
        groups = []
        for rows in taken.groups:
            granules = []
            for m in range(layout.granules):
                row = Signal(self.window.width)
                self.comb += row.eq(
                    chosen(samples_log2, [rows[layout.row(1 << k, m)] for k in built(layout.most)])
                )
                level, sign = self.operands.parts(row)
                bits, held = Signal(layout.granule), Signal()
                values = level_bits(
                    self, layout, level, m, list(chunk) if chunk_bits else [], samples_log2
                )
                self.sync += If(self.issued, bits.eq(Cat(*values)), held.eq(sign))
                granules.append((bits, held))
            groups.append(granules)
        return groups

    def _count(self, latency: int):
        """Adds up the sums of a product's steps; a single step needs no adder."""
        sequencer, results = self.sequencer, self.results
        active, first, last = delayed_all(
            self, [sequencer.active, sequencer.first, sequencer.last], latency
        )
        if not self.several:
            self.comb += [results.done.eq(active), results.counts.eq(Cat(*self.hits.sums))]
            return
        self.comb += self.step.eq(sequencer.step)
        counts = [
            Signal((self.count_width, True), name=f"count{c}") for c in range(self.spec.columns)
        ]
        for count, total in zip(counts, self.hits.sums, strict=True):
            self.sync += If(active, count.eq(count + total), If(first, count.eq(total)))
        self.comb += [
            results.done.eq(delayed(self, active & last)),
            results.counts.eq(Cat(*counts)),
        ]
