"""The traced window of a simulation, and the GTKWave save file next to its trace."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vcd.gtkw import GTKWSave

from dscim.errors import SimulationError
from dscim.files import replacing, save_text
from dscim.progress import Say
from dscim.sim.verilate import Trace

FST_HEADER, FST_GEOMETRY, FST_HIERARCHIES = 0, 3, {4, 6, 7}
"""Types of blocks in an FST file."""

CYCLE = 10
"""Units of a trace's time (ns) per cycle."""

# A signal goes to the first group whose pattern its name holds.
GROUPS = (
    ("host bytes", r"^serial_"),
    ("UART bridge", r"uartbone|(bytes|words)_count|_(cmd|incr|length)(_next|$)"),
    ("macro", r"macro|prng|sng"),
    ("accumulator", r"accumulator"),
    ("requantiser", r"requantiser"),
    ("loader", r"loader"),
    ("order of work", r"walker|position|loops"),
    ("layer engine", r"engine"),
    ("registers", r"csr|bank|storage|status"),
    ("memories", r"memory|mem_"),
    ("bus", r"bus|interface|wishbone|master|slave"),
    ("clock and reset", r"clk|rst|reset"),
    ("other", r""),
)
# reg/wire, with or without sign and range, up to the name; memories have a range after it.
_DECLARATION = re.compile(
    r"^\s*(?:(?:input|output)\s+)?(?:reg|wire)\s+(?:signed\s+)?(?:\[(\d+):0\]\s*)?(\w+)\s*(?==|;|,|$)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class TraceWindow:
    """Cycles `start` <= c < `stop`, traced into `file`, with a GTKWave save file next to it.

    The name of `file` ends in .fst or .vcd, which is the format. Raises SimulationError for
    another name, or for a window without a cycle.
    """

    start: int
    stop: int
    file: Path

    def __post_init__(self) -> None:
        if self.file.suffix not in (".fst", ".vcd"):
            raise SimulationError(f"Trace file '{self.file}' ends neither in .fst nor in .vcd.")
        if not 0 <= self.start < self.stop:
            raise SimulationError(
                f"Trace window {self.start}:{self.stop} holds no cycle; give FROM < TO."
            )

    @property
    def trace(self) -> Trace:
        """The format of the trace."""
        return "fst" if self.file.suffix == ".fst" else "vcd"

    def save_groups(self, verilog: str, top: str) -> None:
        """Writes the GTKWave save file for the trace of module `top`, whose Verilog this is."""
        save_text(self.file.absolute().with_suffix(".gtkw"), save_file(verilog, top, self))


class _NoTrace(Exception):
    """The simulation has ended before the window of the trace."""


@contextmanager
def kept(window: TraceWindow, say: Say) -> Iterator[Path]:
    """The path to trace to; the trace becomes `window.file` when the block ends.

    SimulationError if it is cut. If the simulation ended before the window, `say` receives a line.
    """
    with suppress(_NoTrace), replacing(window.file.absolute()) as new:
        yield new
        if not new.exists():
            say(
                f"'{window.file}' was not written: the simulation ended before cycle "
                f"{window.start}."
            )
            raise _NoTrace
        if not is_whole(new):
            raise SimulationError(
                f"'{window.file}' was not written: the trace is cut; is the disk full?"
            )


def is_whole(path: Path) -> bool:
    """Whether a trace was written to its end; a full disk leaves a shorter one.

    FST: blocks with their type and length, the last of them the geometry and the hierarchy. A VCD
    writer reports a full disk itself.
    """
    if path.suffix != ".fst":
        return True
    kinds, place, size = set(), 0, path.stat().st_size
    with path.open("rb") as file:
        while place < size:
            head = file.read(9)
            length = int.from_bytes(head[1:], "big")
            if len(head) < 9 or length < 8:
                return False
            kinds.add(head[0])
            place += 1 + length
            file.seek(place)
    return place == size and {FST_HEADER, FST_GEOMETRY} <= kinds and bool(kinds & FST_HIERARCHIES)


def save_file(verilog: str, top: str, window: TraceWindow) -> str:
    """The text of the GTKWave save file: the signals of module `top` in named groups.

    Groups are folded, except the first that has signals.
    """
    groups: dict[str, set[tuple[str, bool]]] = {title: set() for title, _ in GROUPS}
    for width, name in _DECLARATION.findall(verilog):
        title = next(title for title, pattern in GROUPS if re.search(pattern, name))
        groups[title].add((f"TOP.{top}.{name}" + (f"[{width}:0]" if width else ""), bool(width)))
    text = io.StringIO()
    save = GTKWSave(text)
    save.dumpfile(str(window.file.absolute()))
    save.timestart(CYCLE * window.start)
    save.zoom_markers(-4.0, CYCLE * window.start)
    save.treeopen("TOP.")
    save.treeopen(f"TOP.{top}.")
    save.blank(f"cycle = time / {CYCLE} ns, {window.start} to {window.stop - 1}")
    filled = {title: names for title, names in groups.items() if names}
    for place, (title, names) in enumerate(filled.items()):
        with save.group(title, closed=place > 0):
            for name, is_vector in sorted(names):
                save.trace(name, datafmt="hex" if is_vector else "bin")
    return text.getvalue()
