"""`dscim selftest`: tests a device; the first thing to run on a new board."""

import dataclasses
from dataclasses import dataclass

from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, SeedOptions, report_of, seed_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command
from dscim.host.cli.target_options import BuiltOptions, TargetOptions, built_spec, open_device
from dscim.host.device.selftest import SelfTest


@dataclass(frozen=True, kw_only=True)
class Options(TargetOptions, SeedOptions, BuiltOptions, ReportOptions):
    """The options of `dscim selftest`."""


def run(options: Options) -> int:
    """Prints one line per check; exit status 0 only when all hold."""
    report, seed = report_of(options), seed_of(options)
    spec = built_spec(options)
    findings = []
    with open_device(options, spec, report) as device, report.progress() as step:
        for finding in SelfTest(device, seed, step).run():
            findings.append(finding)
            report.say(f"{finding.name:12}{'holds' if finding.holds else 'FAILS'}: {finding.seen}")
        counted = dataclasses.asdict(device.link.statistics)
    holds = all(finding.holds for finding in findings)
    report.say(
        f"{options.target} {'passes' if holds else 'FAILS'} (seed {seed}, spec {spec.hash:08x})."
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


COMMAND = Command(Options, run, "selftest --target ref --seed 1")
