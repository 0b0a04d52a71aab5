"""Options that name a target, and the device that they open."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.gateware.specs import SocSpec
from dscim.host.cli.arithmetic_options import DeviceOptions, device_spec
from dscim.host.cli.options import option, switch
from dscim.host.device import Device
from dscim.host.device.target import SIMULATORS, ConnectOptions, open_target
from dscim.host.link.base import LinkStatistics

TARGETS = (
    "ref (numpy), sim (the SoC in Verilator, over its UART), sim+eth (over its Ethernet), "
    "uart:PORT[@BAUD], eth:ADDRESS[:PORT], or bone:PORT[@BAUD], which has no checks"
)

MAX_WAIT = 86400
"""The upper limit of --wait in seconds."""


def cycles(text: str) -> tuple[int, int]:
    """FROM:TO, a range of clock cycles."""
    start, colon, stop = text.partition(":")
    if not (colon and start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a range of cycles; write FROM:TO with FROM < TO"
        )
    return int(start), int(stop)


def target_option(default: str) -> Any:
    """The field `target` of a command with a default other than sim."""
    return option("T", f"where to run: {TARGETS}", default=default)


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """A waveform of the simulator."""

    GROUP = "target"
    trace: tuple[int, int] | None = option(
        "FROM:TO",
        "write these clock cycles of the simulator to dscim.fst, with dscim.gtkw for GTKWave",
        type=cycles,
    )


@dataclass(frozen=True, kw_only=True)
class TargetOptions(TraceOptions):
    """A target, and what to do when another host uses it."""

    GROUP = "target"
    target: str = target_option("sim")
    wait: float = option(
        "SECONDS",
        "time to wait for another host to leave a uart: or eth: target, in seconds",
        default=ConnectOptions.wait,
        within=(0, MAX_WAIT),
    )
    take_over: bool = switch("end another host's session on a uart: or eth: target")


@dataclass(frozen=True, kw_only=True)
class BuiltOptions(DeviceOptions):
    """A device, by the folder of its build or by its shape."""

    build: Path | None = option(
        "FOLDER", "folder of `dscim build`; the options of arithmetic and macro are then ignored"
    )


def built_spec(options: BuiltOptions) -> SocSpec:
    """The spec in the folder --build, or of the other options; UserError for a wrong folder."""
    from dscim.host.fpga.bitstream.build import FACTS  # noqa: PLC0415 - slow to import

    folder = options.build
    if folder is None:
        return device_spec(options)
    try:
        return SocSpec.from_json(json.loads((folder / FACTS).read_text())["spec"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"'{folder}' has no report.json of `dscim build`; run the build first, or describe "
            "the device with the options of arithmetic and macro."
        ) from error


def open_device(
    options: TargetOptions, spec: SocSpec, report: Report, scope: bool = False
) -> Device:
    """Opens the target; with `scope`, a simulator has LiteScope."""
    check_trace(options)
    connect = ConnectOptions(options.wait, options.take_over)
    return open_target(
        options.target, spec, trace=options.trace, report=report.say, connect=connect, scope=scope
    )


def check_trace(options: TargetOptions) -> None:
    """UserError for --trace of a target that is not a simulator."""
    if options.trace and options.target not in SIMULATORS:
        raise UserError(
            f"--trace needs the target sim, not {options.target!r}, which has no cycles."
        )


def say_link(counted: LinkStatistics, report: Report) -> None:
    """Prints one line about the traffic on a link, if there was any."""
    if counted.bytes_sent or counted.bytes_received:
        report.say(
            f"link: {counted.bytes_sent} bytes sent, {counted.bytes_received} received; "
            f"{counted.frames_sent} frames sent, {counted.resends} retransmitted, "
            f"{counted.damaged} damaged frames received; round trip "
            f"{1e3 * counted.round_trip:.2f} ms"
        )
