"""`dscim study`: a table or figure of the paper, computed, beside the paper's."""

import argparse
import dataclasses
import os
from functools import partial
from pathlib import Path
from typing import Any

from dscim.cache import cache_folder
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.host.cli.options import add_report, report_of
from dscim.host.cli.parallel_options import add_parallel, check_parallel, evaluator
from dscim.host.research.studies import NAMES, Outcome, Study, study
from dscim.host.research.studies import run as compute
from dscim.host.research.studies.output import check_figure, save_csv, save_figure
from dscim.host.research.studies.page import save_page
from dscim.host.research.studies.runner import adapted
from dscim.host.research.studies.study import Inputs


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim study`."""
    parser.add_argument("name", metavar="NAME", help=f"{', '.join(NAMES)}, or all")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer points: minutes at most, marked as such in every output",
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="where parts that are done are kept, so that a run that was stopped "
        "goes on (default: studies in the cache folder)",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all rows as CSV")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw as .png or .svg")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="one page with tables and figures, that needs no other file",
    )
    add_parallel(parser)
    group = parser.add_argument_group("model of circuits")
    group.add_argument(
        "--liberty",
        type=Path,
        metavar="FILE.lib",
        help="area: a standard cell library, whose areas then stand for transistors",
    )
    for name, unit, where in (
        ("node", "NM", "its square scales areas"),
        ("voltage", "V", "of the supply"),
        ("capacitance", "FF", "of a gate's input pin"),
        ("megahertz", "MHZ", "of the clock"),
    ):
        group.add_argument(
            f"--{name}",
            type=float,
            metavar=unit,
            help=f"energy: {where} (default {getattr(Inputs, name):g})",
        )
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Runs one study or all; prints tables, writes what was asked for."""
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
            f"{len(studies)} studies: {_expected(studies, options.quick)} on two cores "
            "where none is kept from an earlier run"
        )
    work = options.work or cache_folder() / "studies"
    outcomes = []
    for each in studies:
        _announce(each, options.quick, report)
        with report.progress() as step:
            outcomes.append(compute(each, options.quick, work, step, pool, inputs))
        _tell(outcomes[-1], report)
        save_json(options.json, _values(outcomes, options.name == "all"))
    save_csv(options.csv, outcomes[0])
    save_figure(options.figure, outcomes[0])
    save_page(options.report, outcomes)
    return 0


def _inputs(options: argparse.Namespace) -> Inputs | None:
    """The model's inputs, if any are given; UserError where one study has no use for them."""
    given = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(Inputs)
        if getattr(options, field.name) is not None
    }
    if given and options.name != "all" and study(options.name).adapted is None:
        raise UserError(
            f"The study {options.name} has no model of circuits; leave "
            f"{', '.join(f'--{name}' for name in given)} out, or choose area or "
            "energy."
        )
    return Inputs(**given) if given else None


def _check(options: argparse.Namespace) -> None:
    check_parallel(options)
    for path in (options.json, options.csv, options.figure, options.report):
        check_writable(path)
    if options.name == "all" and (options.csv or options.figure):
        raise UserError(
            "--csv and --figure hold one study; name it, or take --json and --report for all."
        )
    check_figure(options.figure)
    if options.report:
        check_figure(Path("page.svg"))
    if options.work:
        folder = options.work.absolute()
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise UserError(
                f"'{there}' is no folder that can be written to; --work needs one, or "
                "a new name in one."
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


def _tell(outcome: Outcome, report: Report) -> None:
    """The table, the paper's values and the aims."""
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
