"""A search by Dask workers: the same for any number, also where one of them dies."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="Dask is missing: pip install dscim[cluster]")

from dscim.errors import UserError
from dscim.host.research.parallel import Cluster, Workers
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.mobilenet import mobilenet_v1
from dscim.host.research.prune.search import Settings, evolve
from tests.commandline import dscim
from tests.prune_fitness import make_closeness, make_dies

TINY = mobilenet_v1("tiny", (8, 8, 3), 5, ((16, 1), (32, 2), (48, 1), (32, 1)))
CHOSEN = Settings(population=6, iterations=2, parents=3, mutations=2, crossovers=2)
ROOT = Path(__file__).parent.parent


@contextmanager
def dask(*arguments: str, log: Path):
    """A process of `dask`."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            stdout=file,
            stderr=file,
            env=os.environ | {"PYTHONPATH": paths},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture(scope="module", name="scheduler")
def _scheduler(tmp_path_factory):
    """The file of a scheduler with two workers."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        stack.enter_context(
            dask(
                "scheduler",
                "--port",
                "0",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
                "--scheduler-file",
                str(file),
                log=folder / "scheduler.log",
            )
        )
        for _ in range(200):
            if file.exists():
                break
            time.sleep(0.1)
        for k in range(2):
            stack.enter_context(
                dask(
                    "worker",
                    "--scheduler-file",
                    str(file),
                    "--nthreads",
                    "1",
                    "--no-dashboard",
                    "--local-directory",
                    str(folder),
                    log=folder / f"worker{k}.log",
                )
            )
        yield file


def search(evaluator):
    budget = Budget(TINY, {"macs": Budget(TINY, {}).costs(TINY.full)["macs"] // 2})
    with evaluator as workers:
        return evolve(budget, CHOSEN, workers, Cache(None, {}))


@pytest.mark.slow
def test_the_same_search_by_a_cluster_and_a_worker_that_dies(scheduler, tmp_path) -> None:
    wanted = search(Workers(make_closeness))
    assert search(Cluster(make_closeness, str(scheduler))) == wanted
    address = json.loads(scheduler.read_text())["address"]
    assert search(Cluster(partial(make_dies, tmp_path / "died"), address)) == wanted
    assert (tmp_path / "died").exists()
    with pytest.raises(UserError, match="died repeatedly"):
        search(Cluster(partial(make_dies, tmp_path / "died", wanted[0].structure), address))


@pytest.mark.slow
def test_a_study_by_a_cluster(scheduler, tmp_path) -> None:
    """The command with a scheduler's file gives the rows of the command without."""
    rows = []
    for work, *more in (("one",), ("two", "--scheduler", str(scheduler))):
        done = dscim(
            "study",
            "sparsity",
            "--quick",
            "--work",
            work,
            "--json",
            "r.json",
            *more,
            folder=tmp_path,
            seconds=300,
        )
        assert done.returncode == 0, done.stderr
        rows.append(json.loads((tmp_path / "r.json").read_text())["rows"])
    assert rows[0] == rows[1]


def test_no_scheduler_is_one_sentence() -> None:
    with pytest.raises(UserError, match="no Dask scheduler answers"):
        Cluster(make_closeness, "tcp://127.0.0.1:9", patience=0.5)
    with pytest.raises(UserError, match="nowhere"):
        Cluster(make_closeness, "nowhere://x", patience=0.5)
