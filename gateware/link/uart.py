"""Frames and LiteX's UARTBone on one UART: sorts received bytes and arbitrates sending."""

from litex.gen import LiteXModule
from litex.gen.genlib.misc import WaitTimer
from litex.soc.cores.uart import UARTBone, UARTInterface
from litex.soc.interconnect import stream
from migen import FSM, If, NextState, ResetInserter, Signal

from dscim.gateware.link.bus_register import BusRegister
from dscim.gateware.link.carriers import Carrier
from dscim.gateware.link.cobs import CobsDecoder, CobsEncoder
from dscim.gateware.link.crc32 import BYTES
from dscim.gateware.link.frames import FrameReceiver, FrameSender
from dscim.gateware.link.give_up import GiveUp
from dscim.gateware.link.protocol import QUIET_SECONDS


class Sorter(LiteXModule):
    """Sends each received byte to UARTBone ("the bone") or to the frames.

    Outside frames, a zero starts a frame, except within a command of the bone. Other bytes go to
    the bone, or are dropped while a session is open. Inside, a zero ends the frame. After a valid
    frame the sorter is outside; after any other it stays inside, because that zero may have started
    a frame. Silence ends a frame too, and the sorter is outside then.

    quiet: cycles of silence that end a frame.

    | port   | dir | meaning                                                              |
    |--------|-----|----------------------------------------------------------------------|
    | sink   | in  | data from the UART                                                   |
    | bone   | out | data for the bone                                                    |
    | frames | out | data: frames' bytes and the zeros that end them                      |
    | active | in  | a session is open                                                    |
    | idle   | in  | the bone waits for a command                                         |
    | taken  | in  | the zero being sent to `frames` ends a valid frame                   |
    | stray  | out | a byte is dropped                                                    |
    """

    def __init__(self, quiet: int):
        self.sink, self.bone, self.frames = (stream.Endpoint(BYTES) for _ in range(3))
        self.active, self.idle, self.taken = Signal(), Signal(), Signal()
        self.stray = Signal()

        # # #

        sink, zero = self.sink, self.sink.data == 0
        self.timer = timer = WaitTimer(quiet)
        self.fsm = fsm = FSM(reset_state="OUTSIDE")
        fsm.act(
            "OUTSIDE",
            If(
                zero & (self.active | self.idle),
                sink.ready.eq(1),
                If(sink.valid, NextState("INSIDE")),
            )
            .Elif(self.active, sink.ready.eq(1), self.stray.eq(sink.valid))
            .Else(sink.connect(self.bone)),
        )
        fsm.act(
            "INSIDE",
            sink.connect(self.frames),
            timer.wait.eq(~sink.valid),
            If(timer.done, NextState("SILENCE")).Elif(
                sink.valid & sink.ready & zero & self.taken, NextState("OUTSIDE")
            ),
        )
        fsm.act("SILENCE", self.frames.valid.eq(1), If(self.frames.ready, NextState("OUTSIDE")))


class Turns(LiteXModule):
    """Sends whole frames and whole answers of the bone through one transmitter.

    | port   | dir | meaning                                                    |
    |--------|-----|------------------------------------------------------------|
    | frames | in  | data of frames without zeros; `last`                       |
    | bone   | in  | data of the bone                                           |
    | idle   | in  | the bone waits for a command: its answer is complete       |
    | source | out | data: the bone's unchanged, frames between two zeros       |
    """

    def __init__(self):
        self.frames, self.bone, self.source = (stream.Endpoint(BYTES) for _ in range(3))
        self.idle = Signal()

        # # #

        frames, source = self.frames, self.source
        self.fsm = fsm = FSM(reset_state="NOBODY")
        fsm.act(
            "NOBODY",
            If(self.bone.valid, NextState("BONE")).Elif(
                frames.valid, source.valid.eq(1), If(source.ready, NextState("FRAME"))
            ),
        )
        fsm.act("BONE", self.bone.connect(source), If(self.idle, NextState("NOBODY")))
        fsm.act(
            "FRAME",
            frames.connect(source),
            If(frames.valid & frames.last & source.ready, NextState("END")),
        )
        fsm.act("END", source.valid.eq(1), If(source.ready, NextState("NOBODY")))


class UartCarrier(Carrier):
    """Frames and UARTBone behind one UART.

    phy: a UART's PHY, 8 bits per beat. clk_freq: of `sys`, in Hz. Ports, in addition to those of
    `Carrier`:

    | port     | dir | meaning                                                          |
    |----------|-----|------------------------------------------------------------------|
    | wishbone | out | UARTBone's master of the bus, silent while a session is open     |
    """

    def __init__(self, phy, clk_freq: int):
        Carrier.__init__(self)
        bytes_of_bone = UARTInterface()  # the bone's PHY
        self.bone = bone = ResetInserter()(UARTBone(bytes_of_bone, clk_freq))
        self.give_up = give_up = GiveUp()
        self.register = register = BusRegister()
        self.wishbone = register.bus

        # # #

        self.sorter = sorter = Sorter(int(QUIET_SECONDS * clk_freq))
        self.turns = turns = Turns()
        self.came = came = stream.Buffer(BYTES)
        self.decoder = decoder = CobsDecoder()
        self.receiver = receiver = FrameReceiver()
        self.sender = sender = FrameSender()
        self.encoder = encoder = CobsEncoder()
        idle = bone.fsm.ongoing("RECEIVE-CMD")
        self.pipeline_in = stream.Pipeline(sorter.frames, decoder, receiver, self.requests)
        self.pipeline_out = stream.Pipeline(self.answers, sender, encoder, turns.frames)
        self.comb += [
            phy.source.connect(came.sink),
            came.source.connect(sorter.sink),
            sorter.bone.connect(bytes_of_bone.source),
            bytes_of_bone.sink.connect(turns.bone),
            turns.source.connect(phy.sink),
            bone.reset.eq(self.active),
            bone.wishbone.connect(give_up.master),
            give_up.bus.connect(register.master),
            give_up.ends.eq(idle),
            sorter.active.eq(self.active),
            sorter.idle.eq(idle),
            sorter.taken.eq(receiver.taken),
            turns.idle.eq(idle),
        ]
        self.events |= {
            "frames_taken": receiver.taken,
            "frames_dropped": receiver.dropped,
            "stray_bytes": sorter.stray,
        }
