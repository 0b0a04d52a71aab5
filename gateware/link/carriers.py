"""The interface of a carrier of frames, and how several carriers share one engine."""

from collections.abc import Sequence

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Case, Cat, If, NextState, Signal
from migen.genlib.roundrobin import SP_CE, RoundRobin

from dscim.gateware.link.frames import WORDS


class Carrier(LiteXModule):
    """The interface of every carrier to the engine.

    A carrier with more than one peer may change the peer that is answered only while `idle` is
    high.

    | port     | dir | meaning                                                                    |
    |----------|-----|----------------------------------------------------------------------------|
    | requests | out | data: valid frames in words, header first, without CRC; `last`             |
    | answers  | in  | data: the answers, in the same form                                        |
    | idle     | in  | the engine holds no part of a frame or of its answer                       |
    | active   | in  | a session is open                                                          |
    | events   | out | signals by names of `registers.LINK_REGISTERS`, high for a cycle each time |
    """

    def __init__(self):
        self.requests, self.answers = stream.Endpoint(WORDS), stream.Endpoint(WORDS)
        self.idle, self.active = Signal(), Signal()
        self.events: dict[str, Signal] = {}


class Carriers(LiteXModule):
    """Passes whole frames of several carriers to one engine, in turn.

    The next frame starts when the engine is idle. The answer before it has left then, so that all
    output of the engine belongs to the carrier whose turn it is.

    | port   | dir | meaning                                    |
    |--------|-----|--------------------------------------------|
    | source | out | data: frames to the engine                 |
    | sink   | in  | data: its answers                          |
    | idle   | in  | the engine holds no part of either         |
    """

    def __init__(self, carriers: Sequence[Carrier]):
        self.source, self.sink = stream.Endpoint(WORDS), stream.Endpoint(WORDS)
        self.idle = Signal()

        # # #

        self.turn = turn = RoundRobin(len(carriers), SP_CE)
        frame, waiting = Signal(), turn.request != 0
        self.comb += [
            turn.request.eq(Cat(*[carrier.requests.valid for carrier in carriers])),
            Case(
                turn.grant,
                {
                    i: [
                        If(frame, carrier.requests.connect(self.source)),
                        self.sink.connect(carrier.answers),
                    ]
                    for i, carrier in enumerate(carriers)
                },
            ),
            *[carrier.idle.eq(self.idle & ~frame) for carrier in carriers],
        ]
        self.fsm = fsm = FSM(reset_state="CHOOSE")
        fsm.act("CHOOSE", If(self.idle & waiting, turn.ce.eq(1), NextState("FRAME")))
        fsm.act(
            "FRAME",
            frame.eq(1),
            If(self.source.valid & self.source.ready & self.source.last, NextState("CHOOSE")),
        )
