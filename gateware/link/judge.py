"""What is to become of a frame: the order of the link's rules, in one place."""

from litex.gen import LiteXModule
from migen import If, Signal

from dscim.gateware.link.protocol import TAKE_OVER, Kind, Reason
from dscim.gateware.link.reach import Reach
from dscim.gateware.link.session import Session, Window


class Judge(LiteXModule):
    """Exactly one of `echo`, `ahead`, `double`, `refuse` and `obey` is high.

    | port   | dir | meaning                                                             |
    |--------|-----|---------------------------------------------------------------------|
    | kind   | in  | of the frame                                                        |
    | empty  | in  | its count is 0                                                      |
    | locked | in  | memories are not read                                               |
    | echo   | out | it is an answer: dropped                                            |
    | ahead  | out | a WRITE beyond the window: dropped                                  |
    | double | out | a WRITE that was applied before: answered WRITTEN                   |
    | refuse | out | answered REFUSED with `reason`                                      |
    | obey   | out | done and answered                                                   |

    The frame's address, session and sequence are put to `reach`, `session` and `window`.
    """

    def __init__(self, session: Session, window: Window, reach: Reach):
        self.kind, self.empty, self.locked = Signal(8), Signal(), Signal()
        self.echo, self.ahead, self.double = Signal(), Signal(), Signal()
        self.refuse, self.obey, self.reason = Signal(), Signal(), Signal(3)

        # # #

        opens, closes, reads, writes = (
            self.kind == kind for kind in (Kind.OPEN, Kind.CLOSE, Kind.READ, Kind.WRITE))
        foreign = Signal()  # not of a session for which it could be done
        written = Signal()  # a WRITE of the open session
        self.comb += [
            self.echo.eq(self.kind[7]),
            If(opens,
                foreign.eq((session.asked == 0) | session.over)
            ).Elif(closes,
                foreign.eq(~session.mine & ~session.over)
            ).Else(
                foreign.eq(~session.mine)
            ),
            written.eq(writes & session.mine),
            self.double.eq(written & window.applied),
            self.ahead.eq(written & window.ahead),
            If(~(opens | closes | reads | writes) | ((opens | closes) & ~self.empty),
                self.reason.eq(Reason.KIND)
            ).Elif(foreign,
                self.reason.eq(Reason.SESSION)
            ).Elif(opens & session.active & ~session.mine & (reach.address != TAKE_OVER),
                self.reason.eq(Reason.BUSY)
            ).Elif((reads | writes) & ~reach.inside,
                self.reason.eq(Reason.ADDRESS)
            ).Elif(reads & reach.memory & self.locked,
                self.reason.eq(Reason.LOCKED)
            ),
            self.refuse.eq((self.reason != 0) & ~(self.echo | self.double | self.ahead)),
            self.obey.eq(~(self.echo | self.double | self.ahead | self.refuse)),
        ]
