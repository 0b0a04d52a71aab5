"""Fitness functions for tests of the search, where worker processes can import them."""

import os
import signal
from pathlib import Path

from dscim.host.prune import RATIOS, Structure


def closeness(structure: Structure) -> float:
    """Greatest where the genes are a certain pattern: something to be found."""
    return -float(sum(abs(gene - (7 * place + 11) % RATIOS)
                      for place, gene in enumerate(structure)))


def make_closeness():
    return closeness


def make_dies(file: Path, never: Structure | None = None):
    """`closeness` in a process that dies at its first structure, once a file; always at `never`."""
    def dies(structure: Structure) -> float:
        if structure == never or not file.exists():
            file.write_text("died")
            os.kill(os.getpid(), signal.SIGKILL)
        return closeness(structure)
    return dies
