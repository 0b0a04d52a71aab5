"""Targets by name: where a network runs."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dscim.errors import UserError
from dscim.gateware import registers
from dscim.gateware.layout import memory_ranges
from dscim.gateware.link.protocol import FRAMES_PORT
from dscim.gateware.specs import SocSpec
from dscim.host.device import Device
from dscim.host.golden.twin.ref import ModelLink
from dscim.host.link.base import Link

if TYPE_CHECKING:
    from dscim.host.link.carrier import Carrier

TARGETS = ("ref", "sim", "sim+eth", "uart:PORT[@BAUD]", "eth:ADDRESS[:PORT]", "bone:PORT[@BAUD]")
SIMULATORS = ("sim", "sim+eth")
DEFAULT_BAUD = 115200
TIMEOUT = 5.0
"""Seconds without an answer after which a device is given up."""

TAKEN_SECONDS = 0.1
"""Between two tries at a port that another program has."""

PROBE = (registers.address("magic"), registers.MAGIC)
"""A word that never changes, by which UARTBone is seen to be in step."""


@dataclasses.dataclass(frozen=True)
class Presence:
    """What to do when another host is at the device already.

    wait: seconds for it to leave; a host that died is gone after a second of the device's time.
    take_over: end its session at once.
    """

    wait: float = 2.0
    take_over: bool = False


def open_target(
    name: str,
    spec: SocSpec,
    *,
    trace: tuple[int, int] | None = None,
    report: Callable[[str], None] | None = None,
    presence: Presence | None = None,
    scope: bool = False,
) -> Device:
    """The device called `name`, built from `spec`; close it, or use it as a context manager.

    name:     "ref" (numpy), "sim" (a simulator of its own, started and ended with the device),
              "sim+eth" (the same, over its Ethernet), or
              "uart:PORT[@BAUD]", where PORT is a tty or, for a simulator that `dscim sim` serves,
              socket://127.0.0.1:NUMBER; "eth:ADDRESS[:PORT]", a device's UDP port for frames.
              "bone:PORT[@BAUD]" is a UART's LiteX UARTBone, for devices without frames: nothing
              is checked on the way.
    trace:    for simulators, the first and last cycle of which a waveform is kept.
    report:   is given lines that tell what takes time (building a simulator).
    presence: for "uart:" and "eth:", what to do when another host is there.
    scope:    for simulators, with LiteScope in the SoC.
    """
    say = report or (lambda line: None)
    if name in SIMULATORS:
        return Device(_simulator(name, spec, trace, say, scope), spec)
    return Device(_link(name, spec, presence or Presence()), spec)


@dataclasses.dataclass(frozen=True)
class Line:
    """What a target's line carries each way, at most, all that frames cost included.

    bytes_per_second: of a serial port, of Ethernet. bytes_per_cycle: of the simulator, by the
    SoC's clock. None where there is no such limit. name: what the line is.
    """

    bytes_per_second: float | None = None
    bytes_per_cycle: float | None = None
    name: str = ""


GIGABIT = 125e6
"""Bytes a second of gigabit Ethernet."""


def line_of(name: str) -> Line:
    """The line of the target `name`."""
    scheme, _, place = name.partition(":")
    if name == "sim" or place.startswith("socket://"):
        return Line(bytes_per_cycle=1.0, name="a byte a cycle")
    if scheme in ("uart", "bone"):
        rate = _port(scheme, place)[1]
        return Line(bytes_per_second=rate / 10, name=f"{rate} baud")
    if name == "sim+eth":
        return Line(bytes_per_cycle=4.0, name="32 bits a cycle (simulated PHY)")
    if scheme == "eth":
        return Line(bytes_per_second=GIGABIT, name="gigabit")
    return Line()


def _link(name: str, spec: SocSpec, presence: Presence) -> Link:
    scheme, _, place = name.partition(":")
    if name == "ref":
        return ModelLink(spec)
    if scheme == "uart":
        return _uart(*_port(scheme, place), spec, presence)
    if scheme == "eth":
        return _ethernet(*_address(place), spec, presence)
    if scheme == "bone":
        return _uartbone(*_port(scheme, place), spec)
    raise UserError(f"Target {name!r} is unknown; choose one of {', '.join(TARGETS)}.")


def _port(scheme: str, place: str) -> tuple[str, int]:
    """The port and the baud rate in a target's name."""
    port, at, rate = place.rpartition("@")
    if not at:
        port, rate = place, str(DEFAULT_BAUD)
    if not port or not rate.isdecimal() or not int(rate):
        raise UserError(
            f"Target '{scheme}:{place}' names no port and baud rate; write "
            f"{scheme}:/dev/ttyUSB0@1000000, or without @ for {DEFAULT_BAUD} baud."
        )
    return port, int(rate)


def _address(place: str) -> tuple[str, int]:
    """The address and the UDP port in a target's name."""
    address, colon, port = place.partition(":")
    if not colon:
        port = str(FRAMES_PORT)
    if not address or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UserError(
            f"Target 'eth:{place}' names no address and port; write "
            f"eth:192.168.1.50, or eth:192.168.1.50:PORT for another than "
            f"{FRAMES_PORT}."
        )
    return address, int(port)


def _uart(port: str, rate: int, spec: SocSpec, presence: Presence) -> Link:
    from dscim.host.link.carrier import StreamCarrier  # noqa: PLC0415 - who has a port needs it
    from dscim.host.link.transport import Taken, open_transport  # noqa: PLC0415

    until = time.monotonic() + presence.wait
    while True:
        try:
            return _frames(StreamCarrier(open_transport(port, rate, TIMEOUT)), spec, presence)
        except Taken:
            if time.monotonic() >= until:
                raise
            time.sleep(TAKEN_SECONDS)


def _ethernet(address: str, port: int, spec: SocSpec, presence: Presence) -> Link:
    from dscim.host.link.datagrams import DatagramCarrier  # noqa: PLC0415 - who has one needs it

    return _frames(DatagramCarrier(address, port), spec, presence)


def _frames(carrier: "Carrier", spec: SocSpec, presence: Presence) -> Link:
    from dscim.host.link.session import FrameLink  # noqa: PLC0415

    return FrameLink(
        carrier,
        timeout=TIMEOUT,
        wait=presence.wait,
        take_over=presence.take_over,
        memories=memory_ranges(spec),
    )


def _uartbone(port: str, rate: int, spec: SocSpec) -> Link:
    from dscim.host.link.uart import UartLink  # noqa: PLC0415 - only who has a port needs it

    return UartLink(port, baudrate=rate, probe=PROBE, memories=memory_ranges(spec))


def _simulator(
    name: str,
    spec: SocSpec,
    trace: tuple[int, int] | None,
    report: Callable[[str], None],
    scope: bool,
) -> Link:
    from dscim.host.link import sim  # noqa: PLC0415 - who simulates needs it
    from dscim.sim.server import Window  # noqa: PLC0415
    from dscim.sim.soc import soc_design  # noqa: PLC0415

    window = Window(*trace, Path("dscim.fst")) if trace else None
    ethernet = name == "sim+eth"
    over = sim.over_datagrams if ethernet else sim.over_frames
    return sim.SimLink(
        soc_design(spec, ethernet, scope),
        over(memories=memory_ranges(spec)),
        window=window,
        say=report,
    )
