"""The cells of a device by the module of the gateware that they belong to.

Migen makes one flat Verilog module, so the cells of one synthesis are attributed afterwards:

* A signal belongs to the module that assigns it, and a memory to the module that has it.
* A cell belongs to the module of the signal that it drives.
* A cell without a signal, such as a table in the middle of an expression, belongs to the module to
  which most of the cells that it drives belong.

Every cell is counted once, so that the modules add up to the device.
"""

import dataclasses
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from migen import Memory
from migen.fhdl.structure import Signal, _Assign, _Slice
from migen.fhdl.tools import list_targets

from dscim.boards.soc import TOP, Setup, board_soc, elaborate
from dscim.errors import UserError
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import YOSYS, find_tool
from dscim.progress import Progress, Say

FAMILY = FAMILIES["ecp5"]

KINDS = {
    "lut4": FAMILY.tables,
    "flip_flops": {"TRELLIS_FF": 1},
    "block_ram": {"DP16KD": 1},
    "multipliers": {"MULT18X18D": 1},
}
"""What is counted, and the number that each of Yosys's cells counts for."""

METHOD = (
    "One synthesis of the whole device; every cell counts once, in the module whose signal it "
    "drives. That is by name for {share:.0f} % of the LUT4s, and otherwise the module of most of "
    "the cells that it drives: logic between two modules counts in the one that it leads to. A "
    "carry counts as two LUT4s, distributed RAM of 16 x 4 bits as four."
)
"""How cells are attributed, with the share of those that have a name."""

FOLDED = ("fsm",)
"""Submodules that count as part of their module."""

Owners = Mapping[str, str]
"""The module of a signal, or of a memory, by its name in the Verilog."""


@dataclasses.dataclass(frozen=True)
class Breakdown:
    """cells: by module, a path such as core/engine/setup; each is one of KINDS, by name.

    named: the LUT4s that were attributed by the name of their signal.
    """

    cells: dict[str, Counter[str]]
    named: int

    def total(self, path: str = "") -> Counter[str]:
        """The cells of the module at `path` with all below it; "": of the device."""
        inside = (
            cells
            for module, cells in self.cells.items()
            if not path or module == path or module.startswith(f"{path}/")
        )
        return sum(inside, Counter())

    def tree(self, depth: int) -> Iterator[tuple[str, Counter[str]]]:
        """Modules to a depth with all below them, each followed by its own, largest first.

        The cells of a module outside its submodules are those of path/. if it has submodules.
        """
        yield from self._below("", depth)

    def _below(self, path: str, depth: int) -> Iterator[tuple[str, Counter[str]]]:
        start = f"{path}/" if path else ""
        below = {
            start + module.removeprefix(start).split("/")[0]
            for module in self.cells
            if module != path and module.startswith(start)
        }
        rows = {module: self.total(module) for module in below}
        for module in sorted(rows, key=lambda name: (-rows[name]["lut4"], name)):
            yield module, rows[module]
            if depth > 1:
                yield from self._below(module, depth - 1)
        if below and path in self.cells:
            yield f"{start}.", self.cells[path]


def break_down(setup: Setup, say: Say, tick: Progress) -> Breakdown:
    """Synthesises the device as a build does; UserError without Yosys, or for another FPGA."""
    part = setup.board.parts[setup.device]
    if FAMILIES[part.family] is not FAMILY:
        raise UserError(
            f"Cells are counted by module only for ECP5, not for {part.name}; choose another board."
        )
    kept: list[tuple[Any, Any]] = []

    def make(setup: Setup) -> Any:
        soc = board_soc(setup)
        build = soc.platform.build

        def building(*arguments: Any, **named: Any) -> Any:
            names = build(*arguments, **named)
            kept.append((soc, names))
            return names

        soc.platform.build = building
        return soc

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        elaborate(setup, folder, make)
        step = Step(
            "breakdown",
            "synthesis",
            find_tool(YOSYS),
            ("-q", "-p", FAMILY.script()),
            {path.name: path for path in folder.iterdir() if path.suffix in (".v", ".init")},
            (f"{TOP}.json", "cells.json"),
            120,
        )
        done = run_step(step, say, tick)
    netlist = json.loads((done.folder / f"{TOP}.json").read_text())["modules"][TOP]
    return attribute(netlist, owners(*kept[0]))


