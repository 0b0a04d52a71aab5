"""`dscim study`: computes a table or figure of the paper, and compares it with the paper."""

import dataclasses
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dscim.cache import cache_folder
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_json
from dscim.host.cli.common_options import ParallelOptions, ReportOptions, evaluator, report_of
from dscim.host.cli.options import Command, argument, option, output_file, switch
from dscim.host.research.studies import NAMES, Outcome, Study, study
from dscim.host.research.studies import run as compute
from dscim.host.research.studies.output import check_figure, save_csv, save_figure
from dscim.host.research.studies.page import save_page
from dscim.host.research.studies.runner import adapted
from dscim.host.research.studies.study import Inputs


def _circuit(unit: str, help: str, name: str) -> Any:
    """The input `name` of the model of circuits; None, not its default, if it is left out."""
    default = getattr(Inputs, name)
    return option(unit, f"energy: {help} (default: {default:g})", type=float, default=None)


@dataclass(frozen=True, kw_only=True)
class CircuitOptions:
    """Inputs of the model of circuits, by their names in `Inputs`."""

    GROUP = "model of circuits"
    liberty: Path | None = option(
        "FILE.lib",
        "area: standard cell library (Liberty) whose areas replace transistor counts",
    )
    node: float | None = _circuit("NM", "process node in nm; its square scales areas", "node")
    voltage: float | None = _circuit("V", "supply voltage in V", "voltage")
    capacitance: float | None = _circuit(
        "FF", "capacitance of a gate's input pin in fF", "capacitance"
    )
    megahertz: float | None = _circuit("MHZ", "clock frequency in MHz", "megahertz")


@dataclass(frozen=True, kw_only=True)
class Options(ParallelOptions, CircuitOptions, ReportOptions):
    """The options of `dscim study`."""

    name: str = argument("NAME", f"{', '.join(NAMES)}, or all")
    quick: bool = switch(
        "compute fewer points, which takes minutes at most; every output is marked as quick"
    )
    work: Path | None = option(
        "FOLDER",
        "folder that stores finished parts, so that a stopped run resumes (default: studies in "
        "the cache folder)",
    )
    csv: Path | None = output_file("FILE", "write all rows as CSV")
    figure: Path | None = output_file("FILE", "draw the figure, as .png or .svg")
    report: Path | None = output_file(
        "FILE.html", "write one self-contained page with tables and figures"
    )


def run(options: Options) -> int:
    """Runs one study or all; prints the tables, writes the files of the options."""
    report = report_of(options)
    names = NAMES if options.name == "all" else (options.name,)
    inputs = _inputs(options)
    studies = [adapted(study(name), inputs) for name in names]
    _check(options)
    for each in studies:
        each.needs()
    pool = partial(evaluator, options=options)
    if options.name == "all":
        report.say(
            f"{len(studies)} studies: {_expected(studies, options.quick)} on two cores, "
            "less what earlier runs stored"
        )
    work = options.work or cache_folder() / "studies"
    outcomes = []
    for each in studies:
        _announce(each, options.quick, report)
        with report.progress() as step:
            outcomes.append(compute(each, options.quick, work, step, pool, inputs))
        _print(outcomes[-1], report)
        save_json(
            options.json, _values(outcomes, options.name == "all"), partial=each != studies[-1]
        )
    save_csv(options.csv, outcomes[0])
    save_figure(options.figure, outcomes[0])
    save_page(options.report, outcomes)
    return 0


def _inputs(options: Options) -> Inputs | None:
    """The inputs of the model, None without any; UserError if the study does not use them."""
    changed = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(Inputs)
        if getattr(options, field.name) is not None
    }
    if changed and options.name != "all" and study(options.name).adapted is None:
        raise UserError(
            f"The study {options.name} has no model of circuits; leave out "
            f"{', '.join(f'--{name}' for name in changed)}, or choose area or energy."
        )
    return Inputs(**changed) if changed else None


def _check(options: Options) -> None:
    if options.name == "all" and (options.csv or options.figure):
        raise UserError(
            "--csv and --figure are for one study; name it, or use --json and --report for all."
        )
    check_figure(options.figure)
    if options.report:
        check_figure(Path("page.svg"))
    if options.work:
        folder = options.work.absolute()
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise UserError(
                f"--work {options.work} cannot be used, because '{there}' is not a folder that can "
                "be written to; choose another."
            )


def _values(outcomes: list[Outcome], together: bool) -> dict[str, Any]:
    """JSON values of one study, or of several by their names."""
    if together:
        return {done.study.name: done.to_json() for done in outcomes}
    return outcomes[0].to_json()


def _expected(studies: list[Study], quick: bool) -> str:
    minutes = sum(each.minutes[0 if quick else 1] for each in studies)
    return f"about {minutes:.0f} minutes" if minutes >= 1.5 else f"about {60 * minutes:.0f} s"


def _announce(each: Study, quick: bool, report: Report) -> None:
    report.say(f"Study {each.name}: {each.title}")
    seeds = ", ".join(f"{what} {seed}" for what, seed in each.seeds.items()) or "none"
    report.say(
        f"{'quick' if quick else 'full'}, expected {_expected([each], quick)} on two "
        f"cores; seeds: {seeds}"
    )


def _print(outcome: Outcome, report: Report) -> None:
    """Prints the table, the paper's values and the aims."""
    each, facts = outcome.study, outcome.to_json()
    numbers = tuple(
        isinstance(row.get(column.field), int | float)
        for column in each.columns
        for row in outcome.rows[:1]
    )
    report.table(
        [
            f">{column.title}" if number else column.title
            for column, number in zip(each.columns, numbers, strict=True)
        ],
        [[column.text(row) for column in each.columns] for row in outcome.rows if each.shown(row)],
    )
    for value in facts["published"]:
        report.say(
            f"Published: {value['what']}: {value['value']:g} {value['unit']} ({value['source']})"
        )
    for aim in facts["aims"]:
        report.say(
            f"Aim: {aim['what']}: {aim['bound']} {aim['aim']:g} {aim['unit']}; measured "
            f"{aim['measured']:.4g}: {'held' if aim['held'] else 'missed'}"
        )
    report.say(f"{len(outcome.rows)} rows, {outcome.seconds:.1f} s of computing")


COMMAND = Command(Options, run, "study sparsity --quick --json sparsity.json")
