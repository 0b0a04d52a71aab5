"""What is to become of a frame: the order of the link's rules, in one place."""

from litex.gen import LiteXModule
from migen import If, Signal

from dscim.gateware.link.protocol import TAKE_OVER, Kind, Reason
from dscim.gateware.link.reach import Reach
from dscim.gateware.link.session import Session, Window


class Judge(LiteXModule):
    """One of `echo`, `ahead`, `double` and `refuse` is high, a cycle after what it is judged by;
    none where the frame is to be obeyed.

    | port   | dir | meaning                                                             |
    |--------|-----|---------------------------------------------------------------------|
    | kind   | in  | of the frame                                                        |
    | empty  | in  | its count is 0                                                      |
    | locked | in  | memories are not read                                               |
    | echo   | out | it is an answer: dropped                                            |
    | ahead  | out | a WRITE beyond the window: dropped                                  |
    | double | out | a WRITE that was applied before: answered WRITTEN                   |
    | refuse | out | answered REFUSED with `reason`                                      |

    The frame's address, session and sequence are put to `reach`, `session` and `window`.
    """

    def __init__(self, session: Session, window: Window, reach: Reach):
        self.kind, self.empty, self.locked = Signal(8), Signal(), Signal()
        self.echo, self.ahead, self.double = Signal(), Signal(), Signal()
        self.refuse, self.reason = Signal(), Signal(3)

        # # #

        opens, closes, reads, writes = (
            self.kind == kind for kind in (Kind.OPEN, Kind.CLOSE, Kind.READ, Kind.WRITE)
        )
        foreign = Signal()  # not of a session for which it could be done
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
