"""A macro on tiles through Verilator and bench.cpp."""

import dataclasses
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import ClockDomain, Signal

from dscim.gateware.macro import Macro
from dscim.gateware.specs import MacroSpec
from dscim.sim.verilate import verilate
from dscim.sim.verilog import to_verilog
from tests.macro_bench.jobs import Tile, beats, full_beats

HERE = Path(__file__).parent


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


def configuration(tile: Tile) -> tuple[int, int, int, int]:
    """samples_log2, offset, zero_point, activation_shift."""
    product = tile.product
    return (
        product.samples.bit_length() - 1,
        int(product.signed == "offset"),
        tile.zero_point,
        product.activation_shift,
    )


def commands(tiles: list[Tile], seed: int, full: bool = False) -> list[tuple]:
    """The beats of all tiles in order, in the format of bench.cpp."""
    rng = np.random.default_rng(seed)
    result: list[tuple] = []
    for before, tile in zip([None, *tiles], tiles, strict=False):
        if before is None or configuration(before) != configuration(tile):
            result.append(("C", *configuration(tile)))
        for row in rng.permutation(len(tile.weights)):
            result.append(("W", int(row), tile.weights[row].tobytes()))
        for window in tile.windows:
            for beat in full_beats(window) if full else beats(window, rng):
                result.append(("A", beat.row, beat.count, int(beat.last), beat.data))
    return result


class Top(LiteXModule):
    """A macro with plainly named ports, and `violation` if it has a monitor."""

    def __init__(self, macro: Macro):
        self.macro = macro
        self.cd_sys = ClockDomain("sys", reset_less=True)
        self.violation = Signal(name_override="violation")
        self.ios = {self.cd_sys.clk, self.violation}
        for name in ("weights", "activations", "products"):
            self._stream(name, getattr(macro, name), outward=name == "products")
        for name, *_ in macro.config.layout:
            self._port(name, getattr(macro, name), outward=False)
        for name, *_ in macro.status.layout:
            self._port(name, getattr(macro, name), outward=True)
        self.comb += self.violation.eq(macro.monitor.violation if hasattr(macro, "monitor") else 0)

    def _stream(self, name: str, inner, outward: bool):
        outer = stream.Endpoint(inner.description, name=name)
        self.comb += inner.connect(outer) if outward else outer.connect(inner)
        fields = [field for field, _ in inner.description.payload_layout]
        for field in ("valid", "ready", "last", *fields):
            getattr(outer, field).name_override = f"{name}_{field}"
            self.ios.add(getattr(outer, field))

    def _port(self, name: str, inner, outward: bool):
        outer = Signal.like(inner, name_override=name)
        self.comb += outer.eq(inner) if outward else inner.eq(outer)
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


def run_verilated(
    model: Path, spec: MacroSpec, tiles: list[Tile], seed: int, stall: int, full: bool = False
) -> Outcome:
    """Runs tiles through a model; stall: percentage of cycles; full: fewest beats."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "commands"
        path.write_text(
            "\n".join(
                " ".join(part.hex() if isinstance(part, bytes) else str(part) for part in command)
                for command in commands(tiles, seed, full)
            )
            + "\n"
        )
        done = subprocess.run(
            [str(model), str(path), str(seed), str(stall)],
            check=True,
            capture_output=True,
            text=True,
        )
    outcome = Outcome([], [])
    for line in done.stdout.splitlines():
        kind, *words = line.split()
        if kind == "P":
            outcome.at.append(int(words[0]))
            outcome.products.append((int(words[1]), [int(word) for word in words[2:]]))
        else:
            outcome.cycles, outcome.computing, outcome.violations = map(int, words[:3])
            outcome.seconds = float(words[3])
    return outcome
