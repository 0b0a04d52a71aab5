"""`dscim doctor`: the table of tools."""

import argparse
import dataclasses

from dscim.files import check_writable, save_json
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import add_report, report_of
from dscim.host.fpga.doctor import Finding, examine, ready


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim doctor`."""
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what was found; exit status 0 only when the demo can run."""
    check_writable(options.json)
    report = report_of(options)
    findings = examine()
    report.table(["tool", "found", "OK", "needed for", "fix"], [_row(f) for f in findings])
    missing = [f.tool for f in findings if f.required and not f.ok]
    report.say("")
    report.say(
        f"Missing for `dscim demo`: {', '.join(missing)}."
        if missing
        else "Everything that `dscim demo` needs is here."
    )
    save_json(
        options.json, {"ready": ready(findings), "tools": [dataclasses.asdict(f) for f in findings]}
    )
    return 0 if ready(findings) else FAILED


def _row(finding: Finding) -> tuple[str, ...]:
    ok = "yes" if finding.ok else "NO, required" if finding.required else "no"
    return finding.tool, finding.version or "-", ok, finding.use, finding.fix
