"""The double-buffered window of activations."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Case, Cat, If, Mux, Signal, log2_int

from dscim.gateware.macro.interface import BEAT_ROWS, activation_layout
from dscim.gateware.macro.output import signed_sum


def rotate_step(vector, enable, places: int):
    """The vector, where `enable` is set rotated by `places` bits towards its upper end."""
    cut = len(vector) - places
    return Mux(enable, Cat(vector[cut:], vector[:cut]), vector)


class Window(LiteXModule):
    """Loads one window of operands while the other is computed.

    Lane l holds the rows r with r mod 8 = l: the bytes of a beat are rotated to their lanes, then
    encoded, then written, in three stages that stall on their own.

    encoders: eight modules with ports x, value, sign, one a lane.
    width, operand: bits kept of an operand, and the function from an encoder's value to them;
    the sign is kept beside them.

    | port           | dir | meaning                                                        |
    |----------------|-----|----------------------------------------------------------------|
    | sink           | in  | stream of activations                                          |
    | full           | out | a complete window waits                                        |
    | take           | in  | it becomes the window in use, from the next cycle; needs full  |
    | activation_sum | out | of the complete window, sum of x + 128 over its used rows      |
    | waiting        | out | a complete window waits, or is on its way                      |
    | busy           | out | a window waits, or has begun to load                           |
    """

    def __init__(self, spec, encoders, width: int, operand):
        self.sink = stream.Endpoint(activation_layout(spec))
        self.full = Signal()
        self.take = Signal()
        self.activation_sum = Signal(24)
        self.waiting = Signal()
        self.busy = Signal()
        self.width = width + 1
        self.banks = [[Signal(BEAT_ROWS*self.width, name=f"bank{b}_block{k}")
                       for k in range(spec.rows//BEAT_ROWS)] for b in range(2)]
        self.bank = Signal()

        # # #

        for lane, encoder in enumerate(encoders):
            self.add_module(f"encoder{lane}", encoder)
        written = Signal()                              # the last stage moves on
        self.comb += written.eq(~self.full | self.take)
        rotated, encoded = self._stages(encoders, written, "offset" in spec.signed)
        self._write(encoded, written, operand)
        self.comb += [
            self.waiting.eq(self.full | (rotated.valid & rotated.last)
                            | (encoded.valid & encoded.last)),
            self.busy.eq(self.waiting | rotated.valid | encoded.valid | ~self.fresh),
        ]

    def _stages(self, encoders, written, summed: bool):
        """Rotation to the lanes, then encoding."""
        sink, block = self.sink, self.sink.row[3:]
        place = [("block", len(block)), ("low", 8), ("high", 8)]
        rotated = self.rotated = stream.Endpoint([*place, ("data", 64)])
        encoded = self.encoded = stream.Endpoint([*place, ("value", 64), ("sign", 8),
                                                  ("sum", 11)])
        used, lanes, wrapped = Signal(8), Signal(64), Signal(8)
        data = [Signal(64, name=f"rotated{k}") for k in range(4)]
        mask = [Signal(8, name=f"used{k}") for k in range(4)]
        self.comb += [
            mask[0].eq(Cat(*[sink.count > b for b in range(8)])),
            data[0].eq(sink.data),
            *[data[k + 1].eq(rotate_step(data[k], sink.row[k], 8 << k)) for k in range(3)],
            *[mask[k + 1].eq(rotate_step(mask[k], sink.row[k], 1 << k)) for k in range(3)],
            wrapped.eq(Cat(*[sink.row[:3] > lane for lane in range(7)])),
            used.eq(mask[3]), lanes.eq(data[3]),
            rotated.ready.eq(~encoded.valid | written),
            sink.ready.eq(~rotated.valid | rotated.ready),
        ]
        total = signed_sum([Mux((rotated.low | rotated.high)[lane],
                                rotated.data[8*lane:8*lane + 8] ^ 0x80, 0) for lane in range(8)])
        for lane, encoder in enumerate(encoders):
            self.comb += encoder.x.eq(rotated.data[8*lane:8*lane + 8])
        self.sync += [
            If(sink.ready, rotated.valid.eq(sink.valid), rotated.last.eq(sink.last),
               rotated.block.eq(block), rotated.data.eq(lanes),
               rotated.low.eq(used & ~wrapped), rotated.high.eq(used & wrapped)),
            If(rotated.ready, encoded.valid.eq(rotated.valid), encoded.last.eq(rotated.last),
               encoded.block.eq(rotated.block),
               encoded.low.eq(rotated.low), encoded.high.eq(rotated.high),
               encoded.value.eq(Cat(*[encoder.value for encoder in encoders])),
               encoded.sign.eq(Cat(*[encoder.sign for encoder in encoders])),
               *([encoded.sum.eq(total)] if summed else [])),
        ]
        return rotated, encoded

    def _write(self, encoded, written, operand):
        """The last stage: into the bank that is not in use."""
        self.fresh = fresh = Signal(reset=1)            # the next beat opens a window
        target, write = Signal(), Signal()
        values = [Signal(self.width, name=f"operand{lane}") for lane in range(8)]
        self.comb += [
            target.eq(self.bank ^ ~self.take), write.eq(encoded.valid & written),
            *[value[:-1].eq(operand(encoded.value[8*lane:8*lane + 8]))
              for lane, value in enumerate(values)],
            *[value[-1].eq(encoded.sign[lane]) for lane, value in enumerate(values)],
        ]
        self.sync += [
            If(self.take, self.full.eq(0), self.bank.eq(~self.bank)),
            If(write,
               Case(target, {b: self._block_writes(bank, encoded, values)
                             for b, bank in enumerate(self.banks)}),
               self.activation_sum.eq(Mux(fresh, 0, self.activation_sum) + encoded.sum),
               fresh.eq(encoded.last), self.full.eq(encoded.last)),
        ]

    def _block_writes(self, bank, encoded, values):
        """A beat's rows lie in one block of eight and, wrapped, in the next."""
        def lanes(block, mask):
            return [If(mask[lane], block[lane*self.width:(lane + 1)*self.width].eq(value))
                    for lane, value in enumerate(values)]
        writes = []
        for k, block in enumerate(bank):
            writes += [If(self.fresh, block.eq(0)), If(encoded.block == k,
                                                       *lanes(block, encoded.low))]
            if k:
                writes.append(If(encoded.block == k - 1, *lanes(block, encoded.high)))
        return writes

    def row(self, row: int):
        """Operand and sign (top bit) of a row of the window in use."""
        lane = (row % BEAT_ROWS)*self.width
        low, high = [bank[row//BEAT_ROWS][lane:lane + self.width] for bank in self.banks]
        return Mux(self.bank, high, low)

    def selected(self, group: int, or_width: int, region):
        """Operand and sign (top bit) of row `region` (log2 G bits) of a group in use."""
        first = group*or_width//BEAT_ROWS
        blocks = [block for bank in self.banks for block in bank[first:first + or_width//BEAT_ROWS]]
        block, value = Signal(BEAT_ROWS*self.width), Signal(self.width)
        lanes = [block[lane*self.width:(lane + 1)*self.width] for lane in range(BEAT_ROWS)]
        self.comb += [block.eq(Array(blocks)[Cat(region[log2_int(BEAT_ROWS):], self.bank)]),
                      value.eq(Array(lanes)[region[:log2_int(BEAT_ROWS)]])]
        return value
