"""Answers a master where the bus does not."""

from litex.gen import LiteXModule
from litex.gen.genlib.misc import WaitTimer
from litex.soc.interconnect import wishbone
from migen import If, Replicate, Signal

PATIENCE = 1000
"""Cycles without an answer after which a request is given up: more than the longest frame needs."""


class GiveUp(LiteXModule):
    """Passes accesses to the bus. If one is not answered for PATIENCE cycles, as at a hole of the
    map, the rest of its request is not sent to the bus: its words read as all ones, as they would
    on LiteX's bus after a million cycles.

    | port   | dir | meaning                                                               |
    |--------|-----|-----------------------------------------------------------------------|
    | master | in  | Wishbone, from the master                                             |
    | bus    | out | Wishbone, to the bus                                                  |
    | ends   | in  | the request ends in this cycle, or there is none                      |
    """

    def __init__(self):
        self.master, self.bus = wishbone.Interface(), wishbone.Interface()
        self.ends = Signal()

        # # #

        master, bus = self.master, self.bus
        access, given_up = Signal(), Signal()
        self.timer = timer = WaitTimer(PATIENCE)
        self.comb += [
            access.eq(master.cyc & master.stb),
            master.connect(bus, omit={"cyc", "stb", "ack", "dat_r"}),
            bus.cyc.eq(access & ~given_up),
            bus.stb.eq(bus.cyc),
            master.ack.eq(bus.ack | (access & given_up)),
            master.dat_r.eq(bus.dat_r | Replicate(given_up, len(bus.dat_r))),
            timer.wait.eq(bus.cyc & ~bus.ack),
        ]
        self.sync += If(self.ends, given_up.eq(0)).Elif(timer.done & ~bus.ack, given_up.eq(1))
