"""The link: one frame engine for all carriers, and its counters."""

from collections.abc import Sequence

from litex.gen import LiteXModule
from migen import Cat, Signal

from dscim.gateware import registers
from dscim.gateware.bank import RegisterBank
from dscim.gateware.link.carriers import Carrier, Carriers
from dscim.gateware.link.engine import FrameEngine
from dscim.gateware.link.protocol import LEASE_SECONDS
from dscim.gateware.link.reach import Region


class Link(LiteXModule):
    """The frame engine, shared by the carriers, and `registers.LINK_REGISTERS` as CSRs.

    clk_freq: of `sys`, in Hz. identity, regions: see `FrameEngine`. carriers: submodules
    of the SoC.

    | port       | dir | meaning                          |
    |------------|-----|----------------------------------|
    | engine.bus | out | the frames' master of the bus    |
    | locked     | in  | memories must not be read        |
    """

    def __init__(
        self, clk_freq: int, identity: int, regions: Sequence[Region], carriers: Sequence[Carrier]
    ):
        self.locked = Signal()
        self.engine = engine = FrameEngine(identity, int(LEASE_SECONDS * clk_freq), regions)
        self.bank = bank = RegisterBank(registers.LINK_REGISTERS)

        # # #

        self.turns = turns = Carriers(carriers)
        self.comb += [
            turns.source.connect(engine.sink),
            engine.source.connect(turns.sink),
            turns.idle.eq(engine.idle),
            engine.locked.eq(self.locked),
            *[carrier.active.eq(engine.active) for carrier in carriers],
        ]
        self.comb += bank.sessions_opened.fields.value.eq(engine.session.count)
        self._count(
            bank,
            [
                {
                    "frames_dropped": engine.events["echoed"],
                    "frames_doubled": engine.events["doubled"],
                    "frames_ahead": engine.events["ahead"],
                    "frames_refused": engine.events["refused"],
                },
                *[carrier.events for carrier in carriers],
            ],
        )

    def _count(self, bank: RegisterBank, sources: Sequence[dict[str, Signal]]):
        """Counts the events of each register; several may happen in one cycle."""
        for register in registers.LINK_REGISTERS:
            events = [source[register.name] for source in sources if register.name in source]
            if not events:
                continue
            value = getattr(bank, register.name).fields.value
            happened = Signal(len(events))  # a register, to keep the adders' path short
            self.sync += [happened.eq(Cat(*events)), value.eq(value + sum(happened))]
