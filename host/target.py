"""Targets by name: where a network runs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from dscim.gateware import registers
from dscim.gateware.specs import SocSpec
from dscim.host.device import Device
from dscim.host.errors import UserError
from dscim.host.layout import memory_ranges
from dscim.host.link.base import Link
from dscim.host.link.model import ModelLink

TARGETS = ("ref", "sim", "uart:PORT[@BAUD]", "bone:PORT[@BAUD]")
DEFAULT_BAUD = 115200
TIMEOUT = 5.0
"""Seconds without an answer after which a device is given up."""

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


def open_target(name: str, spec: SocSpec, *, trace: tuple[int, int] | None = None,
                report: Callable[[str], None] | None = None, presence: Presence | None = None
                ) -> Device:
    """The device called `name`, built from `spec`; close it, or use it as a context manager.

    name:     "ref" (numpy), "sim" (a simulator of its own, started and ended with the device), or
              "uart:PORT[@BAUD]", where PORT is a tty or, for a simulator that `dscim sim` serves,
              socket://127.0.0.1:NUMBER. "bone:PORT[@BAUD]" is the same over LiteX's UARTBone, for
              devices without frames: nothing is checked on the way.
    trace:    for "sim", the first and last cycle of which a waveform is kept.
    report:   is given lines that tell what takes time (building a simulator).
    presence: for "uart:", what to do when another host is there.
    """
    return Device(_link(name, spec, trace, report or (lambda line: None),
                        presence or Presence()), spec)


@dataclasses.dataclass(frozen=True)
class Line:
    """What a target's line carries each way, at most, all that frames cost included.

    bytes_per_second: of a serial port. bytes_per_cycle: of the simulator, by the SoC's clock.
    None where there is no such limit.
    """

    bytes_per_second: float | None = None
    bytes_per_cycle: float | None = None


def line_of(name: str) -> Line:
    """The line of the target `name`."""
    scheme, _, place = name.partition(":")
    if name == "sim" or place.startswith("socket://"):
        return Line(bytes_per_cycle=1.0)
    if scheme in ("uart", "bone"):
        return Line(bytes_per_second=_port(scheme, place)[1] / 10)
    return Line()


def _link(name: str, spec: SocSpec, trace: tuple[int, int] | None,
          report: Callable[[str], None], presence: Presence) -> Link:
    scheme, _, place = name.partition(":")
    if name == "ref":
        return ModelLink(spec)
    if name == "sim":
        return _simulator(spec, trace, report)
    if scheme == "uart":
        return _frames(*_port(scheme, place), spec, presence)
    if scheme == "bone":
        return _uartbone(*_port(scheme, place), spec)
    raise UserError(f"Target {name!r} is unknown; choose one of {', '.join(TARGETS)}.")


def _port(scheme: str, place: str) -> tuple[str, int]:
    """The port and the baud rate in a target's name."""
    port, at, rate = place.rpartition("@")
    if not at:
        port, rate = place, str(DEFAULT_BAUD)
    if not port or not rate.isdecimal() or not int(rate):
        raise UserError(f"Target '{scheme}:{place}' names no port and baud rate; write "
                        f"{scheme}:/dev/ttyUSB0@1000000, or without @ for {DEFAULT_BAUD} baud.")
    return port, int(rate)


def _frames(port: str, rate: int, spec: SocSpec, presence: Presence) -> Link:
    from dscim.host.link.carrier import StreamCarrier  # noqa: PLC0415 - who has a port needs it
    from dscim.host.link.session import FrameLink  # noqa: PLC0415
    from dscim.host.link.transport import open_transport  # noqa: PLC0415

    return FrameLink(StreamCarrier(open_transport(port, rate, TIMEOUT)), timeout=TIMEOUT,
                     wait=presence.wait, take_over=presence.take_over,
                     memories=memory_ranges(spec))


def _uartbone(port: str, rate: int, spec: SocSpec) -> Link:
    from dscim.host.link.uart import UartLink  # noqa: PLC0415 - only who has a port needs it

    return UartLink(port, baudrate=rate, probe=PROBE, memories=memory_ranges(spec))


def _simulator(spec: SocSpec, trace: tuple[int, int] | None, report: Callable[[str], None]
               ) -> Link:
    from dscim.host.link.sim import SimLink, over_frames  # noqa: PLC0415 - who simulates needs it
    from dscim.sim.server import Window  # noqa: PLC0415
    from dscim.sim.soc import soc_design  # noqa: PLC0415

    window = Window(*trace, Path("dscim.fst")) if trace else None
    return SimLink(soc_design(spec), over_frames(memories=memory_ranges(spec)), window=window,
                   say=report)
