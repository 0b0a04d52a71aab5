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

TARGETS = ("ref", "sim")


def open_target(name: str, spec: SocSpec, *, trace: tuple[int, int] | None = None,
                report: Callable[[str], None] | None = None) -> Device:
    """The device called `name`, built from `spec`; close it, or use it as a context manager.

    name:   "ref" (numpy) or "sim" (a simulator of its own, started and ended with the device).
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
    raise UserError(f"Target {name!r} is unknown; choose one of {', '.join(TARGETS)}.")


def _simulator(spec: SocSpec, trace: tuple[int, int] | None, report: Callable[[str], None]
               ) -> Link:
    from dscim.host.link.sim import SimLink  # noqa: PLC0415 - only who simulates needs it
    from dscim.sim.server import Window  # noqa: PLC0415
    from dscim.sim.soc import soc_design  # noqa: PLC0415

    window = Window(*trace, Path("dscim.fst")) if trace else None
    return SimLink(soc_design(spec), probe=(registers.address("magic"), registers.MAGIC),
                   memories=memory_ranges(spec), window=window, say=report)
