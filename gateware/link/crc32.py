"""CRC-32 (IEEE 802.3, as zlib.crc32) on streams, one byte or word per cycle."""

from functools import reduce
from operator import xor

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Array, Cat, If, NextState, NextValue, Signal

POLYNOMIAL = 0xEDB8_8320
"""0x04C11DB7 with its bits reversed: the lowest bit is first."""

START = 0xFFFF_FFFF
RESIDUE = 0xDEBB_20E3
"""The value of the register after a text and its CRC, low byte first."""

BYTES = stream.EndpointDescription([("data", 8)])


def checked(width: int) -> stream.EndpointDescription:
    """Beats of a frame; `error`, valid only with `last`: the frame is bad."""
    return stream.EndpointDescription([("data", width), ("error", 1)])


CHECKED_BYTES = checked(8)


def advance(mixed: Signal, width: int) -> Cat:
    """The register after 8, 16 or 32 more bits, each bit an exclusive or of bits of `mixed`.

    mixed: the register before, exclusive or these bits, lowest first.
    """

    def shifted(value: int) -> int:
        for _ in range(width):
            value = value >> 1 ^ POLYNOMIAL * (value & 1)
        return value

    effects = [shifted(1 << bit) for bit in range(32)]
    return Cat(
        *[
            reduce(
                xor, [bit for bit, effect in zip(mixed, effects, strict=True) if effect >> out & 1]
            )
            for out in range(32)
        ]
    )


class Crc32Inserter(LiteXModule):
    """Appends the CRC to each frame, lowest byte first. width: bits per beat, 8 or 32.

    | port   | dir | meaning                                       |
    |--------|-----|-----------------------------------------------|
    | sink   | in  | data; `last` ends a frame                     |
    | source | out | the same and the CRC, whose last beat is last |
    """

    def __init__(self, width: int = 8):
        self.sink = sink = stream.Endpoint([("data", width)])
        self.source = source = stream.Endpoint([("data", width)])

        # # #

        crc, mixed, following = Signal(32, reset=START), Signal(32), Signal(32)
        self.comb += mixed.eq(crc ^ sink.data), following.eq(advance(mixed, width))
        beats = 32 // width
        place = Signal(max=max(beats, 2))
        self.fsm = fsm = FSM(reset_state="TEXT")
        fsm.act(
            "TEXT",
            sink.connect(source, omit={"last"}),
            If(
                sink.valid & source.ready,
                NextValue(crc, following),
                If(sink.last, NextState("CRC")),
            ),
        )
        fsm.act(
            "CRC",
            source.valid.eq(1),
            source.data.eq(
                ~Array([crc[width * i : width * i + width] for i in range(beats)])[place]
            ),
            source.last.eq(place == beats - 1),
            If(
                source.ready,
                NextValue(place, place + 1),
                If(source.last, NextValue(place, 0), NextValue(crc, START), NextState("TEXT")),
            ),
        )


class Crc32Checker(LiteXModule):
    """Raises `error` on the last beat of a frame whose CRC (its last four bytes) is wrong.
    width: bits per beat, 8 or 32.

    | port   | dir | meaning                                                   |
    |--------|-----|-----------------------------------------------------------|
    | sink   | in  | data, error; `last` ends a frame                          |
    | source | out | the same beats, CRC included, in the same cycle; error    |
    """

    def __init__(self, width: int = 8):
        self.sink = sink = stream.Endpoint(checked(width))
        self.source = source = stream.Endpoint(checked(width))

        # # #

        crc, mixed, following = Signal(32, reset=START), Signal(32), Signal(32)
        self.comb += [
            mixed.eq(crc ^ sink.data),
            following.eq(advance(mixed, width)),
            sink.connect(source, omit={"error"}),
            source.error.eq(sink.error | (following != RESIDUE)),
        ]
        self.sync += If(sink.valid & sink.ready, crc.eq(following), If(sink.last, crc.eq(START)))
