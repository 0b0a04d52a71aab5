"""Registers between a master and the bus."""

from litex.gen import LiteXModule
from litex.soc.interconnect import wishbone
from migen import FSM, If, NextState, NextValue

OUTWARDS = ("adr", "dat_w", "sel", "we")


class BusRegister(LiteXModule):
    """Delays each access to the bus by a cycle, and its answer by another, so that no path leads
    from the master through the bus to a slave, or back.

    If the master aborts an access, it is aborted on the bus a cycle later.

    | port   | dir | meaning                        |
    |--------|-----|--------------------------------|
    | master | in  | Wishbone, from the master      |
    | bus    | out | Wishbone, to the bus           |
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
