"""Targets by name: where a network runs."""

from collections.abc import Callable
from pathlib import Path

from dscim.gateware import registers
from dscim.gateware.specs import SocSpec
from dscim.host.device import Device
from dscim.host.errors import UserError
from dscim.host.layout import memory_ranges
from dscim.host.link.base import Link
from dscim.host.link.model import ModelLink

TARGETS = ("ref", "sim", "uart:PORT[@BAUD]")
DEFAULT_BAUD = 115200

PROBE = (registers.address("magic"), registers.MAGIC)
"""A word that never changes, by which a link sees that it is in step."""


def open_target(name: str, spec: SocSpec, *, trace: tuple[int, int] | None = None,
                report: Callable[[str], None] | None = None) -> Device:
    """The device called `name`, built from `spec`; close it, or use it as a context manager.

    name:   "ref" (numpy), "sim" (a simulator of its own, started and ended with the device), or
            "uart:PORT[@BAUD]", where PORT is a tty or, for a simulator that `dscim sim` serves,
            socket://127.0.0.1:NUMBER.
    trace:  for "sim", the first and last cycle of which a waveform is kept.
    report: is given lines that tell what takes time (building a simulator).
    """
    return Device(_link(name, spec, trace, report or (lambda line: None)), spec)


def _link(name: str, spec: SocSpec, trace: tuple[int, int] | None,
          report: Callable[[str], None]) -> Link:
    if name == "ref":
        return ModelLink(spec)
    if name == "sim":
        return _simulator(spec, trace, report)
    if name.startswith("uart:"):
        return _uart(name.removeprefix("uart:"), spec)
    raise UserError(f"Target {name!r} is unknown; choose one of {', '.join(TARGETS)}.")


def _uart(place: str, spec: SocSpec) -> Link:
    from dscim.host.link.uart import UartLink  # noqa: PLC0415 - only who has a port needs it

    port, at, rate = place.rpartition("@")
    if not at:
        port, rate = place, str(DEFAULT_BAUD)
    if not port or not rate.isdecimal():
        raise UserError(f"Target 'uart:{place}' names no port and baud rate; write "
                        "uart:/dev/ttyUSB0@1000000, or without @ for 115200 baud.")
    return UartLink(port, baudrate=int(rate), probe=PROBE, memories=memory_ranges(spec))


def _simulator(spec: SocSpec, trace: tuple[int, int] | None, report: Callable[[str], None]
               ) -> Link:
    from dscim.host.link.sim import SimLink  # noqa: PLC0415 - only who simulates needs it
    from dscim.sim.server import Window  # noqa: PLC0415
    from dscim.sim.soc import soc_design  # noqa: PLC0415

    window = Window(*trace, Path("dscim.fst")) if trace else None
    return SimLink(soc_design(spec), probe=PROBE, memories=memory_ranges(spec), window=window,
                   say=report)
