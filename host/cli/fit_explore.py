"""`dscim fit --explore`: the best devices for a network on a board."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dscim.boards.soc import Setup
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_json
from dscim.host.cli.arithmetic_options import chosen_arithmetic, uncalibrated, variant_of
from dscim.host.cli.setup_options import MEGA, SetupOptions, setup_for
from dscim.host.fpga.fit.design import design_of
from dscim.host.fpga.fit.explore import Candidate, Explorer, Front, Space, facts
from dscim.host.fpga.fit.plot import new_figure, save_plot
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.store import COMMAND
from dscim.host.network import Network

CHOSEN = ("weight_rows", "channels", "activation_words", "strip", "descriptors")
"""Sizes that follow from the network and the board's block RAM."""

STEP = 0.01
"""A device in the table is faster than the one before by this fraction, at least."""

COLUMNS = (
    "device",
    ">LUT4",
    ">DSP",
    ">block RAM",
    ">cycles",
    ">inferences/s",
    ">per 1000 LUT4",
    "weights",
)


def explore(
    network: Network,
    board: str,
    options: SetupOptions,
    report: Report,
    length: int | None = None,
    json: Path | None = None,
    plot: Path | None = None,
) -> None:
    """Prints the fronts and the commands that build their ends; length: None: several."""
    if plot is not None:
        new_figure(plot)
    own = network.arithmetic
    arithmetic = chosen_arithmetic(own, options.variant, length, False)
    network = dataclasses.replace(network, arithmetic=arithmetic)
    setup, model = _setup(network, board, options), SizeModel()
    space = _space(options)
    explorer = Explorer(network, setup, model)
    lengths = explorer.lengths() if length is None else (length,)
    part = setup.board.parts[setup.device]
    report.say(
        f"{network.name} on {setup.board.title}, {part.name}, at {setup.clock / MEGA:g} MHz: "
        "devices that no smaller one outruns"
    )
    if own.exact:
        report.say(uncalibrated(network, arithmetic))
    fronts = []
    with report.progress() as step:
        for one in lengths:

            def tick(done: int, total: int, one: int = one) -> None:
                step(f"devices, L = {one}", done, total)

            fronts.append(explorer.front(one, space, tick))
    for front in fronts:
        _print(report, front)
    measured = all(
        model.measured(design_of(one.setup.spec, ethernet=setup.address is not None))
        for front in fronts
        for one in front.candidates
    )
    if not measured:
        report.say(
            f"These sizes are rough estimates, not fitted to measurements; see `{COMMAND} --list`."
        )
    save_json(json, _facts(network, setup, fronts, measured))
    if plot is not None:
        save_plot(fronts, f"{network.name} on {part.name}", plot)


def _setup(network: Network, board: str, options: SetupOptions) -> Setup:
    """The board with the smallest device, whose sizes the explorer replaces."""
    named = [name for name in CHOSEN if getattr(options, name) is not None]
    if named:
        raise UserError(
            f"--explore chooses the memories; leave out --{named[0].replace('_', '-')}."
        )
    if options.depthwise:
        raise UserError("--explore tries no depthwise unit; leave out --depthwise.")
    if options.form not in (None, "selected"):
        raise UserError(f"--explore needs the form selected, not {options.form}; leave it out.")
    smallest: dict[str, Any] = {
        "rows": 64,
        "columns": 4,
        "lanes": 64,
        "samples": 1,
        "banks": 1,
        "requant_lanes": 1,
        "read_ports": 1,
        "variant": variant_of(network.arithmetic),
    }
    return setup_for(board, dataclasses.replace(options, **smallest))


def _space(options: SetupOptions) -> Space:
    """All sizes, or the one of the options."""
    fixed = {
        field.name: (getattr(options, field.name),)
        for field in dataclasses.fields(Space)
        if getattr(options, field.name) is not None
    }
    return Space(**fixed)


def _print(report: Report, front: Front) -> None:
    shown = list(_shown(front))
    report.say(
        f"L = {front.length}: {len(front.candidates)} devices of {front.total}, of which "
        f"{len(shown)} are at least {100 * STEP:g} % faster than the one before:"
    )
    report.table(COLUMNS, [_row(one) for one in shown])
    report.say(f"fastest: {front.fastest.command}")
    report.say(f"most inferences per LUT4: {front.best_per_lut.command}")


def _shown(front: Front) -> Sequence[Candidate]:
    """The ends of the front, and the devices that are faster by STEP than the one before."""
    ends = (front.fastest, front.best_per_lut)
    shown: list[Candidate] = []
    for one in front.candidates:
        if not shown or one.rate > (1 + STEP) * shown[-1].rate or one in ends:
            shown.append(one)
    return shown


def _row(one: Candidate) -> tuple[str, ...]:
    speed = one.speed
    return (
        one.name,
        f"{one.size.lut4}",
        f"{one.size.multipliers}",
        f"{one.size.block_ram}",
        f"{speed.cycles}",
        f"{one.rate:.1f}",
        f"{1000 * one.rate_per_lut:.1f}",
        "resident" if speed.resident else f"{speed.link_bytes} bytes per image",
    )


def _facts(
    network: Network, setup: Setup, fronts: Sequence[Front], measured: bool
) -> dict[str, Any]:
    return {
        "network": network.name,
        "board": setup.board.name,
        "device": setup.device,
        "clock": setup.clock,
        "sizes_measured": measured,
        "lengths": [facts(front) for front in fronts],
    }
