"""A macro on tiles through Verilator and bench.cpp."""

import dataclasses
import subprocess
import tempfile
from pathlib import Path

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import ClockDomain, Signal

from dscim.gateware.macro import Macro
from dscim.sim.verilate import verilate
from dscim.sim.verilog import to_verilog
from tests.macro_bench.jobs import Tile, activation_commands, weight_commands

HERE = Path(__file__).parent
HEX = {"W": (), "A": (2, 3, 4)}
"""Numbers of a command that may have many bits, and are written in hex."""


@dataclasses.dataclass
class Outcome:
    """products: (activation_sum, counts) of each; at: its cycle; cycles, computing, violations,
    seconds: of the whole run."""

    products: list[tuple[int, list[int]]]
    at: list[int]
    cycles: int = 0
    computing: int = 0
    violations: int = 0
    seconds: float = 0.0


class Top(LiteXModule):
    """A macro with plainly named ports, and `violation` if it has a monitor."""

    def __init__(self, macro: Macro):
        self.macro = macro
        self.cd_sys = ClockDomain("sys", reset_less=True)
        self.violation = Signal(name_override="violation")
        self.ios = {self.cd_sys.clk, self.violation}
        for name in ("weights", "activations", "products"):
            self._stream(name, getattr(macro, name), outward=name == "products")
        for name, *_ in macro.status.layout:
            self._port(name, getattr(macro, name))
        self.comb += self.violation.eq(macro.monitor.violation if hasattr(macro, "monitor") else 0)

    def _stream(self, name: str, inner, outward: bool):
        outer = stream.Endpoint(inner.description, name=name)
        self.comb += inner.connect(outer) if outward else outer.connect(inner)
        layouts = (inner.description.payload_layout, inner.description.param_layout)
        fields = [field for layout in layouts for field, _ in layout]
        for field in ("valid", "ready", "last", *fields):
            getattr(outer, field).name_override = f"{name}_{field}"
            self.ios.add(getattr(outer, field))

    def _port(self, name: str, inner):
        outer = Signal.like(inner, name_override=name)
        self.comb += outer.eq(inner)
        self.ios.add(outer)


def verilated(macro: Macro, name: str, say=lambda text: None) -> Path:
    """Builds the Verilator model of a macro, or finds it in the cache; returns the executable."""
    top = Top(macro)
    verilog = to_verilog(top, top.ios, name="bench")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "bench.v"
        source.write_text(verilog.text)
        return verilate(
            name,
            [source, HERE / "bench.cpp"],
            "bench",
            files=verilog.files,
            say=say,
            flags=[
                "-CFLAGS",
                f"-DCOLUMNS={macro.spec.columns}",
                "-CFLAGS",
                f"-DCOUNT_WIDTH={macro.count_width}",
            ],
        )


def lines(tiles: list[Tile], words: int) -> list[str]:
    """The beats of all tiles in the format of bench.cpp."""
    return [
        " ".join([kind, *(_text(part, k in HEX[kind]) for k, part in enumerate(command, 1))])
        for kind, commands in (
            ("W", weight_commands(tiles)),
            ("A", activation_commands(tiles, words)),
        )
        for command in commands
    ]


def _text(part: int | bytes, wide: bool) -> str:
    """A part of a command."""
    if isinstance(part, bytes):
        return part.hex()
    return f"{part:x}" if wide else str(part)


def run_verilated(model: Path, tiles: list[Tile], words: int, seed: int, stall: int) -> Outcome:
    """Runs tiles through a model; stall: percentage of cycles in which a stream stalls."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "commands"
        path.write_text("\n".join(lines(tiles, words)) + "\n")
        done = subprocess.run(
            [str(model), str(path), str(seed), str(stall)],
            check=True,
            capture_output=True,
            text=True,
        )
    outcome = Outcome([], [])
    for line in done.stdout.splitlines():
        kind, *words_ = line.split()
        if kind == "P":
            outcome.at.append(int(words_[0]))
            outcome.products.append((int(words_[1]), [int(word) for word in words_[2:]]))
        else:
            outcome.cycles, outcome.computing, outcome.violations = map(int, words_[:3])
            outcome.seconds = float(words_[3])
    return outcome
