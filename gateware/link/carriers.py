"""What a carrier of frames is, and how several of them share one engine."""

from collections.abc import Sequence

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import FSM, Case, Cat, If, NextState, Signal
from migen.genlib.roundrobin import SP_CE, RoundRobin

from dscim.gateware.link.frames import WORDS


class Carrier(LiteXModule):
    """What every carrier has; the bytes on its other side are its own affair.

    A carrier that has more than one peer takes note of the one that a frame of `requests` is from
    only while `idle` is high, and the answer goes there.

    | port     | dir | meaning                                                                   |
    |----------|-----|---------------------------------------------------------------------------|
    | requests | out | data: right frames in words, header first, without CRC; `last`            |
    | answers  | in  | data: the answers to them, likewise                                       |
    | idle     | in  | nothing of a frame nor of its answer is in the engine                     |
    | active   | in  | a session is open                                                         |
    | events   | out | signals by names of `registers.LINK_REGISTERS`, high for a cycle each time |
    """

    def __init__(self):
        self.requests, self.answers = stream.Endpoint(WORDS), stream.Endpoint(WORDS)
        self.idle, self.active = Signal(), Signal()
        self.events: dict[str, Signal] = {}


class Carriers(LiteXModule):
    """Whole frames of several carriers to one engine, in turn.

    The next frame begins when the engine is idle: the answer before it has left, so that whatever
    the engine gives belongs to the carrier whose turn it is.

    | port   | dir | meaning                                    |
    |--------|-----|--------------------------------------------|
    | source | out | data: frames to the engine                 |
    | sink   | in  | data: its answers                          |
    | idle   | in  | nothing of either is in the engine         |
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
