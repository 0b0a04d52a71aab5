"""The frame engine: what right frames ask for is done on the bus, once, and answered."""

from collections.abc import Sequence

from litex.gen import LiteXModule
from litex.soc.interconnect import stream, wishbone
from migen import FSM, Case, Cat, If, NextState, NextValue, Signal

from dscim.gateware.link.answer import OPENED_WORDS, Answerer
from dscim.gateware.link.frames import WORDS
from dscim.gateware.link.judge import Judge, verdict
from dscim.gateware.link.protocol import HEADER_WORDS, WINDOW
from dscim.gateware.link.reach import Reach, Region
from dscim.gateware.link.session import Session, WriteWindow

EVENTS = ("opened", "doubled", "ahead", "refused", "echoed")


class FrameEngine(LiteXModule):
    """Serves one frame after the other, from whatever carrier: `dscim.gateware.link.protocol`.

    identity: what OPENED names as the device's spec. lease: cycles of a session without a frame.
    regions: where READ and WRITE may go.

    | port   | dir | meaning                                                                |
    |--------|-----|------------------------------------------------------------------------|
    | sink   | in  | data: right frames in words, header first, without CRC; `last`         |
    | source | out | data: their answers, likewise                                          |
    | bus    | out | Wishbone, 32 bits, word addressing: data of READ and WRITE             |
    | locked | in  | memories are not read; rises only by a write to the bus                |
    | active | out | a session is open                                                      |
    | idle   | out | nothing of a frame nor of its answer is within                         |
    | events | out | one signal a name of EVENTS, high for a cycle when it happens          |
    """

    def __init__(self, identity: int, lease: int, regions: Sequence[Region]):
        # Whether the bus takes a word is known late: a word that it leaves waits here, never one
        # of the next frame, which comes when all of this one is done.
        self.register = register = stream.Buffer(WORDS, pipe_valid=False, pipe_ready=True)
        self.sink, self.source = register.sink, stream.Endpoint(WORDS)
        self._words = register.source
        self.bus = wishbone.Interface(data_width=32, address_width=32, addressing="word")
        self.locked, self.active, self.idle = Signal(), Signal(), Signal()
        self.events = {name: Signal(name=f"event_{name}") for name in EVENTS}

        # # #

        self.session = session = Session(lease)
        self.window = WriteWindow(WINDOW)
        self.reach = Reach(regions)
        self.judge = judge = Judge(session, self.window, self.reach)
        opened = (session.boot, identity, WINDOW, lease, session.count)
        assert len(opened) == OPENED_WORDS
        self.answerer = answerer = Answerer(opened)
        self.answer = answer = answerer.header  # registers; kind 0: there is none
        # The frame: its header (sequence and session are the answer's), the address of the next
        # word, and whether the last one has been taken.
        self.kind, self.count, self._address = Signal(8), Signal(8), Signal(32)
        self._finished = Signal()
        self.comb += [
            session.asked.eq(answer.session),
            self.window.asked.eq(answer.sequence),
            self.reach.address.eq(self._address),
            judge.kind.eq(self.kind),
            judge.empty.eq(self.count == 0),
            judge.locked.eq(self.locked),
            self.active.eq(session.active),
            answerer.source.connect(self.source),
        ]
        self.fsm = fsm = FSM(reset_state="HEADER")
        self._drive_bus(fsm.ongoing("WRITE") & self._words.valid & ~self._finished)
        self._take_header(fsm)
        fsm.act("DECIDE", *verdict(self))
        self._write(fsm)
        fsm.act("ANSWER", answerer.start.eq(1), If(answerer.done, NextState("HEADER")))

    def _drive_bus(self, writes):
        """Words of a WRITE, or those that an answer wants, from address to address."""
        bus, answerer = self.bus, self.answerer
        self.comb += [
            bus.adr.eq(self._address[2:]),
            bus.dat_w.eq(self._words.data),
            bus.sel.eq(0xF),
            bus.cyc.eq(writes | answerer.wanted),
            bus.stb.eq(writes | answerer.wanted),
            bus.we.eq(writes),
            answerer.came.eq(answerer.wanted & bus.ack),
            answerer.word.eq(bus.dat_r),
        ]
        self.sync += If(bus.cyc & bus.ack, self._address.eq(self._address + 4))

    def _take_header(self, fsm):
        """Takes the three words, then computes where the data end."""
        sink, answer, place = self._words, self.answer, Signal(2)
        self.comb += self.idle.eq(fsm.ongoing("HEADER") & (place == 0) & self.answerer.empty)
        fsm.act(
            "HEADER",
            sink.ready.eq(1),
            If(
                sink.valid,
                Case(
                    place,
                    {
                        0: NextValue(Cat(self.kind, self.count, answer.sequence), sink.data),
                        1: NextValue(answer.session, sink.data),
                        "default": [
                            NextValue(self._address, sink.data),
                            NextValue(answer.address, sink.data),
                        ],
                    },
                ),
                NextValue(self._finished, sink.last),
                NextValue(place, place + 1),
                If(place == HEADER_WORDS - 1, NextValue(place, 0), NextState("MEASURE")),
            ),
        )
        further = Signal(10)  # bytes from the first word to the last
        self.comb += If(self.count != 0, further.eq(Cat(0, 0, self.count - 1)))
        fsm.act(
            "MEASURE",
            self.session.renew.eq(self.session.mine),  # so it stays alive until DECIDE
            NextValue(self.reach.final, self._address + further),
            NextState("JUDGE"),
        )
        fsm.act("JUDGE", NextState("DECIDE"))

    def _write(self, fsm):
        """The data words to the bus, or past it."""
        sink, bus, window = self._words, self.bus, self.window
        fsm.act(
            "SKIP",
            sink.ready.eq(~self._finished),
            If(
                self._finished,
                If(self.answer.kind == 0, NextState("HEADER")).Else(NextState("ANSWER")),
            ).Elif(sink.valid, NextValue(self._finished, sink.last)),
        )
        fsm.act(
            "WRITE",
            sink.ready.eq(bus.ack & ~self._finished),
            If(self._finished, window.mark.eq(1), NextState("SLIDE")).Elif(
                sink.valid & bus.ack, NextValue(self._finished, sink.last)
            ),
        )
        fsm.act(
            "SLIDE",
            NextValue(self.answer.address, window.first),
            If(~window.sliding, NextState("ANSWER")),
        )
