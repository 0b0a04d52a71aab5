"""`dscim scope`: captures signals of a device that was built with --scope, as a VCD file."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dscim.errors import UserError
from dscim.files import save_text
from dscim.gateware.probes import PROBES
from dscim.gateware.specs import ProductSpec
from dscim.host.cli.common_options import ReportOptions, SeedOptions, report_of, seed_of
from dscim.host.cli.options import Command, option, output_file
from dscim.host.cli.target_options import BuiltOptions, TargetOptions, built_spec, open_device
from dscim.host.device import Device
from dscim.host.device.scope import CAPTURE_SAMPLES, Capture, Scope, column, vcd
from dscim.host.link.frames import Refused

SECONDS = 20.0
"""How long to wait for the trigger."""


def condition(text: str) -> tuple[str, int]:
    """PROBE=VALUE, for example busy=1 or error=0x4."""
    name, _, value = text.partition("=")
    try:
        return name, int(value, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a condition; write PROBE=VALUE, for example busy=1"
        ) from error


@dataclass(frozen=True, kw_only=True)
class Options(TargetOptions, SeedOptions, BuiltOptions, ReportOptions):
    """The options of `dscim scope`."""

    trigger: list[tuple[str, int]] | None = option(
        "PROBE=VALUE",
        "condition of the trigger (default: start=1); may be repeated: all must hold in the same "
        "cycle; probes: " + ", ".join(f"{probe.name} ({probe.meaning})" for probe in PROBES),
        action="append",
        type=condition,
    )
    before: int = option(
        "N", f"how many of the {CAPTURE_SAMPLES} samples are from before the trigger", default=16
    )
    output: Path = output_file("FILE", "VCD file to write, for GTKWave", default=Path("scope.vcd"))


def run(options: Options) -> int:
    """Arms, computes a product of random operands, waits for the trigger, writes the file."""
    if options.target == "ref":
        raise UserError("The target ref is numpy and has no cycles to capture; choose another.")
    report, seed = report_of(options), seed_of(options)
    capture = Capture(dict(options.trigger or [("start", 1)]), options.before)
    with open_device(options, built_spec(options), report, scope=True) as device:
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
        f"'{options.output}' has {len(samples)} cycles; the macro computes in "
        f"{int(column(samples, 'computing').sum())} (seed {seed})."
    )
    return 0


def _run_product(device: Device, seed: int) -> None:
    """Computes a product of a few random rows, in two row tiles."""
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


COMMAND = Command(
    Options, run, "scope --target sim --rows 16 --columns 4 --output scope.vcd --seed 1"
)
