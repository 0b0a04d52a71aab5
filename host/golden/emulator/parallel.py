"""Divides images among threads, in batches of bounded memory."""

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from dscim.progress import Tick

Result = TypeVar("Result")

THREADS = "DSCIM_THREADS"
"""The environment variable for the number of threads; by default one per core."""


def thread_count() -> int:
    """Number of threads: DSCIM_THREADS, else the cores that this process may use."""
    setting = os.environ.get(THREADS, "")
    if setting.isdecimal() and int(setting) > 0:
        return int(setting)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_images(
    work: Callable[[slice], Result],
    count: int,
    batch: int,
    step: Tick | None = None,
    threads: int | None = None,
) -> list[Result]:
    """The results of `work` for every batch of `count` images, in order, from several threads.

    work: takes the batch as a slice of the images; it should release the interpreter lock, as
    the kernel and numpy do. Besides the results, at most one batch per thread is in memory. An
    error or Ctrl-C starts no more batches. step: called with the number of finished images and
    `count` after each batch, from the calling thread.
    """
    threads = threads or thread_count()
    parts = [slice(start, min(start + batch, count)) for start in range(0, count, batch)]
    results: dict[int, Result] = {}
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        waiting: dict[Future[Result], int] = {}
        for place, part in enumerate([*parts, None]):
            while waiting and (part is None or len(waiting) >= threads):
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    finished = waiting.pop(future)
                    results[finished] = future.result()
                    done += parts[finished].stop - parts[finished].start
                    if step:
                        step(done, count)
            if part is not None:
                waiting[pool.submit(work, part)] = place
    return [results[place] for place in range(len(parts))]
