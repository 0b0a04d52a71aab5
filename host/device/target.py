"""Opens targets by name: `ref`, simulators and boards."""

import dataclasses
import time
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
from dscim.progress import Say, silent

if TYPE_CHECKING:
    from dscim.host.link.carrier import Carrier

TARGETS = ("ref", "sim", "sim+eth", "uart:PORT[@BAUD]", "eth:ADDRESS[:PORT]", "bone:PORT[@BAUD]")
SIMULATORS = ("sim", "sim+eth")
DEFAULT_BAUD = 115200
TIMEOUT = 5.0
"""Seconds without an answer after which a call to a device fails."""

TAKEN_SECONDS = 0.1
"""Seconds between two attempts to open a port that another program uses."""

PROBE = (registers.address("magic"), registers.MAGIC)
"""Address and value of a word that never changes; reading it shows that UARTBone is in step."""


@dataclasses.dataclass(frozen=True)
class ConnectOptions:
    """What to do when another host already uses the device.

    wait: seconds to wait until it is done; the session of a host that died ends after one second
    of the device's time. take_over: whether to end its session at once.
    """

    wait: float = 2.0
    take_over: bool = False


def open_target(
    name: str,
    spec: SocSpec,
    *,
    trace: tuple[int, int] | None = None,
    report: Say | None = None,
    connect: ConnectOptions | None = None,
    scope: bool = False,
) -> Device:
    """Opens the device `name`, built from `spec`; close it, or use it as a context manager.

    name:    "ref" (numpy), "sim" (a simulator, started and stopped with the device), "sim+eth"
             (the same over its Ethernet); "uart:PORT[@BAUD]", where PORT is a tty or, for a
             simulator started by `dscim sim`, socket://127.0.0.1:NUMBER; "eth:ADDRESS[:PORT]",
             a device's UDP port for frames; "bone:PORT[@BAUD]", LiteX's UARTBone on a UART, for
             devices without frames; its transfers are unchecked.
    trace:   for simulators, the first and last cycle of the waveform to record.
    report:  receives lines about slow steps (building a simulator).
    connect: for "uart:" and "eth:", what to do when another host uses the device.
    scope:   for simulators, whether the SoC includes LiteScope.

    Raises UserError for a bad name or another spec, LinkError if the device does not answer.
    """
    say = report or silent
    if name in SIMULATORS:
        return Device(_simulator(name, spec, trace, say, scope), spec)
    return Device(_link(name, spec, connect or ConnectOptions()), spec)


@dataclasses.dataclass(frozen=True)
class Line:
    """The maximum rate of a target's line in each direction, framing included.

    bytes_per_second: the rate of a serial port or Ethernet. bytes_per_cycle: the rate of a
    simulator, per cycle of the SoC's clock. None if there is no such limit. name: the line in a
    few words.
    """

    bytes_per_second: float | None = None
    bytes_per_cycle: float | None = None
    name: str = ""


GIGABIT = 125e6
"""Bytes per second of gigabit Ethernet."""


def line_of(name: str) -> Line:
    """The line of the target `name`."""
    scheme, _, place = name.partition(":")
    if name == "sim" or place.startswith("socket://"):
        return Line(bytes_per_cycle=1.0, name="1 byte per cycle")
    if scheme in ("uart", "bone"):
        rate = _port(scheme, place)[1]
        return Line(bytes_per_second=rate / 10, name=f"{rate} baud")
    if name == "sim+eth":
        return Line(bytes_per_cycle=4.0, name="32 bits per cycle (simulated PHY)")
    if scheme == "eth":
        return Line(bytes_per_second=GIGABIT, name="gigabit")
    return Line()


def _link(name: str, spec: SocSpec, connect: ConnectOptions) -> Link:
    scheme, _, place = name.partition(":")
    if name == "ref":
        return ModelLink(spec)
    if scheme == "uart":
        return _uart(*_port(scheme, place), spec, connect)
    if scheme == "eth":
        return _ethernet(*_address(place), spec, connect)
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
            f"Target '{scheme}:{place}' has no valid port and baud rate; write "
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
            f"Target 'eth:{place}' has no valid address and port; write "
            f"eth:192.168.1.50, or eth:192.168.1.50:PORT if the port is not "
            f"{FRAMES_PORT}."
        )
    return address, int(port)


def _uart(port: str, rate: int, spec: SocSpec, connect: ConnectOptions) -> Link:
    from dscim.host.link.carrier import StreamCarrier  # noqa: PLC0415 - only for ports
    from dscim.host.link.transport import Taken, open_transport  # noqa: PLC0415

    until = time.monotonic() + connect.wait
    while True:
        try:
            return _frames(StreamCarrier(open_transport(port, rate, TIMEOUT)), spec, connect)
        except Taken:
            if time.monotonic() >= until:
                raise
            time.sleep(TAKEN_SECONDS)


def _ethernet(address: str, port: int, spec: SocSpec, connect: ConnectOptions) -> Link:
    from dscim.host.link.datagrams import DatagramCarrier  # noqa: PLC0415 - only for Ethernet

    return _frames(DatagramCarrier(address, port), spec, connect)


def _frames(carrier: "Carrier", spec: SocSpec, connect: ConnectOptions) -> Link:
    from dscim.host.link.session import FrameLink  # noqa: PLC0415

    return FrameLink(
        carrier,
        timeout=TIMEOUT,
        wait=connect.wait,
        take_over=connect.take_over,
        memories=memory_ranges(spec),
    )


def _uartbone(port: str, rate: int, spec: SocSpec) -> Link:
    from dscim.host.link.uart import UartLink  # noqa: PLC0415 - only for ports

    return UartLink(port, baudrate=rate, probe=PROBE, memories=memory_ranges(spec))


def _simulator(
    name: str,
    spec: SocSpec,
    trace: tuple[int, int] | None,
    report: Say,
    scope: bool,
) -> Link:
    from dscim.host.link import sim  # noqa: PLC0415 - only for simulators
    from dscim.sim.soc import soc_design  # noqa: PLC0415
    from dscim.sim.trace import TraceWindow  # noqa: PLC0415

    window = TraceWindow(*trace, Path("dscim.fst")) if trace else None
    ethernet = name == "sim+eth"
    over = sim.over_datagrams if ethernet else sim.over_frames
    return sim.SimLink(
        soc_design(spec, ethernet, scope),
        over(memories=memory_ranges(spec)),
        window=window,
        say=report,
    )
