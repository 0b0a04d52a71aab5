"""`dscim fit`: estimates whether a network fits a board, and its speed, without building."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import ProductSpec, SocSpec, describe
from dscim.host.cli.arithmetic_options import chosen_arithmetic, uncalibrated
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.fit_explore import explore
from dscim.host.cli.options import Command, argument, option, output_file, switch
from dscim.host.cli.setup_options import MEGA, SetupOptions, setup_for
from dscim.host.fpga.fit.design import design_of
from dscim.host.fpga.fit.fit import Fit, Fitting
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.table import Row, compare
from dscim.host.network import load


@dataclass(frozen=True, kw_only=True)
class Options(SetupOptions, ReportOptions):
    """The options of `dscim fit`."""

    network: Path | None = argument("NETWORK", "network file (.npz)")
    board: str | None = argument("BOARD", "name of a board of `dscim boards`")
    model: bool = switch("only compare the size model with designs that were built or synthesised")
    length: int | None = option(
        "L",
        "stream length in samples (default: the network's; with --explore 64, 128 and 256, too)",
    )
    explore: bool = switch(
        "find the best devices for the network on this board; options of the device fix a size"
    )
    plot: Path | None = output_file("FILE", "plot what --explore finds, as .png, .svg or .pdf")


def run(options: Options) -> int:
    """Prints the estimate, first what does not fit; exit status 0 if all of it fits."""
    if options.plot and not options.explore:
        raise UserError("--plot shows what --explore finds; give both.")
    report = report_of(options)
    model = SizeModel()
    if options.model:
        rows = compare(model)
        _print_model(report, rows)
        save_json(options.json, [dataclasses.asdict(row) for row in rows])
        return 0
    if options.network is None or options.board is None:
        raise UserError("`dscim fit` needs a network file and a board, or --model.")
    network = load(options.network)
    if options.explore:
        explore(
            network,
            options.board,
            options,
            report,
            options.length,
            options.json,
            options.plot,
        )
        return 0
    setup = setup_for(options.board, options)
    arithmetic = _arithmetic(network.arithmetic, setup.spec, options)
    found = Fitting(network, arithmetic, model).fit(setup)
    report.say(
        f"{network.name} on {setup.board.title}, {setup.device}, at "
        f"{setup.clock / MEGA:g} MHz: {describe(arithmetic)}"
    )
    if network.arithmetic.exact and not arithmetic.exact:
        report.say(uncalibrated(network, arithmetic))
    if found.faults:
        _say_fit(report, found)
    _print(report, found)
    if not found.faults:
        _say_fit(report, found)
    if not model.measured(design_of(setup.spec, ethernet=setup.address is not None)):
        report.say("The size is a rough estimate: no such design was synthesised yet.")
    save_json(options.json, _facts(found))
    return FAILED if found.faults else 0


def _arithmetic(own: ProductSpec, spec: SocSpec, options: Options) -> ProductSpec:
    """The arithmetic by the rule of all verbs; DS-CIM if the device has no exact macro.

    A network for the exact product takes the OR width and the sequence of the device's macro.
    """
    chosen = chosen_arithmetic(own, options.variant, options.length, options.exact)
    if own.exact and not options.exact and not (chosen.exact and spec.exact):
        macro = spec.macro
        return dataclasses.replace(
            chosen, or_width=macro.or_width, sequence=macro.sequence, exact=False
        )
    return chosen


def _print(report: Report, fit: Fit) -> None:
    part = fit.setup.board.parts[fit.setup.device]
    report.table(
        ["", ">needed, about", ">available", ">"],
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
            report.table(
                ["kind", ">cycles", ">share"],
                [
                    (kind, f"{cycles}", f"{100 * cycles / total:.1f} %")
                    for kind, cycles in fit.speed.by_kind.items()
                ],
            )
            report.say(
                f"{total} cycles per image: the engine reaches {fit.setup.clock / total:.1f} "
                f"inferences/s. Each needs {fit.speed.link_bytes} bytes on the link, so a UART "
                f"of {fit.setup.baud} baud carries at most "
                f"{fit.setup.baud / 10 / fit.speed.link_bytes:.1f} inferences/s."
            )


def _say_fit(report: Report, fit: Fit) -> None:
    """Prints whether it fits; if not, why, and what would fit."""
    for fault in fit.faults:
        report.say(f"It does not fit: {fault}")
    added = fit.setup.spec.exact and not fit.setup.board.spec[fit.setup.device].exact
    if fit.faults:
        report.say(
            f"It fits with: dscim build {fit.setup.board.name} --device {fit.setup.device} "
            f"{'--exact ' if added else ''}{fit.change}"
            if fit.change
            else "None of the smaller configurations fits this board; choose another --device or "
            "board (see `dscim boards`), or let --explore find devices that fit."
        )
    else:
        report.say("It fits.")


def _cycles(count: int | None) -> str:
    return "in pieces" if count is None else f"{count}"


def _print_model(report: Report, rows: list[Row]) -> None:
    report.table(
        [
            "design",
            "counted by",
            ">LUT4",
            ">estimate",
            ">error, %",
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
        f"{len(rows)} designs; the largest error of LUT4, {100 * worst.off:+.1f} %, is that of "
        f"'{worst.name}'."
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
        "cycles_by_kind": speed.by_kind if speed else {},
        "inferences_per_second": fit.setup.clock / total if total else None,
        "link_bytes": speed.link_bytes if speed else None,
        "faults": list(fit.faults),
        "change": fit.change,
    }


COMMAND = Command(Options, run, "fit net.npz ecpix5 --length 64 --explore")
