"""Runs tasks in worker processes; if a worker dies, only its task is run again."""

import signal
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from dscim.errors import UserError

Task = TypeVar("Task", bound=Hashable)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

Make = Callable[[], Callable[[Task], Result]]
"""Makes the function that evaluates a task, in the process that calls it; must be picklable."""

MAX_DEATHS = 3
"""How often a task is tried again after its worker died."""


class Evaluator(Protocol[Task, Result_co]):
    """Evaluates tasks, in processes of this machine or on a cluster."""

    def evaluate(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result_co]]:
        """(task, result) in the order of completion."""


_own: list[Callable[[Any], Any]] = []
"""In a worker process: the function that evaluates."""


class Workers(Generic[Task, Result]):
    """Evaluates tasks in `count` processes, or in this one when it is 1. A context manager.

    A result must depend on its task alone, so that it is the same for any number of workers.
    """

    def __init__(self, make: Make[Task, Result], count: int = 1) -> None:
        self._make, self._count = make, count
        self._own: Callable[[Task], Result] | None = None
        self._pool: ProcessPoolExecutor | None = None
        self._others = {*active_children()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:  # Ctrl-C, perhaps while workers are starting
            for worker in set(active_children()) - self._others:
                worker.terminate()
        self._close()

    def evaluate(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """(task, result) in the order of completion.

        UserError if workers died at the same task more than MAX_DEATHS times.
        """
        if self._count == 1:
            self._own = self._own or self._make()
            for task in tasks:
                yield task, self._own(task)
            return
        left = dict.fromkeys(tasks, 0)
        while left:
            yield from self._round(left)

    def _round(self, left: dict[Task, int]) -> Iterator[tuple[Task, Result]]:
        """Evaluates until all are done or a worker dies; removes finished tasks from `left`.

        Tasks whose worker may have died run one at a time, which shows the one at fault.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._count, get_context("spawn"), _prepare, (self._make,)
            )
        suspects = [task for task, deaths in left.items() if deaths]
        queue, width = (suspects, 1) if suspects else ([*left], self._count)
        waiting: dict[Future[Result], Task] = {}
        try:
            while queue or waiting:
                while queue and len(waiting) < width:
                    task = queue.pop(0)
                    waiting[self._pool.submit(_evaluate, task)] = task
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    task = waiting.pop(future)
                    del left[task]
                    yield task, result
        except BrokenProcessPool as error:
            self._close()
            for task in waiting.values():
                left[task] += 1
                if left[task] > MAX_DEATHS:
                    raise UserError(
                        f"workers died {left[task]} times at {task}; check the free memory."
                    ) from error

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _prepare(make: Make[Any, Any]) -> None:
    """Prepares a new worker; only the parent process handles Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _own.append(make())


def _evaluate(task: Any) -> Any:
    """The result of a task, in a worker."""
    return _own[0](task)
