"""What the engine does with a frame that has been judged."""

from migen import Case, If, NextState, NextValue

from dscim.gateware.link.answer import OPENED_WORDS
from dscim.gateware.link.protocol import Kind, Reason


def verdict(engine) -> list:
    """Statements of the cycle in which a frame's fate is decided: the session's and the window's
    changes, the answer (of kind 0 where there is none), the next state (WRITE, or SKIP for the
    data of any other frame).

    engine: `FrameEngine`, in whose state machine they stand.
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
    """What a frame asks for, of those that are right, in turn and allowed."""
    session, answer = engine.session, engine.answer
    return Case(
        engine.kind,
        {
            Kind.OPEN: [
                session.begin.eq(~session.mine),
                engine.window.clear.eq(~session.mine),
                engine.events["opened"].eq(~session.mine),
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
