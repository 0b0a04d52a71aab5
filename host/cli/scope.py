"""`dscim scope`: looks into a device that was built with --scope, and writes a VCD."""

import argparse
import secrets
from pathlib import Path

import numpy as np

from dscim.errors import UserError
from dscim.files import check_writable, save_text
from dscim.gateware.probes import PROBES
from dscim.gateware.specs import ProductSpec
from dscim.host.cli.options import add_device, add_report, add_target, open_device, report_of
from dscim.host.cli.selftest import described
from dscim.host.device import Device
from dscim.host.device.scope import TAKEN, Capture, Scope, column, vcd
from dscim.host.link.frames import Refused

SECONDS = 20.0
"""Until the trigger must have been met."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim scope`."""
    add_target(parser, "sim")
    parser.add_argument(
        "--build",
        type=Path,
        metavar="FOLDER",
        help="of `dscim build --scope`: the device that was built there",
    )
    parser.add_argument(
        "--trigger",
        type=_condition,
        action="append",
        metavar="PROBE=VALUE",
        help="all must hold in one cycle (default start=1); the probes: "
        + ", ".join(f"{probe.name} ({probe.meaning})" for probe in PROBES),
    )
    parser.add_argument(
        "--before",
        type=int,
        default=16,
        metavar="N",
        help=f"samples kept from before it, of {TAKEN} (default 16)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("scope.vcd"),
        metavar="FILE",
        help="default scope.vcd, for GTKWave",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="S",
        help="of the operands of the product that runs (default: a new one)",
    )
    add_device(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Arms, runs a product of random operands, waits, writes."""
    check_writable(options.output)
    if options.target == "ref":
        raise UserError("The target ref is numpy and has no cycles to look at; choose another.")
    report = report_of(options)
    seed = secrets.randbits(31) if options.seed is None else options.seed
    if seed < 0:
        raise UserError(f"--seed {seed} is negative; a seed is 0 or more.")
    capture = Capture(dict(options.trigger or [("start", 1)]), options.before)
    with open_device(options, described(options), report, scope=True) as device:
        scope = Scope(device.link)
        try:
            scope.arm(capture)
        except Refused as error:
            raise UserError(
                f"The device has no LiteScope ({error}); build it with --scope."
            ) from error
        _run_product(device, seed)
        samples = scope.wait(SECONDS)
    save_text(options.output, vcd(samples))
    report.say(
        f"'{options.output}' has {len(samples)} cycles, the macro at work in "
        f"{int(column(samples, 'computing').sum())} of them (seed {seed})."
    )
    return 0


def _run_product(device: Device, seed: int) -> None:
    """Two row tiles of a few random rows."""
    macro, random = device.spec.macro, np.random.default_rng(seed)
    x = random.integers(-128, 128, (4, macro.rows + 1)).astype(np.int8)
    w = random.integers(-127, 128, (macro.rows + 1, macro.columns)).astype(np.int8)
    product = ProductSpec(
        macro.or_width,
        macro.or_width * macro.max_samples,
        macro.sequence,
        macro.signed[-1],
        exact=macro.form == "exact",
    )
    device.multiply(x, w, product)


def _condition(text: str) -> tuple[str, int]:
    """A probe and its value, as busy=1 or error=0x4."""
    name, _, value = text.partition("=")
    try:
        return name, int(value, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no condition; write PROBE=VALUE, as busy=1"
        ) from error
