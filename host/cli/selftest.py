"""`dscim selftest`: the first thing to run on a new board."""

import argparse
import dataclasses
import json
import secrets
from pathlib import Path

from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.gateware.specs import SocSpec
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import (
    add_device,
    add_report,
    add_target,
    open_device,
    product_spec,
    report_of,
    soc_for,
)
from dscim.host.device.selftest import SelfTest
from dscim.host.fpga.bitstream.build import FACTS


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim selftest`."""
    add_target(parser, "sim")
    parser.add_argument(
        "--build",
        type=Path,
        metavar="FOLDER",
        help="of `dscim build`: the device that was built there, instead of the options below",
    )
    parser.add_argument(
        "--seed", type=int, metavar="S", help="of the operands (default: a new one)"
    )
    add_device(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Prints a line a check; exit status 0 only when all hold."""
    check_writable(options.json)
    report = report_of(options)
    seed = secrets.randbits(31) if options.seed is None else options.seed
    if seed < 0:
        raise UserError(f"--seed {seed} is negative; a seed is 0 or more.")
    spec = described(options)
    findings = []
    with open_device(options, spec, report) as device, report.progress() as step:
        for finding in SelfTest(device, seed, step).run():
            findings.append(finding)
            report.say(f"{finding.name:12}{'holds' if finding.holds else 'FAILS'}: {finding.seen}")
        counted = dataclasses.asdict(device.link.statistics)
    holds = all(finding.holds for finding in findings)
    report.say(
        f"{options.target} {'is right' if holds else 'is NOT right'} (seed {seed}, spec "
        f"{spec.hash:08x})."
    )
    save_json(
        options.json,
        {
            "target": options.target,
            "seed": seed,
            "holds": holds,
            "spec_hash": f"{spec.hash:08x}",
            "link": counted,
            "checks": [dataclasses.asdict(finding) for finding in findings],
        },
    )
    return 0 if holds else FAILED


def described(options: argparse.Namespace) -> SocSpec:
    """The spec of what `dscim build` left in the folder --build, or that the options describe."""
    folder = options.build
    if folder is None:
        return soc_for(product_spec(options), options)
    try:
        return SocSpec.from_json(json.loads((folder / FACTS).read_text())["spec"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"'{folder}' holds no report.json of `dscim build`; run the build first, "
            "or describe the device by the options."
        ) from error