def owners(top: Any, names: Any) -> Owners:
    """The owners of the signals and memories of a finalised module. names: its Verilog's names.

    A signal that is only a copy of another has the owner of that one.
    """
    found: dict[Any, str] = {}
    sources: dict[Any, Any] = {}
    for path, fragment in _modules(top, ""):
        for statement in fragment.comb:
            if isinstance(statement, _Assign) and isinstance(statement.l, Signal):
                source = statement.r.value if isinstance(statement.r, _Slice) else statement.r
                if isinstance(source, Signal):
                    sources[statement.l] = source
        for special in fragment.specials:
            if isinstance(special, Memory):
                found.setdefault(special, path)
            for signal in special.list_ios(False, True, True):
                found.setdefault(signal, path)
        for target in list_targets([fragment.comb, *fragment.sync.values()]):
            found.setdefault(target, path)
    return {
        names.get_name(thing): found.get(_source(thing, sources), path)
        for thing, path in found.items()
    }


def _source(signal: Any, sources: Mapping[Any, Any]) -> Any:
    """The signal of which `signal` is a copy, maybe of copies; itself if it is not a copy."""
    seen = set()
    while signal in sources and signal not in seen:
        seen.add(signal)
        signal = sources[signal]
    return signal


def _modules(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The path and the fragment of every module, those below it first."""
    counts: Counter[str] = Counter()
    for given, below in module._submodules:
        name = given or type(below).__name__.lower()
        counts[name] += 1
        if counts[name] > 1:
            name += f"{counts[name]}"
        inside = path if name in FOLDED else f"{path}/{name}" if path else name
        yield from _modules(below, inside)
    yield path, module._fragment


def attribute(netlist: Any, owners: Owners) -> Breakdown:
    """netlist: a flat module of Yosys's JSON."""
    by_bit: dict[int, str] = {}
    for name, net in netlist["netnames"].items():
        owner = _owner(name, owners)
        if owner is not None:
            for bit in net["bits"]:
                by_bit.setdefault(bit, owner)
    outputs: dict[str, list[int]] = {}
    readers: defaultdict[int, list[str]] = defaultdict(list)
    modules: dict[str, str] = {}
    for name, cell in netlist["cells"].items():
        outputs[name] = []
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                outputs[name] += bits
            else:
                for bit in bits:
                    readers[bit].append(name)
        named = [by_bit[bit] for bit in outputs[name] if bit in by_bit]
        owner = _owner(name, owners)
        if named or owner is not None:
            modules[name] = named[0] if owner is None else owner
    named_cells = set(modules)
    _spread(netlist["cells"], outputs, readers, modules)
    cells: dict[str, Counter[str]] = {}
    for name, cell in netlist["cells"].items():
        counted = _counted(cell["type"])
        if counted:
            cells.setdefault(modules.get(name, ""), Counter()).update(counted)
    named_tables = sum(
        _counted(netlist["cells"][name]["type"]).get("lut4", 0) for name in named_cells
    )
    return Breakdown(cells, named_tables)


def _counted(kind: str) -> dict[str, int]:
    return {name: kinds[kind] for name, kinds in KINDS.items() if kind in kinds}


def _owner(name: str, owners: Owners) -> str | None:
    """The owner of a net or a cell; None if it has no name of a signal or of a memory.

    The words of a memory have names such as mem.0.1, and the registers of its ports mem_dat0.
    """
    if name in owners:
        return owners[name]
    memory = re.fullmatch(r"(\w+?)(_(?:adr|dat)\d+|(?:\.\d+)+)", name)
    return owners.get(memory[1]) if memory else None


def _spread(
    cells: Any,
    outputs: dict[str, list[int]],
    readers: dict[int, list[str]],
    modules: dict[str, str],
) -> None:
    """Adds the cells that are not in `modules`, each by the cells that it drives."""
    waiting = [name for name in cells if name not in modules]
    while waiting:
        found = {}
        for name in waiting:
            votes = Counter(
                modules[reader]
                for bit in outputs[name]
                for reader in readers.get(bit, ())
                if reader in modules
            )
            if votes:
                found[name] = min(votes, key=lambda owner: (-votes[owner], owner))
        if not found:
            return
        modules |= found
        waiting = [name for name in waiting if name not in modules]
