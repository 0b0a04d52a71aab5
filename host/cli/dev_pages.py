"""`dscim dev pages`: checks or updates the tables that pages show of stored results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dscim.errors import UserError
from dscim.files import save_json, save_text
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command, argument, switch
from dscim.host.research.pages import rendered


@dataclass(frozen=True, kw_only=True)
class Options(ReportOptions):
    """The options of `dscim dev pages`."""

    pages: Sequence[Path] = argument("PAGE", "Markdown files, for example README.md", nargs="+")
    write: bool = switch("write the tables instead of only checking them")


def run(options: Options) -> int:
    """Prints a line per page; exit status 1 where a table differs and is not written."""
    report = report_of(options)
    results = []
    for page in options.pages:
        try:
            text = page.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UserError(f"'{page}' cannot be read: {reason}.") from error
        new = rendered(text)
        results.append({"page": str(page), "differs": new != text})
        if new == text:
            report.say(f"The tables in '{page}' agree with the stored results.")
        elif options.write:
            save_text(page, new)
            report.say(f"'{page}' written.")
        else:
            report.say(f"The tables in '{page}' differ from the stored results; run with --write.")
    save_json(options.json, results)
    return FAILED if any(each["differs"] for each in results) and not options.write else 0


COMMAND = Command(Options, run, "dev pages README.md")
