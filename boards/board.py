"""A board as one frozen declaration, from which platform, clocks and SoC are made."""

import dataclasses
import importlib
from typing import Any

from dscim.boards.parts import Part
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.base import require


@dataclasses.dataclass(frozen=True)
class Reset:
    """A button or pin that resets the device: the platform's name for it, and its level."""

    pin: str
    level: int


@dataclasses.dataclass(frozen=True)
class Serial:
    """The UART's pins if the platform has none: pins or CONNECTOR:PIN, and the standard."""

    tx: str
    rx: str
    standard: str = "LVCMOS33"


@dataclasses.dataclass(frozen=True)
class Ethernet:
    """Gigabit Ethernet through RGMII on an ECP5: the platform's `eth_clocks` and `eth`.

    tx_delay, rx_delay: seconds by which the FPGA delays the outgoing clock and the incoming data,
    to centre clock edges in the data; 0 if the PHY or the board does it.
    """

    tx_delay: float = 2e-9
    rx_delay: float = 2e-9

    RATE = 125_000_000
    """Frequency of the clocks in both directions, in Hz."""


@dataclasses.dataclass(frozen=True)
class Board:
    """A board that the SoC can be built for.

    name:      its name on the command line, and its module's in `dscim.boards`.
    title:     maker and product.
    platform:  module of litex_boards.platforms.
    arguments: the platform's keyword arguments by the names of `--device`; the first name is the
               default. parts: the FPGAs by the same names. spec: the default SocSpecs, too.
    oscillator, oscillator_pin: the board's clock in Hz, and the platform's name for it.
    clock:     default frequency of the clock domain `sys`, in Hz.
    baud:      default baud rate of the UART.
    ethernet:  the board's Ethernet, if the device can use it.
    memory:    the board's memory, for information; the device keeps everything in block RAM.
    loader:    openFPGALoader's name for the board; "" if it has none, then a cable must be named.
    reset, serial: see these classes. Without `reset`, only loading resets the device.
    high:      pins that are driven high.
    built:     False: sources and script are generated, but the bitstream is never built here.
    notes:     what a user must know, in sentences.
    """

    name: str
    title: str
    platform: str
    arguments: dict[str, dict[str, str]]
    parts: dict[str, Part]
    spec: dict[str, SocSpec]
    oscillator: int
    oscillator_pin: str
    clock: int
    memory: str
    loader: str
    baud: int = 1_000_000
    ethernet: Ethernet | None = None
    reset: Reset | None = None
    serial: Serial | None = None
    high: tuple[str, ...] = ()
    built: bool = True
    notes: str = ""

    @property
    def devices(self) -> tuple[str, ...]:
        """The names for --device; the first is the default."""
        return tuple(self.parts)

    def device(self, name: str | None) -> str:
        """`name`, or the default for None; SpecError if the board does not come with it."""
        require(
            name is None or name in self.parts,
            f"Board {self.name} does not come with the device {name!r}; choose "
            f"{' or '.join(self.devices)}.",
        )
        return name or self.devices[0]

    def make_platform(self, device: str) -> Any:
        """LiteX's platform of the board; imports LiteX and litex-boards."""
        module = importlib.import_module(f"litex_boards.platforms.{self.platform}")
        platform = module.Platform(**self.arguments[device])
        if self.serial is not None:
            platform.add_extension(_serial(self.serial))
        return platform


def _serial(pins: Serial) -> list[Any]:
    from litex.build.generic_platform import (  # noqa: PLC0415  LiteX is slow to import
        IOStandard,
        Pins,
        Subsignal,
    )

    return [
        (
            "serial",
            0,
            Subsignal("tx", Pins(pins.tx)),
            Subsignal("rx", Pins(pins.rx)),
            IOStandard(pins.standard),
        )
    ]
