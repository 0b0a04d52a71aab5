"""`dscim build`: builds a bitstream that meets timing, or reports in one sentence what does not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, argument, option, switch
from dscim.host.cli.setup_options import MEGA, SetupOptions, setup_for
from dscim.host.fpga.bitstream.build import Builder, Order
from dscim.host.fpga.fit.options import MACRO_SIZES, SIZES


@dataclass(frozen=True, kw_only=True)
class EffortOptions:
    """How hard place and route tries."""

    GROUP = "effort"
    seeds: int = option(
        "N", "number of placement seeds to try; the fastest is kept", default=1, within=(1, 100)
    )
    allow_slow: bool = switch(
        "if timing is missed, lower the clock to the frequency that was reached and build again"
    )


@dataclass(frozen=True, kw_only=True)
class Options(SetupOptions, EffortOptions, ReportOptions):
    """The options of `dscim build`."""

    board: str = argument("BOARD", "name of a board of `dscim boards`")
    output: Path | None = option(
        "FOLDER", "folder of the bitstream, report.json and logs (default: build/BOARD)"
    )


def run(options: Options) -> int:
    """Builds; exit status 0 only when the folder is complete."""
    report = report_of(options)
    setup = setup_for(options.board, options)
    folder = options.output or Path("build") / setup.board.name
    macro = setup.spec.macro
    report.say(
        f"{setup.board.title}, {setup.board.parts[setup.device].name}: {macro.rows} x "
        f"{macro.columns} {macro.form}, G = {macro.or_width}, {macro.lanes} lanes, "
        f"{setup.clock / MEGA:g} MHz, spec {setup.spec.hash:08x}"
    )
    order = Order(setup, folder, options.seeds, options.allow_slow, _command(options))
    with report.progress() as tick:
        facts = Builder(order, report.say, tick).build()
    if facts["built"]:
        _print(report, facts, folder)
    else:
        report.say(
            f"Sources and the vendor's script are in '{folder}'. No bitstream was built: "
            f"{setup.board.notes}"
        )
    save_json(options.json, facts)
    return 0


def _command(options: Options) -> str:
    """The command line that repeats the build; the output folder is left out."""
    words = ["dscim", "build", options.board]
    for name in (
        "device",
        *MACRO_SIZES,
        "form",
        "variant",
        "signed",
        "exact",
        *SIZES,
        "clock",
        "baud",
        "ip",
        "mac",
        "no_ethernet",
        "scope",
        "seeds",
        "allow_slow",
    ):
        value = getattr(options, name)
        if value not in (None, False) and (name, value) != ("seeds", 1):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [f"{value}"])]
    return " ".join(words)


def _print(report: Report, facts: dict[str, Any], folder: Path) -> None:
    rows = [
        (
            name.replace("_", " "),
            f"{count['used']}",
            f"{count['available']}",
            f"{100 * count['used'] / max(1, count['available']):.0f} %",
        )
        for name, count in facts["cells"].items()
    ]
    report.table(["", ">used", ">available", ">"], rows)
    report.table(
        ["clock", ">target, MHz", ">reached, MHz"],
        [
            (name, f"{clock['asked_mhz']:.2f}", f"{clock['reached_mhz']:.2f}")
            for name, clock in facts["clocks"].items()
        ],
    )
    for clock, path in facts["worst_paths"].items():
        report.detail(f"worst path of {clock}: {path}")
    seconds = ", ".join(
        f"{name.replace('_', ' ')} {value:.1f} s" for name, value in facts["seconds"].items()
    )
    report.say(f"{seconds}; " + ", ".join(f"{n} {v}" for n, v in facts["versions"].items()))
    report.say(
        f"'{folder / facts['bitstream']}' meets timing; spec {facts['spec_hash']}. "
        f"Load it: dscim load {facts['board']}"
        + ("" if folder == Path("build") / facts["board"] else f" --input {folder}")
    )


COMMAND = Command(Options, run, "build colorlight_i5 --seeds 2 --output build/mine")
