"""Registers between a master and the bus."""

from litex.gen import LiteXModule
from litex.soc.interconnect import wishbone
from migen import FSM, If, NextState, NextValue

OUTWARDS = ("adr", "dat_w", "sel", "we")


class BusRegister(LiteXModule):
    """Each access goes out a cycle after it came, and its data come back a cycle after they were
    there: no path leads from the master through the bus to any of its slaves, nor back.

    An access that the master gives up is given up on the bus a cycle later.

    | port   | dir | meaning                        |
    |--------|-----|--------------------------------|
    | master | in  | Wishbone, what the master says |
    | bus    | out | Wishbone, the same on the bus  |
    """

    def __init__(self):
        self.master, self.bus = wishbone.Interface(), wishbone.Interface()

        # # #

        master, bus = self.master, self.bus
        self.fsm = fsm = FSM(reset_state="WAIT")
        fsm.act(
            "WAIT",
            *[NextValue(getattr(bus, name), getattr(master, name)) for name in OUTWARDS],
            If(master.cyc & master.stb, NextState("ASK")),
        )
        fsm.act(
            "ASK",
            bus.cyc.eq(1),
            bus.stb.eq(1),
            NextValue(master.dat_r, bus.dat_r),
            If(~master.cyc, NextState("WAIT")).Elif(bus.ack, NextState("ANSWER")),
        )
        fsm.act("ANSWER", master.ack.eq(master.cyc & master.stb), NextState("WAIT"))
