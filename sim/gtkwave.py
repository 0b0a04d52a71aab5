"""A GTKWave save file: the SoC's signals in named groups, at the traced window."""

import re
from pathlib import Path

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


def save_file(verilog: str, top: str, trace: Path, start: int, stop: int) -> str:
    """The text of the .gtkw file for `trace` of module `top`, cycles `start` <= c < `stop`.

    A cycle is 10 ns of the trace. Groups are folded, except the first that has signals.
    """
    groups: dict[str, list[str]] = {title: [] for title, _ in GROUPS}
    for width, name in _DECLARATION.findall(verilog):
        title = next(title for title, pattern in GROUPS if re.search(pattern, name))
        groups[title].append(f"TOP.{top}.{name}" + (f"[{width}:0]" if width else ""))
    lines = [
        f'[dumpfile] "{trace}"',
        f"[timestart] {10 * start}",
        f"*-4.0 {10 * start} " + " ".join(["-1"] * 26),
        "[treeopen] TOP.",
        f"[treeopen] TOP.{top}.",
        f"@200\n-cycle = time / 10 ns, {start} to {stop - 1}",
    ]
    state = "@800200"  # an open group; 0xC00200 is a folded one
    for title, names in groups.items():
        if names:
            end = state.replace("8002", "10002").replace("c002", "14012")
            lines += [state, f"-{title}", "@28" if state == "@800200" else "@29"]
            lines += [*sorted(set(names)), end, f"-{title}"]
            state = "@c00200"
    return "\n".join(lines) + "\n"
