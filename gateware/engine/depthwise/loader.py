"""The weights of a column tile for the depthwise unit, as a bit for each of their samples."""

from litex.gen import LiteXModule
from migen import Cat, If, Record, Replicate, Signal, bits_for, log2_int

from dscim.gateware.descriptor import MAX_KERNEL
from dscim.gateware.grid import build_grid
from dscim.gateware.kernels import HEADED
from dscim.gateware.macro.encoder import WeightEncoder
from dscim.gateware.macro.slices import greater
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES


def chunk_bits(spec: SocSpec) -> int:
    """Bits of the number of a step of a product: each step takes `spec.depthwise` samples."""
    return log2_int(spec.depthwise_steps)


def place_bits(spec: SocSpec) -> int:
    """Bits of the place of a weight's samples: step, column and row of the kernel."""
    return chunk_bits(spec) + 2 * bits_for(MAX_KERNEL - 1)


def write_layout(spec: SocSpec):
    """Weights of a tap: their place, the part of the tap's channels, and for each channel of that
    part the bits of its samples and its sign."""
    parts = max(1, WORD_BYTES * spec.banks // spec.macro.columns)
    return [
        ("write", 1),
        ("place", place_bits(spec)),
        ("part", bits_for(parts - 1)),
        ("data", spec.macro.columns * (spec.depthwise + 1)),
    ]


class KernelLoader(LiteXModule):
    """Reads the weights of a column tile (see `dscim.gateware.kernels`), a row of the memory in as
    many cycles as a product has steps.

    | port         | dir | meaning                                                          |
    |--------------|-----|------------------------------------------------------------------|
    | start        | in  | pulse: a column tile begins at row `base`                        |
    | base         | in  | first row of the column tile in the weight memory                |
    | fields, plan | in  | the layer's                                                      |
    | last_chunk   | in  | steps of a product, less 1                                       |
    | busy         | out | not everything is written                                        |
    | written      | out | write_layout                                                     |

    read: the read port of the weight memory, adr, re and dat_r.
    """

    def __init__(self, spec: SocSpec, fields, plan, last_chunk, read):
        self.start = Signal()
        self.base = Signal(16)
        self.busy = Signal()
        self.written = written = Record(write_layout(spec), name="written")

        # # #

        columns = spec.macro.columns
        active, valid, header = Signal(), Signal(), Signal()
        phase = Signal(max=HEADED + 1)
        adr, advance, ends = Signal(16), Signal(), Signal()
        chunk, whole = Signal(max(1, chunk_bits(spec))), Signal()
        odd = Signal(HEADED * columns)
        row, column, part = Signal(3), Signal(3), Signal.like(written.part)
        parts = self._parts(spec, plan)
        part_ends, column_ends = Signal(), Signal()
        self.comb += [
            whole.eq(chunk == last_chunk),
            advance.eq(~valid | header | whole),
            read.adr.eq(adr),
            read.re.eq(active & advance),
            part_ends.eq(part == parts),
            column_ends.eq(part_ends & (column == fields.kernel_width - 1)),
            ends.eq(valid & ~header & whole & column_ends & (row == fields.kernel_height - 1)),
            self.busy.eq(active | valid | written.write),
        ]
        self.sync += [
            If(
                advance,
                valid.eq(active),
                header.eq(phase == 0),
                If(
                    active,
                    adr.eq(adr + 1),
                    phase.eq(phase + 1),
                    If(phase == HEADED, phase.eq(0)),
                ),
            ),
            If(valid & header, odd.eq(read.dat_r)),
            If(
                valid & ~header,
                chunk.eq(chunk + 1),
                If(
                    whole,
                    chunk.eq(0),
                    odd.eq(odd >> columns),
                    part.eq(part + 1),
                    If(part_ends, part.eq(0), column.eq(column + 1)),
                    If(column_ends, column.eq(0), row.eq(row + 1)),
                ),
            ),
            If(ends, active.eq(0), valid.eq(0), row.eq(0)),
            If(self.start, active.eq(1), adr.eq(self.base), phase.eq(0)),
        ]
        bits = self._bits(spec, fields, read.dat_r, odd[:columns], chunk)
        chunks = [chunk] if chunk_bits(spec) else []
        self.sync += [
            written.write.eq(valid & ~header),
            written.place.eq(Cat(*chunks, column, row)),
            written.part.eq(part),
            written.data.eq(Cat(*bits)),
        ]

    def _parts(self, spec: SocSpec, plan):
        """The parts of a tap, less 1: a new signal."""
        per_row = spec.macro.columns // WORD_BYTES
        planes, parts = Signal(bits_for(spec.banks)), Signal.like(self.written.part)
        self.comb += [
            planes.eq(plan.read_planes),
            If(plan.read_planes > spec.banks, planes.eq(spec.banks)),
            parts.eq((planes - 1) >> log2_int(per_row)),
        ]
        return parts

    def _bits(self, spec: SocSpec, fields, word, odd, chunk):
        """For each byte of a word, the bits of its samples in this step, and its sign.

        A region with odd i + j has the thresholds of the others in reverse order: its sample passes
        if that of the same number would not pass with the complement of the weight.
        """
        macro, size = spec.macro, spec.depthwise
        grid = build_grid(macro)
        encoders = []
        for column in range(macro.columns):
            encoder = WeightEncoder(("split",))
            self.add_module(f"encoder{column}", encoder)
            self.comb += encoder.w.eq(word[8 * column : 8 * column + 8])
            encoders.append(encoder)
        flipped = Signal(macro.columns)
        self.comb += flipped.eq(0 if macro.sequence.table else odd)
        slices = []
        for k in range(8 - grid.side_log2, 8):
            bits = Signal(macro.columns)
            self.comb += bits.eq(Cat(*[encoder.value[k] for encoder in encoders]) ^ flipped)
            slices.append(bits)
        chunks = chunk if chunk_bits(spec) else []
        thresholds = grid.thresholds(self, size, chunks, 0, fields.samples_log2)
        samples = [
            greater(self, slices, [Replicate(bit, macro.columns) for bit in threshold]) ^ flipped
            for threshold in thresholds
        ]
        vectors = []
        for sample in samples:
            vector = Signal(macro.columns)
            self.comb += vector.eq(sample)
            vectors.append(vector)
        return [
            Cat(*[vector[column] for vector in vectors], encoder.sign)
            for column, encoder in enumerate(encoders)
        ]
