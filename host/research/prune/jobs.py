"""Commands of `dscim prune` as processes, several at a time; each goes on where it stopped."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dscim.host.research.prune.experiment import Piece

POLL = 0.2
"""Seconds between looks at the processes."""

PROGRAM = "import sys; from dscim.host.cli import main; sys.exit(main())"


class Jobs:
    """Runs pieces as processes of this machine, `count` at a time."""

    def __init__(self, count: int) -> None:
        self._count = count

    def evaluate(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, int]]:
        """(piece, exit status) in the order in which they are done; none is left behind."""
        queue, running = list(pieces), dict[subprocess.Popen[bytes], Piece]()
        try:
            while queue or running:
                while queue and len(running) < self._count:
                    running[_begun(queue[0])] = queue[0]
                    del queue[0]
                time.sleep(POLL)
                for process in [each for each in running if each.poll() is not None]:
                    yield running.pop(process), process.returncode
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def log_of(piece: Piece) -> Path:
    """The file with what a piece tells."""
    return piece.output.with_suffix(".log")


def make_run() -> Callable[[Piece], int]:
    """For the workers of a cluster: what runs a piece and returns its exit status."""
    return lambda piece: _begun(piece).wait()


def _begun(piece: Piece) -> subprocess.Popen[bytes]:
    """The process of a piece, which tells its log file."""
    with log_of(piece).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "prune", *piece.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
