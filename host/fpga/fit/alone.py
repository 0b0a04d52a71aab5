"""A macro alone on the board MEASURED_ON, placed and routed: how fast it is."""

import argparse
import dataclasses
import json
import sys
import tempfile
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

from dscim.boards import find_board
from dscim.boards.sizes import SMALL
from dscim.boards.soc import SYS, Setup, elaborate
from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import Spec, SpecError
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.flow import Elaborated, Flow
from dscim.host.fpga.bitstream.tools import find_tools
from dscim.host.fpga.fit.design import MEASURED_ON, Design
from dscim.progress import Progress, Say

TABLE = Path(__file__).parent / "placed.json"
ASKED = 100e6
"""Hz that nextpnr is asked for; what it reaches is what counts."""


@dataclasses.dataclass(frozen=True)
class Placed(Spec):
    """megahertz: that the macro reached. path: its worst. seconds: of place and route."""

    design: Design
    megahertz: float
    path: str
    seconds: float
    nextpnr: str


def read_placed(path: Path = TABLE) -> list[Placed]:
    """All that was placed."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return [Placed.from_json(row) for row in rows]


def write_placed(rows: list[Placed], command: str, path: Path = TABLE) -> None:
    """Replaces the table, whole or not at all."""
    save_json(path, {"command": command, "rows": [row.to_json() for row in rows]}, indent=1)


def place(design: Design, say: Say, tick: Progress) -> Placed:
    """Places and routes the macro between registers, without a bitstream."""
    board = find_board(MEASURED_ON)
    device = board.devices[0]
    setup = Setup(board, device, SMALL, ASKED, board.baud)
    family, part = FAMILIES[board.parts[device].family], board.parts[device]
    tools = find_tools(family.kinds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clocks = elaborate(setup, folder, lambda setup: _between_registers(setup, design)).clocks
        flow = Flow(family, tools, part, say, tick, "" if design.multipliers else " -nodsp")
        made = Elaborated(folder, clocks, 0.0)
        routed = flow.place(made, flow.synthesise(made), 1, 1)
    clock = next(clock for clock in routed.timing.clocks if clock.name == SYS)
    return Placed(
        design,
        round(clock.reached, 2),
        str(routed.timing.path(SYS)),
        round(routed.done.seconds, 1),
        f"{tools[1].name} {tools[1].version}",
    )


def _between_registers(setup: Setup, design: Design) -> Any:
    """The macro's inputs from a shift register, its outputs folded to one bit by registers."""
    from litex.gen import LiteXModule  # noqa: PLC0415  Migen is slow to import
    from migen import Cat, Signal  # noqa: PLC0415

    from dscim.boards.clocks import Clocks  # noqa: PLC0415
    from dscim.gateware.macro import build_macro  # noqa: PLC0415
    from dscim.gateware.macro.exact import ExactParallel  # noqa: PLC0415

    top = LiteXModule()
    top.platform = setup.board.make_platform(setup.device)
    top.crg = Clocks(top.platform, setup.board, setup.clock)
    top.macro = macro = (ExactParallel if design.parallel else build_macro)(design.macro)
    pads = top.platform.request("serial")
    inputs = [
        signal
        for end in (macro.weights, macro.activations)
        for signal in end.flatten()
        if signal is not end.ready
    ]
    inputs += [*macro.config.flatten(), macro.products.ready]
    outputs = [
        macro.weights.ready,
        macro.activations.ready,
        *macro.status.flatten(),
        *(signal for signal in macro.products.flatten() if signal is not macro.products.ready),
    ]
    chain = Signal(sum(map(len, inputs)))
    top.sync += chain.eq(Cat(pads.rx, chain[:-1]))
    top.comb += Cat(*inputs).eq(chain)
    bits = list(Cat(*outputs))
    while len(bits) > 1:
        folded = [reduce(xor, bits[first : first + 4]) for first in range(0, len(bits), 4)]
        held = [Signal() for _ in folded]
        top.sync += [after.eq(before) for after, before in zip(held, folded, strict=True)]
        bits = held
    top.comb += pads.tx.eq(bits[0])
    return top


def main() -> int:
    """Places what is missing; prints a line each. Returns the exit status."""
    from dscim.host.fpga.fit.sides import contenders  # noqa: PLC0415  it reads what is kept here

    command = "python -m dscim.host.fpga.fit.alone"
    parser = argparse.ArgumentParser(
        prog=command,
        description=(
            "Places and routes the macros of `dscim macros`, each alone; adds what is missing to "
            "placed.json, beside this file."
        ),
    )
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--only", default="", metavar="WORDS", help="of a macro's name")
    options = parser.parse_args()
    rows = read_placed()
    try:
        for name, design, _ in contenders(options.rows, options.columns):
            if options.only in name and not any(row.design == design for row in rows):
                rows.append(place(design, print, lambda *_: None))
                write_placed(rows, command)
                print(f"{name}: {rows[-1].megahertz} MHz", flush=True)
    except (UserError, SpecError) as error:
        print(f"dscim: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
