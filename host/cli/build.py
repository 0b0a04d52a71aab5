"""`dscim build`: a bitstream that meets timing, or one sentence that says what does not."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from dscim.boards import find_board
from dscim.boards.board import Board
from dscim.boards.soc import IP, MAC, Address, Setup
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.gateware.specs import VARIANTS, SocSpec
from dscim.gateware.specs.macro import FORMS, default_macro
from dscim.host.cli.options import add_report, report_of
from dscim.host.fpga.bitstream.build import Builder, Order

MEGA = 1e6
SEEDS = range(1, 101)

MEMORIES = {
    "weight_rows": "of the weight memory",
    "channels": "whose parameters are held",
    "activation_words": "of 8 bytes of the activation memory",
    "descriptors": "that are held at once",
}
"""Sizes of memories, by their names in `SocSpec`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim build`."""
    parser.add_argument("board", metavar="BOARD", help="a name of `dscim boards`")
    add_setup(parser)
    effort = parser.add_argument_group("effort")
    effort.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="places to try; the fastest is kept (default 1)",
    )
    effort.add_argument(
        "--allow-slow",
        action="store_true",
        help="where timing is missed, lower the clock to what was reached and build again",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="default build/BOARD, with the bitstream, report.json and logs",
    )
    add_report(parser)


def add_setup(parser: argparse.ArgumentParser) -> None:
    """Adds what shapes the device of a board; `setup_for` reads it."""
    group = parser.add_argument_group("device (default: what the board declares)")
    group.add_argument("--device", metavar="D", help="the board's FPGA, as 85F")
    group.add_argument("--rows", type=int, metavar="R", help="of the macro")
    group.add_argument("--columns", type=int, metavar="C", help="of the macro")
    group.add_argument(
        "--form", choices=[form for form in FORMS if form != "exact"], help="of the macro"
    )
    group.add_argument("--lanes", type=int, metavar="P", help="points a cycle")
    group.add_argument("--variant", choices=list(VARIANTS), help="ds-cim1 or ds-cim2")
    group.add_argument(
        "--exact", action="store_true", help="an exact macro beside the stochastic one"
    )
    for name, what in MEMORIES.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=what)
    group.add_argument("--clock", type=float, metavar="MHZ", help="of the device")
    group.add_argument("--baud", type=int, metavar="B", help="of the UART")
    group.add_argument(
        "--ip", metavar="A", help=f"on Ethernet, where the board has it (default {IP})"
    )
    group.add_argument("--mac", metavar="A", help=f"on Ethernet (default {MAC})")
    group.add_argument("--no-ethernet", action="store_true", help="a UART alone")
    group.add_argument(
        "--scope",
        action="store_true",
        help="with LiteScope on the engine's and the macro's signals",
    )


def setup_for(options: argparse.Namespace) -> Setup:
    """The setup that the options of `add_setup` ask for; SpecError where it cannot be."""
    board = find_board(options.board)
    device = board.device(options.device)
    clock = board.clock if options.clock is None else options.clock * MEGA
    return Setup(
        board,
        device,
        _spec(board, device, options),
        float(clock),
        board.baud if options.baud is None else options.baud,
        _address(board, options),
        options.scope,
    )


def _address(board: Board, options: argparse.Namespace) -> Address | None:
    """What --ip and --mac say; None for a device without Ethernet."""
    asked = options.ip is not None or options.mac is not None
    if options.no_ethernet and asked:
        raise UserError("--no-ethernet leaves no place for --ip or --mac; give one or the other.")
    if options.no_ethernet or (board.ethernet is None and not asked):
        return None
    return Address(options.ip or IP, options.mac or MAC)


def _spec(board: Board, device: str, options: argparse.Namespace) -> SocSpec:
    """The board's default device, changed by what the options name."""
    spec = board.spec[device]
    macro = spec.macro
    changes: dict[str, Any] = {}
    if options.variant is not None:
        width = VARIANTS[options.variant]
        changes = {"or_width": width, "lanes": default_macro(width).lanes}
    if options.form is not None and options.form != macro.form:
        changes |= {"form": options.form}
        if options.form == "array":
            changes["lanes"] = 1
    for name in ("rows", "columns", "lanes"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    memories = {
        name: getattr(options, name) for name in MEMORIES if getattr(options, name) is not None
    }
    return dataclasses.replace(
        spec,
        macro=dataclasses.replace(macro, **changes),
        exact=options.exact or spec.exact,
        **memories,
    )


def run(options: argparse.Namespace) -> int:
    """Builds; exit status 0 only where the folder holds what was asked."""
    if options.seeds not in SEEDS:
        raise UserError(f"--seeds {options.seeds} is outside {SEEDS[0]}..{SEEDS[-1]}.")
    check_writable(options.json)
    report = report_of(options)
    setup = setup_for(options)
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


def _command(options: argparse.Namespace) -> str:
    """The command line that builds the same again, wherever its files go."""
    words = ["dscim", "build", options.board]
    for name in (
        "device",
        "rows",
        "columns",
        "form",
        "lanes",
        "variant",
        "exact",
        *MEMORIES,
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
    report.table(["", ">used", ">there are", ">"], rows)
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
