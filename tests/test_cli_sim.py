"""Verbs on a small simulator that is built once, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dscim.gateware import registers
from dscim.gateware.specs import MacroSpec, ProductSpec
from dscim.host.golden.reference import contract
from dscim.host.link.uart import UartLink
from tests.commandline import DSCIM, assert_refused, contents, dscim

SMALL = ("--rows", "16", "--columns", "4")
SEED = 77


@pytest.fixture(name="operands")
def _operands(tmp_path: Path) -> Path:
    """A folder with x (3, 40), w (40, 6), and `long` (100000, 40), which takes minutes."""
    rng = np.random.default_rng(SEED)
    for name, shape in {"x": (3, 40), "w": (40, 6), "long": (100_000, 40)}.items():
        np.save(tmp_path / f"{name}.npy", rng.integers(-128, 128, shape).astype(np.int8))
    return tmp_path


def mvm(x: str) -> list[str]:
    """The arguments of a product of x.npy and w.npy on the small simulator."""
    return [
        "mvm",
        "--activations",
        f"{x}.npy",
        "--weights",
        "w.npy",
        "--output",
        "y.npy",
        "--target",
        "sim",
        *SMALL,
    ]


def children(pid: int) -> list[int]:
    """The running processes that `pid` has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def simulator_at_work(pid: int) -> int:
    """The simulator that the command `pid` has started, once it has used a second of CPU time."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in children(pid):
            try:
                ticks = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11]
                model = Path(os.readlink(f"/proc/{child}/exe")).name == "model"
            except OSError:
                continue
            if model and int(ticks) > os.sysconf("SC_CLK_TCK"):
                return child
        time.sleep(0.05)
    raise AssertionError("no simulator started to work")


@pytest.fixture(name="started")
def _started(operands: Path) -> Iterator[subprocess.Popen[str]]:
    """`dscim mvm` in the middle of a product that takes minutes."""
    arguments = [*mvm("long"), "--json", "y.json"]
    process = subprocess.Popen(
        [DSCIM, *arguments], cwd=operands, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    yield process
    process.kill()
    process.communicate()


def test_a_product_equals_the_contract(operands: Path) -> None:
    options = ["--length", "64", "--activation-shift", "1", "--zero-point", "3"]
    done = dscim(*mvm("x"), *options, "--json", "y.json", folder=operands, seconds=300)
    assert done.returncode == 0, done.stderr
    x, w, y = (np.load(operands / f"{name}.npy") for name in "xwy")
    product = ProductSpec(length=64, activation_shift=1)
    np.testing.assert_array_equal(y, contract.product(x, w, product, 3))
    counters = json.loads((operands / "y.json").read_text())["counters"]
    tiles = 3 * 2  # of rows, of columns
    assert counters["products"] == 3 * tiles
    macro = MacroSpec(rows=16, columns=4)
    assert counters["cycles_computing"] >= counters["products"] * macro.cycles(product)
    assert f"{counters['cycles_busy']} cycles, 18 products" in done.stdout


@pytest.mark.slow  # a traced model compiles for half a minute
def test_a_trace_has_the_requested_cycles(operands: Path) -> None:
    done = dscim(*mvm("x"), "--trace", "0:500", folder=operands, seconds=300)
    assert done.returncode == 0, done.stderr
    assert {"dscim.fst", "dscim.gtkw", "y.npy"} <= set(contents(operands))
    assert (operands / "dscim.fst").stat().st_size > 1000


def test_a_simulator_that_dies_is_reported_within_seconds(
    started: subprocess.Popen[str], operands: Path
) -> None:
    before = contents(operands)
    os.kill(simulator_at_work(started.pid), signal.SIGKILL)
    killed = time.monotonic()
    _, errors = started.communicate(timeout=60)
    assert time.monotonic() - killed < 10
    assert started.returncode == 2
    assert len(errors.splitlines()) == 1
    assert "simulator ended with status -9" in errors
    assert contents(operands) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_ends_the_simulator(
    started: subprocess.Popen[str], operands: Path, number: signal.Signals
) -> None:
    before = contents(operands)
    simulator = simulator_at_work(started.pid)
    started.send_signal(number)
    _, errors = started.communicate(timeout=60)
    assert (started.returncode, errors) == (130, "dscim: stopped.\n")
    assert not Path(f"/proc/{simulator}").exists()
    assert contents(operands) == before


def test_sim_serves_until_it_is_stopped() -> None:
    process = subprocess.Popen(
        [DSCIM, "sim", *SMALL, "--quiet"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        target = process.stdout.readline().strip()
        link = UartLink(target, probe=(registers.address("magic"), registers.MAGIC))
        link.close()
        (simulator,) = children(process.pid)
        port = target.rpartition(":")[2]
        assert_refused(dscim("sim", *SMALL, "--port", port), port, "in use")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (130, "dscim: stopped.\n")
    assert not Path(f"/proc/{simulator}").exists()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(port)))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--port 70000", "70000"),
        ("--port -1", "-1"),
        ("--trace 5", "'5'"),
        ("--trace 9:3", "9:3"),
        ("--columns 3", "3 columns"),
        ("--length 64", "--length"),
    ],
)
def test_wrong_uses_of_sim(options: str, word: str) -> None:
    assert_refused(dscim("sim", *options.split()), word)


def test_a_trace_needs_the_simulator(operands: Path) -> None:
    done = dscim(*mvm("x")[:-6], "--target", "ref", "--trace", "0:9", folder=operands)
    assert_refused(done, "--trace", "ref")
