"""The clock that a macro reaches, placed and routed alone on the board MEASURED_ON."""

import dataclasses
import json
import tempfile
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

from dscim.boards import find_board
from dscim.boards.sizes import SMALL
from dscim.boards.soc import SYS, Setup, elaborate
from dscim.files import save_json
from dscim.gateware.specs import Spec
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.flow import Elaborated, Flow
from dscim.host.fpga.bitstream.tools import find_tools
from dscim.host.fpga.fit.design import MEASURED_ON, Design
from dscim.progress import Progress, Say

TABLE = Path(__file__).parent / "placed.json"
COMMAND = "dscim dev placed"
"""The command that adds to the table."""

ASKED = 100e6
"""The target clock for nextpnr, in Hz; the result is the clock that it reaches."""


@dataclasses.dataclass(frozen=True)
class Placed(Spec):
    """A macro after place and route.

    megahertz: the clock that it reached. path: the slowest path. seconds: time of place and route.
    nextpnr: its name and version.
    """

    design: Design
    megahertz: float
    path: str
    seconds: float
    nextpnr: str


def read_placed(path: Path = TABLE) -> list[Placed]:
    """The rows of the table; none if there is no file."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return [Placed.from_json(row) for row in rows]


def write_placed(rows: list[Placed], path: Path = TABLE) -> None:
    """Replaces the table, whole or not at all."""
    save_json(path, {"command": COMMAND, "rows": [row.to_json() for row in rows]}, indent=1)


def place(design: Design, say: Say, tick: Progress) -> Placed:
    """Places and routes the macro between registers, without a bitstream; takes minutes."""
    board = find_board(MEASURED_ON)
    device = board.devices[0]
    setup = Setup(board, device, SMALL, ASKED, board.baud)
    family, part = FAMILIES[board.parts[device].family], board.parts[device]
    tools = find_tools(family.kinds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clocks = elaborate(setup, folder, lambda setup: _between_registers(setup, design)).clocks
        flow = Flow(family, tools, part, say, tick, "" if design.multipliers else " -nodsp")
        ready = Elaborated(folder, clocks, 0.0)
        routed = flow.place(ready, flow.synthesise(ready), 1, 1)
    clock = next(clock for clock in routed.timing.clocks if clock.name == SYS)
    return Placed(
        design,
        round(clock.reached, 2),
        str(routed.timing.path(SYS)),
        round(routed.done.seconds, 1),
        f"{tools[1].name} {tools[1].version}",
    )


def _between_registers(setup: Setup, design: Design) -> Any:
    """The macro with its inputs from a shift register and its outputs folded to one bit."""
    from litex.gen import LiteXModule  # noqa: PLC0415  Migen is slow to import
    from migen import Cat, Signal  # noqa: PLC0415

    from dscim.boards.clocks import Clocks  # noqa: PLC0415
    from dscim.gateware.macro import build_macro  # noqa: PLC0415

    top = LiteXModule()
    top.platform = setup.board.make_platform(setup.device)
    top.crg = Clocks(top.platform, setup.board, setup.clock)
    top.macro = macro = build_macro(design.macro, design.words)
    pads = top.platform.request("serial")
    inputs = [
        signal
        for end in (macro.weights, macro.activations)
        for signal in end.flatten()
        if signal is not end.ready
    ]
    inputs.append(macro.products.ready)
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
