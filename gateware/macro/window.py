"""The window of activations: words are encoded, then written to units that move."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Cat, If, Mux, Signal

from dscim.gateware.logic import delayed, signed_sum
from dscim.gateware.macro.encoder import ActivationEncoder
from dscim.gateware.macro.interface import SHIFTS, WORD_BITS, activation_layout, select_bits
from dscim.gateware.specs.macro import UNIT_ROWS

SUM_LATENCY = 3
"""Cycles from `take` to `summed`."""


class StochasticOperands:
    """The encoding of a stochastic form: a' in two stages, and what is kept of it.

    kept: the function (module, a', log2 n) to a new signal of `width` bits. The sign is above it,
    if the mode split is built.
    """

    def __init__(self, spec, encoder: ActivationEncoder, width: int, kept):
        self.summed = "offset" in spec.signed
        self.encoder, self.kept = encoder, kept
        self.held = encoder.width
        self.operand = width
        self.width = width + encoder.signed
        self.shift = encoder.shift

    def first(self, module, x):
        return self.encoder.first(module, x)

    def second(self, module, held, shift, samples_log2):
        value = self.kept(module, self.encoder.second(module, held, shift), samples_log2)
        result = Signal(self.width)
        module.comb += result.eq(Cat(value, held[8:]) if self.encoder.signed else value)
        return result

    def parts(self, row):
        """Operand and sign of a row; the sign is 0 if the mode split is not built."""
        return row[: self.operand], (row[self.operand] if self.encoder.signed else 0)


class ExactOperands:
    """The encoding of the exact form: x - z, of one bit more than the operands."""

    summed = False

    def __init__(self, config, bits: int = 8):
        self.zero_point = config.zero_point
        self.shift = config.activation_shift
        self.bits = bits
        self.held = self.width = bits + 1

    def first(self, module, x):
        value, zero = Signal((self.bits, True)), Signal((self.bits, True))
        result = Signal((self.width, True))
        module.comb += [value.eq(x), zero.eq(self.zero_point), result.eq(value - zero)]
        return result

    def second(self, module, held, shift, samples_log2):
        return held


class Window(LiteXModule):
    """The window that is being built. Words pass two stages, each with a part of the encoding.

    operands: `StochasticOperands` or `ExactOperands`, for the configuration `banks.window_config`.

    | port           | dir | meaning                                                           |
    |----------------|-----|-------------------------------------------------------------------|
    | sink           | in  | stream of steps of the window                                     |
    | full           | out | the window is complete                                            |
    | opens          | out | ... and the first one of its bank                                 |
    | take           | in  | it is used: it may change from the next cycle on; only when full  |
    | rows           | out | for each row, operand and sign                                    |
    | summed         | out | `activation_sum` is that of the window taken SUM_LATENCY ago      |
    | activation_sum | out | sum of x + 128 over the units whose first row is used             |
    | busy           | out | a beat is accepted whose window is not yet taken                  |
    | encoded        | out | stream: the beats after the two stages; while `banks.apart`, they |
    |                |     | leave here                                                        |
    """

    def __init__(self, spec, words: int, operands, banks):
        self.sink = stream.Endpoint(activation_layout(spec, words))
        self.full = Signal()
        self.opens = Signal(reset=1)
        self.take = Signal()
        self.width = width = operands.width
        self.units = [Signal(UNIT_ROWS * width, name=f"unit{u}") for u in range(spec.units)]
        self.rows = [
            unit[lane * width : (lane + 1) * width]
            for unit in self.units
            for lane in range(UNIT_ROWS)
        ]
        self.summed = Signal()
        self.activation_sum = Signal(24)
        self.busy = Signal()

        # # #

        held, encoded = self._stages(spec, words, operands, banks)
        written, self.encoded = Signal(), stream.Endpoint([("values", len(encoded.values))])
        self.comb += [
            encoded.ready.eq(Mux(banks.apart, self.encoded.ready, ~self.full | self.take)),
            written.eq(encoded.valid & encoded.ready & ~banks.apart),
            self.encoded.valid.eq(encoded.valid & banks.apart),
            self.encoded.values.eq(encoded.values),
        ]
        final, building = Signal(), Signal()
        self.comb += self.busy.eq(held.valid | encoded.valid | self.full | building)
        self.sync += [
            If(self.take, self.full.eq(0), self.opens.eq(final)),
            If(
                written,
                self.full.eq(encoded.last),
                building.eq(~encoded.last),
                final.eq(encoded.final),
            ),
        ]
        self._move(encoded, written, words, UNIT_ROWS * width, self.units, encoded.values)
        self.comb += self.summed.eq(delayed(self, self.take, SUM_LATENCY))
        if operands.summed:
            self._sum(spec, words, encoded, written, banks)

    def _stages(self, spec, words: int, operands, banks):
        """The two stages before the units; a beat passes when the next stage is free."""
        fields = [
            (name, width)
            for name, width in activation_layout(spec, words)
            if name not in ("data", "used")
        ]
        sums = [("sums", 11 * words)] if operands.summed else []
        held = stream.Endpoint(
            [
                *fields,
                ("values", words * UNIT_ROWS * operands.held),
                *sums,
                ("activation_shift", 2),
                ("samples_log2", 3),
            ]
        )
        encoded = stream.Endpoint([*fields, ("values", words * UNIT_ROWS * operands.width), *sums])
        sink = self.sink
        accepted = Signal()
        self.comb += [
            held.ready.eq(~encoded.valid | encoded.ready),
            sink.ready.eq(banks.open & (~held.valid | held.ready)),
            accepted.eq(sink.valid & sink.ready),
            banks.leave.eq(accepted & sink.last & sink.final),
        ]
        lanes = range(words * UNIT_ROWS)
        first = [operands.first(self, sink.data[8 * lane : 8 * lane + 8]) for lane in lanes]
        second = [
            operands.second(
                self,
                held.values[lane * operands.held : (lane + 1) * operands.held],
                held.activation_shift,
                held.samples_log2,
            )
            for lane in lanes
        ]
        self.sync += [
            If(held.ready, held.valid.eq(0)),
            If(
                accepted,
                held.valid.eq(1),
                held.last.eq(sink.last),
                *[getattr(held, name).eq(getattr(sink, name)) for name, _ in fields],
                held.values.eq(Cat(*first)),
                held.activation_shift.eq(operands.shift),
                held.samples_log2.eq(banks.window_config.samples_log2),
            ),
            If(encoded.ready, encoded.valid.eq(0)),
            If(
                held.ready & held.valid,
                encoded.valid.eq(1),
                encoded.last.eq(held.last),
                *[getattr(encoded, name).eq(getattr(held, name)) for name, _ in fields],
                encoded.values.eq(Cat(*second)),
            ),
        ]
        if operands.summed:
            self.sync += [
                If(accepted, held.sums.eq(Cat(*[self._word_sum(w) for w in range(words)]))),
                If(held.ready & held.valid, encoded.sums.eq(held.sums)),
            ]
        return held, encoded

    def _word_sum(self, word: int):
        """A new signal of 11 bits: the sum of x + 128 over a word's used lanes."""
        total = Signal(11)
        lanes = [
            self.sink.data[WORD_BITS * word + 8 * lane : WORD_BITS * word + 8 * lane + 8]
            for lane in range(UNIT_ROWS)
        ]
        used = self.sink.used[3 * word : 3 * word + 3]
        self.comb += total.eq(
            signed_sum(
                [
                    lanes[0] ^ 0x80,
                    *[Mux(used >= k, x ^ 0x80, 0) for k, x in enumerate(lanes[1:], 1)],
                ]
            )
        )
        return total

    def _move(self, encoded, written, words: int, width: int, units, values):
        """Moves units, then writes words of `width` bits to those that have their bit set."""
        choices = select_bits(words)
        held = [values[word * width : (word + 1) * width] for word in range(words)]
        for u, unit in enumerate(units):
            word = Signal(width)
            if words == 1:
                self.comb += word.eq(held[0])
            else:
                self.comb += word.eq(Array(held)[encoded.select[u * choices : (u + 1) * choices]])
            moves = [
                If(encoded.shift == k, unit.eq(units[u + by]))
                for k, by in enumerate(SHIFTS)
                if by and u + by < len(units)
            ]
            self.sync += If(written, *moves, If(encoded.write[u], unit.eq(word)))

    def _sum(self, spec, words: int, encoded, written, banks):
        """The sums of the units move with them. A taken window's are added up in two stages."""
        sums = [Signal(11, name=f"sum{u}") for u in range(spec.units)]
        self._move(encoded, written, words, 11, sums, encoded.sums)
        counted = []
        for u, total in enumerate(sums):
            taken, masked = Signal(11), Signal(11)
            self.sync += [
                If(self.take, taken.eq(total)),
                masked.eq(Mux(banks.used[UNIT_ROWS * u], taken, 0)),
            ]
            counted.append(masked)
        self.sync += self.activation_sum.eq(signed_sum(counted))
