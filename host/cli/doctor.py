"""`dscim doctor`: reports missing tools and how to install them."""

import dataclasses

from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command
from dscim.host.fpga.doctor import Finding, examine, ready


def run(options: ReportOptions) -> int:
    """Prints every tool; exit status 0 only when the demo can run."""
    report = report_of(options)
    findings = examine()
    report.table(["tool", "version", "OK", "needed for", "fix"], [_row(f) for f in findings])
    missing = [f.tool for f in findings if f.required and not f.ok]
    report.say("")
    report.say(
        f"Missing for `dscim demo`: {', '.join(missing)}."
        if missing
        else "Everything that `dscim demo` needs is installed."
    )
    save_json(
        options.json, {"ready": ready(findings), "tools": [dataclasses.asdict(f) for f in findings]}
    )
    return 0 if ready(findings) else FAILED


def _row(finding: Finding) -> tuple[str, ...]:
    ok = "yes" if finding.ok else "NO, required" if finding.required else "no"
    return finding.tool, finding.version or "-", ok, finding.use, finding.fix


COMMAND = Command(ReportOptions, run, "doctor")
