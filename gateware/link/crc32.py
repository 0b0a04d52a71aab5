"""CRC-32 (IEEE 802.3, as zlib.crc32) on streams of bytes, a byte a cycle."""

from functools import reduce
from operator import xor

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Array, Cat, If, NextState, NextValue, Signal

POLYNOMIAL = 0xEDB8_8320
"""0x04C11DB7 with its bits reversed: the lowest bit comes first."""

START = 0xFFFF_FFFF
RESIDUE = 0xDEBB_20E3
"""What the register holds after a text and its own CRC, low byte first."""

BYTES = stream.EndpointDescription([("data", 8)])
CHECKED_BYTES = stream.EndpointDescription([("data", 8), ("error", 1)])
"""Bytes of a frame; `error` counts with `last` alone: the frame is bad."""


def advance(crc: Signal, data: Signal) -> Cat:
    """The register after a byte: each bit an exclusive or of bits of `crc` and `data`."""
    def shifted(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ POLYNOMIAL * (value & 1)
        return value

    effects = [shifted(1 << bit) for bit in range(32)]
    effects_of_data = effects[:8]  # the byte is added to the lowest bits first
    return Cat(*[reduce(xor, [crc[bit] for bit in range(32) if effects[bit] >> out & 1]
                        + [data[bit] for bit in range(8) if effects_of_data[bit] >> out & 1])
                 for out in range(32)])


class Crc32Inserter(LiteXModule):
    """Puts four bytes of CRC behind each frame, the lowest first.

    | port   | dir | meaning                                      |
    |--------|-----|----------------------------------------------|
    | sink   | in  | data; `last` ends a frame                    |
    | source | out | the same and the CRC, whose last byte is last |
    """

    def __init__(self):
        self.sink = sink = stream.Endpoint(BYTES)
        self.source = source = stream.Endpoint(BYTES)

        # # #

        crc = Signal(32, reset=START)
        place = Signal(2)
        self.fsm = fsm = FSM(reset_state="TEXT")
        fsm.act("TEXT",
            sink.connect(source, omit={"last"}),
            If(sink.valid & source.ready,
                NextValue(crc, advance(crc, sink.data)),
                If(sink.last, NextState("CRC"))
            )
        )
        fsm.act("CRC",
            source.valid.eq(1),
            source.data.eq(~Array([crc[8*i:8*i + 8] for i in range(4)])[place]),
            source.last.eq(place == 3),
            If(source.ready,
                NextValue(place, place + 1),
                If(place == 3,
                    NextValue(crc, START),
                    NextState("TEXT")
                )
            )
        )


class Crc32Checker(LiteXModule):
    """Raises `error` on the last byte of a frame whose CRC (its last four bytes) is wrong.

    | port   | dir | meaning                                                   |
    |--------|-----|-----------------------------------------------------------|
    | sink   | in  | data, error; `last` ends a frame                          |
    | source | out | the same bytes, CRC included, in the same cycle; error    |
    """

    def __init__(self):
        self.sink = sink = stream.Endpoint(CHECKED_BYTES)
        self.source = source = stream.Endpoint(CHECKED_BYTES)

        # # #

        crc, following = Signal(32, reset=START), Signal(32)
        self.comb += [
            following.eq(advance(crc, sink.data)),
            sink.connect(source, omit={"error"}),
            source.error.eq(sink.error | (following != RESIDUE)),
        ]
        self.sync += If(sink.valid & sink.ready, crc.eq(following), If(sink.last, crc.eq(START)))
