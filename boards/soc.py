"""A board's SoC, and the source files of its bitstream."""

import dataclasses
import ipaddress
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dscim.boards.board import Board, Ethernet
from dscim.boards.memories import block_rams
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.base import require
from dscim.gateware.specs.soc import BUS_BYTES, WORD_BYTES
from dscim.gateware.verilog import steady

TOP = "dscim"
"""The name of the top module and of its files."""

SYS = "sys_clk"
"""The device's clock in the Verilog."""

BAUDS = range(1200, 12_000_001)

SLOWEST_ETHERNET = 32e6
"""Lowest frequency of `sys`, in Hz: 32 bits per cycle are a gigabit per second."""

MAC = "10:e2:d5:00:00:00"
IP = "192.168.1.50"
"""Default addresses of a device."""


@dataclasses.dataclass(frozen=True)
class Address:
    """The addresses of a device on Ethernet: four numbers with dots, six bytes with colons.

    Raises SpecError for anything else.
    """

    ip: str = IP
    mac: str = MAC

    def __post_init__(self) -> None:
        require(
            _is_host(self.ip),
            f"{self.ip!r} is not the IP address of a device; give four numbers, such as {IP}.",
        )
        require(
            re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", self.mac) is not None
            and self.mac_address != 0
            and not int(self.mac[:2], 16) & 1,
            f"{self.mac!r} is not the MAC address of a device; give six bytes, such as {MAC}, the "
            "first one even.",
        )

    @property
    def mac_address(self) -> int:
        """The MAC address as a number of 48 bits."""
        return int(self.mac.replace(":", ""), 16)


def _is_host(ip: str) -> bool:
    try:
        address = ipaddress.IPv4Address(ip)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_reserved or ip.startswith("0."))


@dataclasses.dataclass(frozen=True)
class Setup:
    """A device to build for a board.

    device: name of the FPGA, as for --device. clock: requested frequency of `sys`, in Hz. baud: the
    UART's rate. address: on Ethernet; None for a device with only a UART. scope: with LiteScope.
    Raises SpecError for what the board does not support.
    """

    board: Board
    device: str
    spec: SocSpec
    clock: float
    baud: int
    address: Address | None = None
    scope: bool = False

    def __post_init__(self) -> None:
        require(
            self.address is None or self.board.ethernet is not None,
            f"Board {self.board.name} has no Ethernet that the device can use; leave out its "
            "address.",
        )
        require(
            self.address is None or self.clock >= SLOWEST_ETHERNET,
            f"A clock of {self.clock / 1e6:g} MHz is too slow for gigabit Ethernet, which needs "
            f"{SLOWEST_ETHERNET / 1e6:g} MHz; leave Ethernet out with --no-ethernet.",
        )
        require(
            self.baud in BAUDS and self.baud <= self.clock / 8,
            f"{self.baud} baud is outside {BAUDS[0]}..{BAUDS[-1]}, or more than an eighth "
            f"of the clock of {self.clock / 1e6:g} MHz.",
        )
        require(
            1e6 <= self.clock <= 400e6,
            f"A clock of {self.clock / 1e6:g} MHz is outside 1..400 MHz.",
        )
        part, columns = self.board.parts[self.device], self.spec.macro.columns
        needed = {
            shifted: block_rams(_narrower(self.spec, shifted))
            for shift in range(7)
            if (shifted := columns >> shift) >= BUS_BYTES
        }
        fits = [columns for columns, blocks in needed.items() if blocks <= part.block_ram]
        require(
            columns in fits,
            f"A device of {columns} columns needs {needed[columns]} block RAMs and "
            f"{part.name} has {part.block_ram}; "
            + (
                f"choose {fits[0]} columns or fewer."
                if fits
                else "its memories alone need more than that."
            ),
        )


