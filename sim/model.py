"""A design to the executable that simulates it."""

import threading
from pathlib import Path

from dscim.progress import Say, silent, step
from dscim.sim.elaborate import TOP, Design, elaborate, elaborated
from dscim.sim.verilate import HARNESS, STORED, Trace, verilate

# What LiteEth has on purpose and what ends the build of another SoC: comparisons that always hold.
LITEETH = ("-Wno-CMPCONST",)
_ELABORATING = threading.Lock()  # Migen and LiteX keep state of their own


def model(design: Design, *, trace: Trace = "", say: Say = silent) -> Path:
    """The design's executable, from the cache or built; `say` hears the steps with their seconds.

    Raises SimulationError when a step fails.
    """
    folder = elaborated(design)
    with _ELABORATING:
        if not folder.exists():
            with step(say, f"[1/2] elaborate {design.name}"):
                elaborate(design)
    harness = {*HARNESS.glob("*.cpp"), *HARNESS.glob("*.h")}.difference(STORED)
    sources = [folder / f"{TOP}.v", *sorted(harness)]
    contents = {path.name: path.read_text() for path in folder.glob("*.init")}
    return verilate(
        design.name, sources, TOP, trace=trace, files=contents,
        flags=LITEETH if design.lan else (), say=say, label="[2/2] compile",
    )  # fmt: skip
