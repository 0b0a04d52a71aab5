"""`dscim fit`: does a network fit a board, and how fast is it there: before any build."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.gateware.specs import ProductSpec, describe
from dscim.host.cli.build import MEGA, add_setup, setup_for
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import add_report, report_of
from dscim.host.fpga.fit.fit import Fit, Fitting
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.table import Row, compare
from dscim.host.network import load


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim fit`."""
    parser.add_argument(
        "network", nargs="?", type=Path, metavar="NETWORK", help="a network file (.npz)"
    )
    parser.add_argument("board", nargs="?", metavar="BOARD", help="a name of `dscim boards`")
    parser.add_argument(
        "--model",
        action="store_true",
        help="instead: what was built and synthesised beside its estimate",
    )
    parser.add_argument(
        "--length", type=int, metavar="L", help="stream length (default: the network's)"
    )
    add_setup(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what fits; exit status 0 where all of it does."""
    check_writable(options.json)
    report = report_of(options)
    model = SizeModel()
    if options.model:
        rows = compare(model)
        _print_model(report, rows)
        save_json(options.json, [dataclasses.asdict(row) for row in rows])
        return 0
    if options.network is None or options.board is None:
        raise UserError("dscim fit wants a network file and a board, or --model.")
    network = load(options.network)
    setup = setup_for(options)
    arithmetic = _arithmetic(network.arithmetic or ProductSpec(), options.length)
    found = Fitting(network, arithmetic, model).fit(setup)
    report.say(
        f"{network.name} on {setup.board.title}, {setup.device}, at "
        f"{setup.clock / MEGA:g} MHz: {describe(arithmetic)}"
    )
    _print(report, found)
    if setup.address is not None and not model.knows_ethernet:
        report.say(
            "Ethernet's own tables and block RAMs are not in this: no device with it was "
            "synthesised yet."
        )
    save_json(options.json, _facts(found))
    return FAILED if found.faults else 0


def _arithmetic(given: ProductSpec, length: int | None) -> ProductSpec:
    return given if length is None else dataclasses.replace(given, length=length)


def _print(report: Report, fit: Fit) -> None:
    part = fit.setup.board.parts[fit.setup.device]
    report.table(
        ["", ">needed, about", ">there are", ">"],
        [
            (name, f"{need}", f"{room}", f"{100 * need / room:.0f} %")
            for name, need, room in (
                ("four-input tables", fit.size.lut4, part.lut4),
                ("block RAMs", fit.size.block_ram, part.block_ram),
                ("multipliers", fit.size.multipliers, part.multipliers),
            )
        ],
    )
    if fit.speed is not None:
        report.table(
            ["layer", "kind", "output", ">cycles", ">strips"],
            [
                (
                    layer.name,
                    layer.kind,
                    " x ".join(map(str, layer.output)),
                    layer.place or _cycles(layer.cycles),
                    f"{layer.strips}",
                )
                for layer in fit.speed.layers
            ],
        )
        total = fit.speed.cycles
        if total:
            report.say(
                f"{total} cycles an image: {fit.setup.clock / total:.1f} inferences/s of the "
                f"engine; {fit.speed.link_bytes} bytes cross the link for each, so that a "
                f"UART of {fit.setup.baud} baud carries "
                f"{fit.setup.baud / 10 / fit.speed.link_bytes:.1f}/s at most."
            )
    for fault in fit.faults:
        report.say(fault)
    if fit.faults:
        report.say(
            f"It fits with: dscim build {fit.setup.board.name} --device {fit.setup.device} "
            f"{fit.change}"
            if fit.change
            else "No smaller device that was tried fits it on this board either."
        )
    else:
        report.say("It fits.")


def _cycles(count: int | None) -> str:
    return "in pieces" if count is None else f"{count}"


def _print_model(report: Report, rows: list[Row]) -> None:
    report.table(
        [
            "design",
            "made by",
            ">LUT4",
            ">estimate",
            ">off, %",
            ">block RAM",
            ">estimate",
            ">multipliers",
            ">estimate",
        ],
        [
            (
                row.name,
                row.made_by,
                f"{row.lut4}",
                f"{row.estimate.lut4}",
                f"{100 * row.off:+.1f}",
                f"{row.block_ram}",
                f"{row.estimate.block_ram}",
                f"{row.multipliers}",
                f"{row.estimate.multipliers}",
            )
            for row in rows
        ],
    )
    worst = max(rows, key=lambda row: abs(row.off))
    report.say(
        f"{len(rows)} designs; the tables of '{worst.name}' are furthest off: "
        f"{100 * worst.off:+.1f} %."
    )


def _facts(fit: Fit) -> dict[str, Any]:
    speed = fit.speed
    total = speed.cycles if speed else None
    return {
        "board": fit.setup.board.name,
        "device": fit.setup.device,
        "clock": fit.setup.clock,
        "spec": fit.setup.spec.to_json(),
        "size": dataclasses.asdict(fit.size),
        "layers": [dataclasses.asdict(layer) for layer in speed.layers] if speed else [],
        "cycles": total,
        "inferences_per_second": fit.setup.clock / total if total else None,
        "link_bytes": speed.link_bytes if speed else None,
        "faults": list(fit.faults),
        "change": fit.change,
    }
