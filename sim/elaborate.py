"""A design to Verilog and to the executable that simulates it, each cached.

A second run finds both in the cache and does not import Migen at all.
"""

import importlib.metadata
import inspect
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dscim.cache import build_beside, cache_folder, digest
from dscim.progress import Say, silent, step
from dscim.sim.verilate import HARNESS, STORED, Trace, verilate

TOP = "sim"
# LiteEth has comparisons that are always true. In any other SoC they end the build.
LITEETH = ("-Wno-CMPCONST",)
_ELABORATING = threading.Lock()  # Migen and LiteX have global state
_IMPORTED = time.time() - 10  # this process imported nothing before


@dataclass(frozen=True)
class Lan:
    """The Ethernet side of a SoC, for the harness.

    address: the device's IP address. ports: its UDP ports, each of which gets a port on loopback.
    """

    address: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Design:
    """A SoC that can be simulated, described without elaborating it.

    name: prefix of cached files. key: identifies all parameters of the SoC (a spec's hash).
    build: makes the SoC on a `dscim.sim.platform.SimPlatform`; imports Migen when called.
    sources: folders whose .py files, with `key` and the file of `build`, determine the SoC.
    clk_freq: the clock frequency that the SoC assumes, in Hz; only a unit of time here.
    lan: for a SoC that requests the pins "eth" from the platform.
    """

    name: str
    key: str
    build: Callable[[Any], Any]
    sources: Sequence[Path]
    clk_freq: int
    lan: Lan | None = None


def design_key(design: Design) -> str:
    """A key over the design's key, the sources that make it and the versions of Migen and LiteX.

    If a source is younger than this process, which may have imported an older version, the key is
    unique to this process: no other process finds the output of old code under the new code's key.
    """
    versions = [importlib.metadata.version(package) for package in ("migen", "litex")]
    makers = {*Path(__file__).parent.glob("*.py"), Path(inspect.getfile(design.build))}
    sources = sorted(makers)
    for folder in design.sources:
        sources += sorted(folder.rglob("*.py"))
    own = max(path.stat().st_mtime for path in sources) > _IMPORTED
    texts = [part for path in sources for part in (path.name, path.read_bytes())]
    return digest([design.name, design.key, *versions, *texts, str(os.getpid()) if own else ""])


def elaborated(design: Design) -> Path:
    """The folder with the design's Verilog, TOP.v and its memory contents; it may not exist yet."""
    return cache_folder() / f"{design.name}-{design_key(design)}.verilog"


def elaborate(design: Design) -> Path:
    """Builds the design's SoC and converts it, quietly, into the folder `elaborated(design)`."""
    from dscim.sim.platform import SimPlatform  # noqa: PLC0415  Migen is slow to import
    from dscim.sim.verilog import to_verilog  # noqa: PLC0415

    with _quiet():
        platform = SimPlatform()
        verilog = to_verilog(design.build(platform), name=TOP, platform=platform)
    home = elaborated(design)
    with build_beside(home) as beside:
        for file, text in ({f"{TOP}.v": verilog.text} | verilog.files).items():
            (beside / file).write_text(text)
    return home


def model(design: Design, *, trace: Trace = "", say: Say = silent) -> Path:
    """The design's executable, from the cache or built.

    say: receives each step with its seconds. Raises SimulationError when a step fails.
    """
    folder = elaborated(design)
    with _ELABORATING:
        if not folder.exists():
            with step(say, f"[1/2] elaborate {design.name}"):
                elaborate(design)
    harness = {*HARNESS.glob("*.cpp"), *HARNESS.glob("*.h")}.difference(STORED)
    sources = [folder / f"{TOP}.v", *sorted(harness)]
    contents = {path.name: path.read_text() for path in folder.glob("*.init")}
    flags = LITEETH if design.lan else ()
    return verilate(
        design.name,
        sources,
        TOP,
        trace=trace,
        files=contents,
        flags=flags,
        say=say,
        label="[2/2] compile",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses LiteX's log of each SoC at level INFO; warnings pass."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)
