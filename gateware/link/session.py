"""Who may use the link and for how long, and which WRITE frames have been applied."""

from litex.gen import LiteXModule
from migen import Array, If, Signal

SEQUENCE_BITS = 16


class Session(LiteXModule):
    """The open session, the one that ended last, the lease, and the device's boot number.

    | port   | dir | meaning                                                                  |
    |--------|-----|--------------------------------------------------------------------------|
    | asked  | in  | the session number of the current frame; `mine` and `over` are valid     |
    |        |     | from the second cycle after it changes                                   |
    | begin  | in  | opens the session `asked`, and ends the open one                         |
    | end    | in  | ends the open session                                                    |
    | renew  | in  | restarts the lease                                                       |
    | active | out | a session is open                                                        |
    | mine   | out | it has the number `asked`                                                |
    | over   | out | the session that ended last has the number `asked`                       |
    | left   | out | cycles left of the lease                                                 |
    | boot   | out | differs after each reset: the cycles until the first session started,    |
    |        |     | exclusive or that session's number, which its host drew at random        |
    | count  | out | sessions opened since reset                                              |
    """

    def __init__(self, lease: int):
        self.asked = Signal(32)
        self.begin, self.end, self.renew = Signal(), Signal(), Signal()
        self.active, self.mine, self.over = Signal(), Signal(), Signal()
        self.left, self.boot, self.count = Signal(32), Signal(32), Signal(32)

        # # #

        number, ended, uptime = Signal(32), Signal(32), Signal(32)
        same, late = Signal(), Signal()
        self.comb += [
            self.mine.eq(self.active & same),
            late.eq((self.left == 0) & ~self.renew),
        ]
        self.sync += [
            uptime.eq(uptime + 1),
            same.eq(number == self.asked),
            self.over.eq((ended == self.asked) & (ended != 0)),
            If(self.renew, self.left.eq(lease)).Elif(~late, self.left.eq(self.left - 1)),
            If(self.active & (self.begin | self.end | late), self.active.eq(0), ended.eq(number)),
            If(
                self.begin,
                number.eq(self.asked),
                self.active.eq(1),
                self.left.eq(lease),
                self.count.eq(self.count + 1),
                If(self.count == 0, self.boot.eq(uptime ^ self.asked)),
            ),
        ]


class WriteWindow(LiteXModule):
    """The sequence numbers that have been applied: all before `first`, and some of the next `size`.

    | port    | dir | meaning                                                             |
    |---------|-----|---------------------------------------------------------------------|
    | asked   | in  | the sequence number of the current frame; `applied` and `ahead` are |
    |         |     | valid from the second cycle after it or `first` changes             |
    | clear   | in  | a new session: none has been applied, 0 is the first                |
    | mark    | in  | `asked` has been applied; only if it is neither applied nor ahead   |
    | first   | out | the first missing one, when not `sliding`                           |
    | sliding | out | `first` is advancing, one number per cycle                          |
    | applied | out | `asked` is already applied                                          |
    | ahead   | out | `asked` lies beyond the window                                      |
    """

    def __init__(self, size: int):
        self.asked, self.first = Signal(SEQUENCE_BITS), Signal(SEQUENCE_BITS)
        self.clear, self.mark = Signal(), Signal()
        self.sliding, self.applied, self.ahead = Signal(), Signal(), Signal()

        # # #

        distance, marks = Signal(SEQUENCE_BITS), Signal(size)
        behind, place = distance[-1], distance[: (size - 1).bit_length()]
        self.comb += [
            self.sliding.eq(marks[0]),
            self.ahead.eq(~behind & (distance >= size)),
            self.applied.eq(behind | (~self.ahead & Array(marks)[place])),
        ]
        self.sync += [
            distance.eq(self.asked - self.first),
            If(self.clear, self.first.eq(0), marks.eq(0))
            .Elif(self.mark, marks.eq(marks | (1 << place)))
            .Elif(self.sliding, self.first.eq(self.first + 1), marks.eq(marks[1:])),
        ]
