"""The products of the depthwise unit and their sums: for every byte of a beat, two of each."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, C, Cat, If, Memory, Mux, Replicate, Signal, bits_for, log2_int

from dscim.gateware.descriptor import MAX_KERNEL
from dscim.gateware.engine.depthwise.loader import chunk_bits, place_bits
from dscim.gateware.engine.depthwise.walker import beat_layout
from dscim.gateware.macro.slices import sum_slices
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

ROWS = 2
"""Output rows that are computed at once."""

STAGES = 4
"""Cycles from a step to its sums: its bits and weights, hits, signed hits, sums over the rows of a
beat."""


def sum_bits(spec: SocSpec) -> int:
    """Bits of a signed sum of the products of the largest kernel."""
    return bits_for(MAX_KERNEL**2 * spec.depthwise_samples) + 1


class PairSums(LiteXModule):
    """Multiplies beats with the weights of both output rows, and adds up the beats of a window.

    A product takes max(1, n / S) steps, S = `spec.depthwise`, one per cycle. Weights outside the
    kernel, and activations outside the input, do not count.

    | port       | dir | meaning                                                             |
    |------------|-----|---------------------------------------------------------------------|
    | fields     | in  | the layer's: kernel_height, stride_y                                |
    | rows_log2  | in  | log2 of the rows of a beat                                          |
    | last_chunk | in  | steps of a product, less 1                                          |
    | written    | in  | write_layout: weights                                               |
    | levels     | in  | stream: values: for each byte of a beat its level and its sign      |
    | beats      | in  | stream: beat_layout, a beat for each of `levels`                    |
    | source     | out | stream: sums of both rows, word by word; second: of beat_layout     |
    | busy       | out | a step is on its way                                                |
    | computing  | out | a step is issued                                                    |

    level_bits: bits of a level.
    """

    def __init__(self, spec: SocSpec, fields, rows_log2, last_chunk, written, level_bits: int):
        lanes = WORD_BYTES * spec.banks
        self.levels = levels = stream.Endpoint([("values", lanes * (level_bits + 1))])
        self.beats = beats = stream.Endpoint(beat_layout())
        self.source = source = stream.Endpoint(
            [(f"sums{row}", lanes * sum_bits(spec)) for row in range(ROWS)] + [("second", 1)]
        )
        self.busy = Signal()
        self.computing = Signal()

        # # #

        self._spec, self._fields, self._levels = spec, fields, levels
        self._advance = advance = Signal()
        chunk, whole = Signal(max(1, chunk_bits(spec))), Signal()
        issued = levels.valid & beats.valid
        valid, last, second = Signal(STAGES), Signal(STAGES), Signal(STAGES)
        self.comb += [
            whole.eq(chunk == last_chunk),
            advance.eq(~(valid[-1] & last[-1]) | source.ready),
            levels.ready.eq(beats.valid & advance & whole),
            beats.ready.eq(levels.valid & advance & whole),
            self.busy.eq(levels.valid | (valid != 0)),
            self.computing.eq(issued & advance),
            source.valid.eq(valid[-1] & last[-1]),
            source.second.eq(second[-1]),
        ]
        self.sync += If(
            advance,
            valid.eq(Cat(issued, valid[:-1])),
            last.eq(Cat(beats.last & whole, last[:-1])),
            second.eq(Cat(beats.second, second[:-1])),
            If(issued, chunk.eq(Mux(whole, 0, chunk + 1))),
        )
        bits, signs = self._activations(chunk, level_bits)
        for row in range(ROWS):
            weights, counted = self._weights(row, rows_log2, chunk, written)
            values = self._products(bits, signs, weights, counted)
            totals = self._over_rows(values, rows_log2)
            sums = self._over_beats(totals, valid[-1], last[-1])
            self.comb += getattr(source, f"sums{row}").eq(Cat(*sums))

    def _held(self, value, width: int | tuple[int, bool]):
        """A register that takes `value` as steps advance."""
        register = Signal(width)
        self.sync += If(self._advance, register.eq(value))
        return register

    def _activations(self, chunk, level_bits: int):
        """Over all bytes, the bits of each sample in this step, and the signs, a cycle later."""
        size, lanes = self._spec.depthwise, WORD_BYTES * self._spec.banks
        low = log2_int(size)
        passing, signs = [], []
        for lane in range(lanes):
            value = self._levels.values[lane * (level_bits + 1) : (lane + 1) * (level_bits + 1)]
            high, above, same = value[low:level_bits], Signal(), Signal()
            self.comb += [above.eq(high > chunk), same.eq(high == chunk)]
            passing.append(
                [*[above | (same & (value[:low] > sample)) for sample in range(size - 1)], above]
            )
            signs.append(value[level_bits])
        bits = [
            self._held(Cat(*[lane_bits[sample] for lane_bits in passing]), lanes)
            for sample in range(size)
        ]
        return bits, self._held(Cat(*signs), lanes)

    def _weights(self, row: int, rows_log2, chunk, written):
        """For each word, the samples and signs of its weights for output row `row`, and whether
        they count, a cycle later."""
        spec, fields, beats = self._spec, self._fields, self.beats
        most, per_row = log2_int(spec.banks), spec.macro.columns // WORD_BYTES
        width = WORD_BYTES * (spec.depthwise + 1)
        base = Signal((bits_for(2 * MAX_KERNEL) + 1, True))
        self.comb += base.eq(beats.row - (fields.stride_y[:4] if row else 0))
        words, counted = [], []
        for word in range(spec.banks):
            tap = Signal(max(1, most))
            place = Signal((len(base) + 1, True))
            self.comb += [
                tap.eq(Array([word >> (most - k) for k in range(most + 1)])[rows_log2]),
                place.eq(base + tap),
            ]
            within = (place >= 0) & (place < fields.kernel_height) & (tap < beats.rows)
            counted.append(self._held(within, 1))
            memory = Memory(width, 1 << place_bits(spec), name=f"kernels{row}_{word}")
            writer, reader = memory.get_port(write_capable=True), memory.get_port(has_re=True)
            self.specials += memory, writer, reader
            parts = [((word & ((spec.banks >> k) - 1)) // per_row) for k in range(most + 1)]
            mine = written.part == Array(parts)[rows_log2]
            first = width * (word % per_row)
            chunks = [chunk] if chunk_bits(spec) else []
            self.comb += [
                writer.adr.eq(written.place),
                writer.dat_w.eq(written.data[first : first + width]),
                writer.we.eq(written.write & mine),
                reader.adr.eq(Cat(*chunks, beats.column, place[: bits_for(MAX_KERNEL - 1)])),
                reader.re.eq(self._advance),
            ]
            words.append(reader.dat_r)
        return words, counted

    def _products(self, bits, signs, weights, counted):
        """For each byte, the signed hits of a step: 0 if the weight does not count."""
        size, lanes = self._spec.depthwise, len(signs)
        each = size + 1
        octets = [word[k * each : (k + 1) * each] for word in weights for k in range(WORD_BYTES)]
        hits = [bits[sample] & Cat(*[octet[sample] for octet in octets]) for sample in range(size)]
        count = sum_slices(self, [[self._kept(hit)] for hit in hits])
        negative = self._held(signs ^ Cat(*[octet[size] for octet in octets]), lanes)
        held = [Signal(lanes, name="hits") for _ in count]
        for word, counts in enumerate(counted):
            own, outside = slice(WORD_BYTES * word, WORD_BYTES * (word + 1)), Signal()
            self.comb += outside.eq(self._advance & ~counts)
            for register, ones in zip(held, count, strict=True):
                self.sync += [
                    If(self._advance, register[own].eq(ones[own])),
                    If(outside, register[own].eq(0)),
                ]
        width = bits_for(size) + 1
        values = []
        for lane in range(lanes):
            # as a table: adding the sign would take a carry chain
            table = [sign for ones in range(1 << len(held)) for sign in (ones, -ones)]
            place = Cat(negative[lane], *[ones[lane] for ones in held])
            signed = Array([C(value & (1 << width) - 1, width) for value in table])[place]
            values.append(self._held(signed, (width, True)))
        return values

    def _kept(self, value):
        """A new signal with a value for each byte."""
        signal = Signal(WORD_BYTES * self._spec.banks)
        self.comb += signal.eq(value)
        return signal

    def _over_rows(self, values, rows_log2):
        """Adds up the words of a beat's rows: those of the first row have the sums of all."""
        words = self._spec.banks
        for k in range(log2_int(words)):
            half, several = words >> (k + 1), Signal()
            self.comb += several.eq(rows_log2 > k)
            sums = []
            for lane in range(WORD_BYTES * half):
                other = values[lane + WORD_BYTES * half]
                total = Signal((len(other) + 1, True))
                added = Signal((len(other), True))
                self.comb += [
                    added.eq(other & Replicate(several, len(other))),
                    total.eq(values[lane] + added),
                ]
                sums.append(total)
            values = sums + values[len(sums) :]
        return [self._held(value, (len(value), True)) for value in values]

    def _over_beats(self, totals, valid, last):
        """Adds up the steps of a window: with the last one, new signals have their sums."""
        moved, ends, sums = Signal(), Signal(), []
        self.comb += [moved.eq(self._advance & valid), ends.eq(moved & last)]
        for total in totals:
            value, added = (Signal((sum_bits(self._spec), True)) for _ in range(2))
            self.comb += added.eq(value + total)
            self.sync += [If(moved, value.eq(added)), If(ends, value.eq(0))]
            sums.append(added)
        return sums
