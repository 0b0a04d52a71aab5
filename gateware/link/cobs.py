"""COBS (Cheshire and Baker, 1999) on streams, one byte per cycle: frames without zero bytes."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Cat, If, Mux, NextState, NextValue, Signal

from dscim.gateware.link.crc32 import BYTES, CHECKED_BYTES
from dscim.gateware.link.ring import Ring

MAX_CODE = 0xFF
"""The code of a block of 254 bytes, which has no implied zero at its end."""

RING_DEPTH = 512
"""Bytes: enough for a block being filled and one being sent."""


class CobsEncoder(LiteXModule):
    """Encodes frames as blocks: a code (the distance to the next one), then non-zero bytes.

    A block is kept until its code is known, which is then written to the place reserved for it.

    | port   | dir | meaning                                        |
    |--------|-----|------------------------------------------------|
    | sink   | in  | data; `last` ends a frame                      |
    | source | out | data, never zero; `last` ends the frame's code |
    """

    def __init__(self):
        self.sink = sink = stream.Endpoint(BYTES)
        self.source = source = stream.Endpoint(BYTES)

        # # #

        self.ring = ring = Ring(9, RING_DEPTH)
        start = ring.committed  # the place of the current block's code
        code = Signal(8, reset=1)
        place, used, room = Signal.like(start), Signal.like(start), Signal()
        self.comb += [
            place.eq(start + code),
            used.eq(place - ring.freed),
            room.eq(used < RING_DEPTH - 2),
            ring.source.connect(source, omit={"data"}),
            Cat(source.data, source.last).eq(ring.source.data),
        ]
        close = [
            ring.write.adr.eq(start),
            ring.write.we.eq(1),
            NextValue(start, place),
            NextValue(code, 1),
        ]
        self.fsm = fsm = FSM(reset_state="FILL")
        fsm.act(
            "FILL",
            sink.ready.eq(room),
            If(
                sink.valid & room,
                If(
                    sink.data == 0,
                    *close,
                    ring.write.dat_w.eq(code),
                    If(sink.last, NextState("CLOSE")),  # with the block that stands for the zero
                ).Else(
                    ring.write.adr.eq(place),
                    ring.write.dat_w.eq(Cat(sink.data, sink.last)),
                    ring.write.we.eq(1),
                    NextValue(code, code + 1),
                    If(sink.last | (code == MAX_CODE - 1), NextState("CLOSE")),
                ),
            ),
        )
        fsm.act("CLOSE", *close, ring.write.dat_w.eq(Cat(code, code == 1)), NextState("FILL"))


class CobsDecoder(LiteXModule):
    """Decodes blocks to frames. A zero ends a frame; consecutive zeros do not make a frame.

    A byte is held back until it is known whether it is the last. `error` is set with `last` if a
    frame ends inside a block, or is empty.

    | port   | dir | meaning                                                    |
    |--------|-----|------------------------------------------------------------|
    | sink   | in  | data: codes and their bytes, and zeros that end frames     |
    | source | out | data, error; `last` ends a frame, in the cycle of its zero |
    | begun  | out | bytes have arrived since the last zero                     |
    """

    def __init__(self):
        self.sink = sink = stream.Endpoint(BYTES)
        self.source = source = stream.Endpoint(CHECKED_BYTES)
        self.begun = begun = Signal()

        # # #

        left = Signal(8)  # bytes of the block still to come
        gap = Signal()  # the block stands for a zero at its end, if another block follows
        held, holding = Signal(8), Signal()
        ends, is_code, fresh = Signal(), Signal(), Signal()
        self.comb += [
            ends.eq(sink.data == 0),
            is_code.eq(~ends & (left == 0)),
            fresh.eq(~ends & (~is_code | gap)),  # a byte of the frame becomes known
            source.valid.eq(sink.valid & ((ends & begun) | (fresh & holding))),
            source.last.eq(ends),
            source.data.eq(held),
            source.error.eq((left != 0) | ~holding),
            sink.ready.eq(source.ready | ~source.valid),
        ]
        self.sync += If(
            sink.valid & sink.ready,
            begun.eq(~ends),
            If(ends, left.eq(0), gap.eq(0), holding.eq(0))
            .Elif(is_code, left.eq(sink.data - 1), gap.eq(sink.data != MAX_CODE))
            .Else(left.eq(left - 1)),
            If(fresh, held.eq(Mux(is_code, 0, sink.data)), holding.eq(1)),
        )