def _narrower(spec: SocSpec, columns: int) -> SocSpec:
    return dataclasses.replace(
        spec,
        macro=dataclasses.replace(spec.macro, columns=columns),
        requant_lanes=min(spec.requant_lanes, columns),
        depthwise=spec.depthwise if columns >= WORD_BYTES else 0,
    )


@dataclasses.dataclass(frozen=True)
class Sources:
    """The result of an elaboration.

    clocks: the frequency in Hz that each clock must reach, by its signal name in the Verilog.
    """

    clocks: dict[str, float]


def board_soc(setup: Setup) -> Any:
    """The SoC on its platform, ready to be elaborated: `soc.crg.frequency` is its clock in Hz."""
    from litex.soc.cores.uart import RS232PHY  # noqa: PLC0415  Migen is slow to import

    from dscim.boards.clocks import Clocks  # noqa: PLC0415
    from dscim.gateware.soc import DscimSoC  # noqa: PLC0415

    platform = setup.board.make_platform(setup.device)
    clocks = Clocks(platform, setup.board, setup.clock)
    phy = RS232PHY(platform.request("serial"), clocks.frequency, setup.baud)
    soc = DscimSoC(
        platform,
        setup.spec,
        int(clocks.frequency),
        clocks,
        phy,
        _ethernet(platform, setup),
        scope=setup.scope,
    )
    for pin in setup.board.high:
        soc.comb += platform.request(pin).eq(1)
    return soc


def _ethernet(platform: Any, setup: Setup) -> Any:
    """The PHY on the board's pads with the device's address; None for a device without Ethernet."""
    from liteeth.phy.ecp5rgmii import LiteEthPHYRGMII  # noqa: PLC0415

    from dscim.gateware.link.ethernet import EthernetPort  # noqa: PLC0415

    if setup.address is None:
        return None
    ethernet = setup.board.ethernet
    assert ethernet is not None
    clock_pads = platform.request("eth_clocks", 0)
    platform.add_period_constraint(clock_pads.rx, 1e9 / Ethernet.RATE)  # not every platform does
    phy = LiteEthPHYRGMII(
        clock_pads,
        platform.request("eth", 0),
        tx_delay=ethernet.tx_delay,
        rx_delay=ethernet.rx_delay,
        with_inband_status=False,
    )
    return EthernetPort(phy, setup.address.mac_address, setup.address.ip)


def lowered(setup: Setup, most: float) -> Setup:
    """The same with a clock of at most `most` Hz that the board's PLL can make.

    Elaborating it again adjusts the UART's divisor.
    """
    from dscim.boards.clocks import slower  # noqa: PLC0415  Migen is slow to import

    with _quiet():
        platform = setup.board.make_platform(setup.device)
        return dataclasses.replace(setup, clock=slower(platform, setup.board, most))


def elaborate(setup: Setup, folder: Path, make: Callable[[Setup], Any] = board_soc) -> Sources:
    """Writes TOP.v, memory contents, constraints and the vendor's script to `folder`.

    make: returns the design, with its `platform` and, as `crg`, its `Clocks`.
    """
    with _quiet():
        soc = make(setup)
        soc.finalize()
        names = soc.platform.build(soc, build_dir=str(folder), build_name=TOP, run=False)
        verilog = folder / f"{TOP}.v"
        verilog.write_text(steady(verilog.read_text()))
        clocks = {
            SYS: soc.crg.frequency,
            names.get_name(soc.crg.cd_por.clk): float(setup.board.oscillator),
        }
        assert names.get_name(soc.crg.cd_sys.clk) == SYS
        if setup.address is not None and hasattr(soc, "ethernet_phy"):
            # by its pad: Yosys keeps the name of the port if a net has several names
            pads = soc.platform.lookup_request("eth_clocks", 0)
            clocks[names.get_name(pads.rx)] = float(Ethernet.RATE)
    return Sources(clocks)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses LiteX's log at level INFO, and restores the folder that LiteX leaves."""
    before, here = logging.root.manager.disable, Path.cwd()
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
        os.chdir(here)
