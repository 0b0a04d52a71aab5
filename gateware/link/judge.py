"""The link's rules for a frame, in their order, and the engine's actions."""

from litex.gen import LiteXModule
from migen import Case, If, NextState, NextValue, Signal

from dscim.gateware.link.answer import OPENED_WORDS
from dscim.gateware.link.protocol import TAKE_OVER, Kind, Reason
from dscim.gateware.link.reach import Reach
from dscim.gateware.link.session import Session, WriteWindow


class Judge(LiteXModule):
    """Decides about a frame: sets one of `echo`, `ahead`, `double` and `refuse` a cycle after the
    inputs, or none of them if the frame is to be executed.

    | port   | dir | meaning                                                             |
    |--------|-----|---------------------------------------------------------------------|
    | kind   | in  | kind of the frame                                                   |
    | empty  | in  | its count is 0                                                      |
    | locked | in  | memories must not be read                                           |
    | echo   | out | it is an answer: dropped                                            |
    | ahead  | out | a WRITE beyond the window: dropped                                  |
    | double | out | a WRITE that is already applied: answered WRITTEN                   |
    | refuse | out | answered REFUSED with `reason`                                      |
    | reason | out | the `Reason` of a refusal                                           |

    The owner connects the frame's address, session and sequence to `reach`, `session`, `window`.
    """

    def __init__(self, session: Session, window: WriteWindow, reach: Reach):
        self.kind, self.empty, self.locked = Signal(8), Signal(), Signal()
        self.echo, self.ahead, self.double = Signal(), Signal(), Signal()
        self.refuse, self.reason = Signal(), Signal(3)

        # # #

        opens, closes, reads, writes = (
            self.kind == kind for kind in (Kind.OPEN, Kind.CLOSE, Kind.READ, Kind.WRITE)
        )
        foreign = Signal()  # the session may not do this
        written = Signal()  # a WRITE of the open session
        double, ahead, reason = Signal(), Signal(), Signal(3)
        self.comb += [
            If(opens, foreign.eq((session.asked == 0) | session.over))
            .Elif(closes, foreign.eq(~session.mine & ~session.over))
            .Else(foreign.eq(~session.mine)),
            written.eq(writes & session.mine),
            double.eq(written & window.applied),
            ahead.eq(written & window.ahead),
            If(
                ~(opens | closes | reads | writes) | ((opens | closes) & ~self.empty),
                reason.eq(Reason.KIND),
            )
            .Elif(foreign, reason.eq(Reason.SESSION))
            .Elif(
                opens & session.active & ~session.mine & (reach.address != TAKE_OVER),
                reason.eq(Reason.BUSY),
            )
            .Elif((reads | writes) & ~reach.inside, reason.eq(Reason.ADDRESS))
            .Elif(reads & reach.memory & self.locked, reason.eq(Reason.LOCKED)),
        ]
        self.sync += [
            self.echo.eq(self.kind[7]),
            self.double.eq(double),
            self.ahead.eq(ahead),
            self.reason.eq(reason),
            self.refuse.eq((reason != 0) & ~(self.kind[7] | double | ahead)),
        ]


def verdict(engine) -> list:
    """The statements of the cycle that decides about a frame: changes of session and window, the
    answer (kind 0 for none), and the next state (WRITE, or SKIP for the data of other frames).

    engine: the `FrameEngine` with the state machine that they belong to.
    """
    judge, session, window, events = engine.judge, engine.session, engine.window, engine.events
    answer = engine.answer
    return [
        NextValue(answer.count, 0),
        NextValue(engine.answerer.reason, judge.reason),
        NextState("SKIP"),
        If(judge.echo, events["echoed"].eq(1), NextValue(answer.kind, 0))
        .Elif(judge.ahead, events["ahead"].eq(1), NextValue(answer.kind, 0))
        .Elif(
            judge.double,
            events["doubled"].eq(1),
            NextValue(answer.kind, Kind.WRITTEN),
            NextValue(answer.address, window.first),
        )
        .Elif(
            judge.refuse,
            events["refused"].eq(1),
            NextValue(answer.kind, Kind.REFUSED),
            If(judge.reason == Reason.BUSY, NextValue(answer.address, session.left)),
            NextValue(answer.count, 1),
        )
        .Else(_granted(engine)),
    ]


def _granted(engine):
    """The statements for a frame that is valid, in order and allowed."""
    session, answer = engine.session, engine.answer
    return Case(
        engine.kind,
        {
            Kind.OPEN: [
                session.begin.eq(~session.mine),
                engine.window.clear.eq(~session.mine),
                NextValue(answer.kind, Kind.OPENED),
                NextValue(answer.address, 0),
                NextValue(answer.count, OPENED_WORDS),
            ],
            Kind.CLOSE: [
                session.end.eq(session.mine),
                NextValue(answer.kind, Kind.CLOSED),
                NextValue(answer.address, 0),
            ],
            Kind.READ: [
                NextValue(answer.kind, Kind.DATA),
                NextValue(answer.count, engine.count),
            ],
            Kind.WRITE: [
                NextValue(answer.kind, Kind.WRITTEN),
                NextState("WRITE"),
            ],
        },
    )
