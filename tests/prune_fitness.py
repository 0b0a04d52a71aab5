"""Fitness functions for tests of the search, where worker processes can import them."""

import os
import signal
import sys
import time
from pathlib import Path

from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host.research.parallel import Workers
from dscim.host.research.prune import RATIOS, Structure
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.mobilenet import mobilenet_v1
from dscim.host.research.prune.search import Settings, evolve
from dscim.host.research.prune.table import CostTable, build

TINY = mobilenet_v1("tiny", (8, 8, 3), 5, ((16, 1), (32, 2), (48, 1), (32, 1), (32, 1)))
DEVICE = SocSpec(MacroSpec(rows=64, columns=4), weight_rows=8192, banks=8, requant_lanes=4)
"""So small that the cycles of TINY depend on every width."""

SMALL = Settings(population=12, iterations=4, parents=4, mutations=5, crossovers=5, seed=3)


def limited(table: CostTable) -> Budget:
    """A budget of the cycles of TINY."""
    return Budget(TINY, {"cycles": table.total(TINY, TINY.full) * 6 // 10}, table)


def closeness(structure: Structure) -> float:
    """Greatest where the genes have a certain pattern, which a search should find."""
    return -float(
        sum(abs(gene - (7 * place + 11) % RATIOS) for place, gene in enumerate(structure))
    )


def make_closeness():
    return closeness


def make_dies(file: Path, never: Structure | None = None):
    """`closeness`, but the process dies at its first structure once, and always at `never`."""

    def dies(structure: Structure) -> float:
        if structure == never or not file.exists():
            file.write_text("died")
            os.kill(os.getpid(), signal.SIGKILL)
        return closeness(structure)

    return dies


def make_slow():
    """`closeness`, so slow that a search can be killed."""

    def slow(structure: Structure) -> float:
        time.sleep(0.05)
        return closeness(structure)

    return slow


if __name__ == "__main__":
    with Workers(make_slow) as evaluator:
        evolve(
            limited(build(TINY, DEVICE, ProductSpec())),
            SMALL,
            evaluator,
            Cache(Path(sys.argv[1]), {"seed": SMALL.seed}),
        )
