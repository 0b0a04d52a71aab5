"""From words of memory to activations: the bytes that count, and padding."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Cat, Constant, If, Replicate, Signal

from dscim.gateware.engine.walker import beat_layout
from dscim.gateware.macro.interface import activation_layout
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES


def aligned_layout(spec: SocSpec):
    """The macro's activations, and whether the beat is padding."""
    return [*activation_layout(spec.macro), ("padding", 1)]


class Aligner(LiteXModule):
    """Moves a beat's first byte to bit 0, and puts the zero point where the window is padding.

    | port       | dir | meaning                                      |
    |------------|-----|----------------------------------------------|
    | zero_point | in  | z, int8                                      |
    | sink       | in  | stream: data (a word) and beat_layout        |
    | source     | out | stream: aligned_layout                       |
    """

    def __init__(self, spec: SocSpec):
        self.zero_point = Signal((8, True))
        self.sink = sink = stream.Endpoint([("data", 8 * WORD_BYTES), *beat_layout(spec)])
        self.source = source = stream.Endpoint(aligned_layout(spec))

        # # #

        # `ready` would go from the requantiser to the memory in one cycle
        shifted = stream.Buffer(aligned_layout(spec), pipe_valid=True, pipe_ready=True)
        self.submodules += shifted
        self.comb += [
            sink.connect(shifted.sink, keep={"valid", "ready", "last", "row", "count", "padding"}),
            shifted.sink.data.eq(sink.data >> Cat(Constant(0, 3), sink.lead)),
            If(sink.padding, shifted.sink.data.eq(Replicate(self.zero_point, WORD_BYTES))),
            shifted.source.connect(source),
        ]
