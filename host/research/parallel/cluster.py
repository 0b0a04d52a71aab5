"""Runs tasks on a cluster of Dask workers, which may be on many machines.

The workers must see the same files under the same names, and have this package installed.
"""

import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self

from dscim.errors import UserError
from dscim.host.research.parallel.processes import Make, Result, Task

PATIENCE = 60
"""Seconds to wait for a cluster without workers."""

_made: dict[bytes, Callable[[Any], Any]] = {}
"""In a worker: the evaluating functions, by the pickled `Make` that made each."""

_making = threading.Lock()


class Cluster(Generic[Task, Result]):
    """Evaluates tasks on the workers of a Dask scheduler. A context manager.

    make: makes the function that evaluates, once in each worker; must be picklable. Workers may
    come and go: the scheduler gives the tasks of a dead worker to others.
    """

    def __init__(
        self, make: Make[Task, Result], scheduler: str, patience: float = PATIENCE
    ) -> None:
        """scheduler: address, tcp://HOST:PORT, or the file that `dask scheduler` writes.

        patience: how long to wait for a scheduler or for workers, in seconds. UserError if no
        scheduler answers.
        """
        self._make, self._patience = pickle.dumps(make), patience
        self._dask = _distributed()
        where = {"scheduler_file" if Path(scheduler).is_file() else "address": scheduler}
        try:
            self._client = self._dask.Client(**where, timeout=patience)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"no Dask scheduler answers at {scheduler}: {error}; start one with "
                "`dask scheduler`, and workers with `dask worker`."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def evaluate(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """(task, result) in the order of completion.

        UserError if workers died repeatedly at the same task, or no worker is left.
        """
        queue, waiting = list(tasks), dict[Any, Task]()
        while queue or waiting:
            while queue and len(waiting) < max(1, self._threads()):
                waiting[self._client.submit(_evaluate, self._make, queue[0], pure=False)] = queue[0]
                del queue[0]
            for future in self._some(list(waiting)):
                task = waiting.pop(future)
                try:
                    result = future.result()
                except self._dask.KilledWorker as error:
                    raise UserError(
                        f"the cluster's workers died repeatedly at {task}; check their free memory."
                    ) from error
                yield task, result

    def _some(self, futures: list[Any]) -> Iterable[Any]:
        """The finished ones, at least one."""
        while True:
            try:
                done: set[Any] = self._dask.wait(
                    futures, timeout=self._patience, return_when="FIRST_COMPLETED"
                ).done
                return done
            except TimeoutError:
                if not self._threads():
                    raise UserError(
                        "the Dask scheduler has no workers; start some with `dask worker`."
                    ) from None

    def _threads(self) -> int:
        """How many tasks the present workers can run at once."""
        return sum(self._client.nthreads().values())


def _distributed() -> Any:
    """The package `distributed`; UserError where it is not installed."""
    try:
        import distributed  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "a cluster needs dask.distributed: install it with `pip install dscim[cluster]`."
        ) from error
    return distributed


def _evaluate(make: bytes, task: Any) -> Any:
    """The result of a task, in a worker."""
    with _making:
        if make not in _made:
            _made[make] = pickle.loads(make)()
    return _made[make](task)
