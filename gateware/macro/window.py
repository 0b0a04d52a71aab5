"""The double-buffered window of activations."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, If, Mux, Signal

from dscim.gateware.logic import signed_sum
from dscim.gateware.macro.interface import BEAT_ROWS, activation_layout


def rotate_step(vector, enable, places: int):
    """The vector, rotated up by `places` bits if `enable` is set."""
    cut = len(vector) - places
    return Mux(enable, Cat(vector[cut:], vector[:cut]), vector)


class OperandWindow(LiteXModule):
    """Loads one window of operands while the other is computed.

    The bytes of a beat are rotated to the lanes of their rows, then encoded, then written, in
    three stages that stall independently.

    encoders: eight modules with ports x, value, sign, one per lane.
    operand: the function from an encoder's value to the operand that is stored with the sign.
    store: a `WindowStore`, from which rows are read.

    | port           | dir | meaning                                                        |
    |----------------|-----|----------------------------------------------------------------|
    | sink           | in  | stream of activations                                          |
    | full           | out | a complete window waits                                        |
    | take           | in  | it becomes the window in use in the next cycle; only when full |
    | activation_sum | out | sum of x + 128 over the complete window's used rows            |
    | waiting        | out | a complete window waits or is about to                         |
    | busy           | out | a window waits or is loading                                   |
    """

    def __init__(self, spec, encoders, operand, store):
        self.sink = stream.Endpoint(activation_layout(spec))
        self.full = Signal()
        self.take = Signal()
        self.activation_sum = Signal(24)
        self.waiting = Signal()
        self.busy = Signal()
        self.store = store

        # # #

        for lane, encoder in enumerate(encoders):
            self.add_module(f"encoder{lane}", encoder)
        written = Signal()  # the last stage advances
        self.comb += written.eq(~self.full | self.take)
        rotated, encoded = self._stages(encoders, written, "offset" in spec.signed)
        self._write(encoded, written, operand)
        self.comb += [
            self.waiting.eq(
                self.full | (rotated.valid & rotated.last) | (encoded.valid & encoded.last)
            ),
            self.busy.eq(self.waiting | rotated.valid | encoded.valid | ~self.fresh),
        ]

    def _stages(self, encoders, written, summed: bool):
        """Rotation to the lanes, then encoding."""
        sink, block = self.sink, self.sink.row[3:]
        place = [("block", len(block)), ("low", 8), ("high", 8)]
        rotated = self.rotated = stream.Endpoint([*place, ("data", 64)])
        encoded = self.encoded = stream.Endpoint([*place, ("value", 64), ("sign", 8), ("sum", 11)])
        used, lanes, wrapped = Signal(8), Signal(64), Signal(8)
        data = [Signal(64, name=f"rotated{k}") for k in range(4)]
        mask = [Signal(8, name=f"used{k}") for k in range(4)]
        self.comb += [
            mask[0].eq(Cat(*[sink.count > b for b in range(8)])),
            data[0].eq(sink.data),
            *[data[k + 1].eq(rotate_step(data[k], sink.row[k], 8 << k)) for k in range(3)],
            *[mask[k + 1].eq(rotate_step(mask[k], sink.row[k], 1 << k)) for k in range(3)],
            wrapped.eq(Cat(*[sink.row[:3] > lane for lane in range(7)])),
            used.eq(mask[3]),
            lanes.eq(data[3]),
            rotated.ready.eq(~encoded.valid | written),
            sink.ready.eq(~rotated.valid | rotated.ready),
        ]
        total = signed_sum(
            [
                Mux(
                    (rotated.low | rotated.high)[lane],
                    rotated.data[8 * lane : 8 * lane + 8] ^ 0x80,
                    0,
                )
                for lane in range(8)
            ]
        )
        for lane, encoder in enumerate(encoders):
            self.comb += encoder.x.eq(rotated.data[8 * lane : 8 * lane + 8])
        self.sync += [
            If(
                sink.ready,
                rotated.valid.eq(sink.valid),
                rotated.last.eq(sink.last),
                rotated.block.eq(block),
                rotated.data.eq(lanes),
                rotated.low.eq(used & ~wrapped),
                rotated.high.eq(used & wrapped),
            ),
            If(
                rotated.ready,
                encoded.valid.eq(rotated.valid),
                encoded.last.eq(rotated.last),
                encoded.block.eq(rotated.block),
                encoded.low.eq(rotated.low),
                encoded.high.eq(rotated.high),
                encoded.value.eq(Cat(*[encoder.value for encoder in encoders])),
                encoded.sign.eq(Cat(*[encoder.sign for encoder in encoders])),
                *([encoded.sum.eq(total)] if summed else []),
            ),
        ]
        return rotated, encoded

    def _write(self, encoded, written, operand):
        """The last stage: writes to the bank that is not in use."""
        self.fresh = fresh = Signal(reset=1)  # the next beat opens a window
        store = self.store
        width = len(store.values) // BEAT_ROWS
        for lane in range(BEAT_ROWS):
            value = store.values[lane * width : (lane + 1) * width]
            self.comb += value.eq(
                Cat(operand(encoded.value[8 * lane : 8 * lane + 8]), encoded.sign[lane])
            )
        self.comb += [
            store.target.eq(store.bank ^ ~self.take),
            store.write.eq(encoded.valid & written),
            store.fresh.eq(fresh),
            store.block.eq(encoded.block),
            store.low.eq(encoded.low),
            store.high.eq(encoded.high),
        ]
        self.sync += [
            If(self.take, self.full.eq(0), store.bank.eq(~store.bank)),
            If(
                store.write,
                self.activation_sum.eq(Mux(fresh, 0, self.activation_sum) + encoded.sum),
                fresh.eq(encoded.last),
                self.full.eq(encoded.last),
            ),
        ]
