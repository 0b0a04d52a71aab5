"""The engine's clock in the simulator: none while it rests, which saves most of the time."""

from typing import Any

from litex.gen import LiteXModule
from migen import ClockDomain, If, ResetSignal, Signal

from dscim.gateware.engine.engine import DRAIN, Engine


class EngineClock(LiteXModule):  # type: ignore[misc]
    """Clock domain `DOMAIN`: the edges of `sys` in which the engine is awake.

    pads: of `SimPlatform`, record `engine`; the harness ticks `clk` with the system clock where
    `awake` is high before the edge. engine: what the domain drives.
    """

    DOMAIN = "engine"

    def __init__(self, pads: Any, engine: Engine) -> None:
        self.cd_engine = ClockDomain(self.DOMAIN)

        # # #

        left = Signal(max=DRAIN + 1, reset=DRAIN)  # awake through the reset, too
        busy = Signal()
        self.comb += [
            self.cd_engine.clk.eq(pads.clk),
            self.cd_engine.rst.eq(ResetSignal("sys")),
            busy.eq(engine.start | engine.busy),
            pads.awake.eq(busy | (left != 0)),
        ]
        self.sync += If(busy, left.eq(DRAIN)).Elif(left != 0, left.eq(left - 1))
