"""Evaluation of structures by worker processes; one that dies costs its task alone."""

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Protocol, Self

from dscim.host.errors import UserError
from dscim.host.prune.space import Structure

Fitness = Callable[[Structure], float]
"""The greater the better; the same structure always gives the same number."""

MakeFitness = Callable[[], Fitness]
"""Makes the fitness in the process that uses it; to be pickled."""

MOST_DEATHS = 3
"""Times that a structure is tried again after the worker that had it died."""

class Evaluator(Protocol):
    """What evaluates structures: processes of this machine, or those of a cluster."""

    def evaluate(self, structures: Iterable[Structure]) -> Iterator[tuple[Structure, float]]:
        """(structure, fitness) in the order in which they are done."""


_own: list[Fitness] = []
"""In a worker process: its fitness."""


class Workers:
    """Evaluates structures in `count` processes, or in this one when it is 1. A context manager.

    Results come as they are ready; a fitness depends on its structure alone, so a search is the
    same for any number of workers.
    """

    def __init__(self, make: MakeFitness, count: int = 1) -> None:
        self._make, self._count = make, count
        self._own: Fitness | None = None
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._close()

    def evaluate(self, structures: Iterable[Structure]) -> Iterator[tuple[Structure, float]]:
        """(structure, fitness) in the order in which they are done.

        UserError where a structure's worker died MOST_DEATHS times.
        """
        if self._count == 1:
            self._own = self._own or self._make()
            for structure in structures:
                yield structure, self._own(structure)
            return
        left = dict.fromkeys(structures, 0)
        while left:
            yield from self._round(left)

    def _round(self, left: dict[Structure, int]) -> Iterator[tuple[Structure, float]]:
        """Evaluates until all are done, or a worker dies; `left` loses what is done.

        Those at which a worker may have died go alone, so that it shows which it was.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._count, get_context("spawn"), _prepare,
                                             (self._make,))
        suspects = [structure for structure, deaths in left.items() if deaths]
        queue, width = (suspects, 1) if suspects else ([*left], self._count)
        waiting: dict[Future[float], Structure] = {}
        try:
            while queue or waiting:
                while queue and len(waiting) < width:
                    structure = queue.pop(0)
                    waiting[self._pool.submit(_evaluate, structure)] = structure
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    fitness = future.result()
                    structure = waiting.pop(future)
                    del left[structure]
                    yield structure, fitness
        except BrokenProcessPool as error:
            self._close()
            for structure in waiting.values():
                left[structure] += 1
                if left[structure] > MOST_DEATHS:
                    raise UserError(f"workers died {left[structure]} times at the structure "
                                    f"{structure}; see whether memory is short.") from error

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _prepare(make: MakeFitness) -> None:
    """What a new worker does first; Ctrl-C is for the process that asked it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _own.append(make())


def _evaluate(structure: Structure) -> float:
    """The fitness of a structure, in a worker."""
    return _own[0](structure)
