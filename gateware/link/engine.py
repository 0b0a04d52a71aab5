"""The frame engine: executes the requests of valid frames on the bus, once, and answers them."""

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

EVENTS = ("doubled", "ahead", "refused", "echoed")


class FrameEngine(LiteXModule):
    """Serves one frame after another from any carrier: see `dscim.gateware.link.protocol`.

    identity: hash of the device's spec, for OPENED. lease: cycles without a frame after which a
    session ends. regions: the addresses that READ and WRITE may access.

    | port   | dir | meaning                                                                |
    |--------|-----|------------------------------------------------------------------------|
    | sink   | in  | data: valid frames in words, header first, without CRC; `last`         |
    | source | out | data: their answers, in the same form                                  |
    | bus    | out | Wishbone, 32 bits, word addressing: data of READ and WRITE             |
    | locked | in  | memories must not be read; rises only by a write to the bus            |
    | active | out | a session is open                                                      |
    | idle   | out | no part of a frame or of its answer is inside                          |
    | events | out | a signal per name in EVENTS, high for a cycle each time                |
    """

    def __init__(self, identity: int, lease: int, regions: Sequence[Region]):
        # It is known late in the cycle whether the bus takes a word. A word that it does not take
        # waits here. The next frame comes only when this one is done.
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
        self.answer = answer = answerer.header  # registers; kind 0: no answer
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
        """Words of a WRITE, or those that an answer requests, at consecutive addresses."""
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
        """Takes the three words, then computes the address of the last data word."""
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
            self.session.renew.eq(self.session.mine),  # so it is still active in DECIDE
            NextValue(self.reach.final, self._address + further),
            NextState("JUDGE"),
        )
        fsm.act("JUDGE", NextState("DECIDE"))

    def _write(self, fsm):
        """Writes the data words to the bus, or drops them."""
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
