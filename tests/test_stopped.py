"""Ctrl-C, termination and a lost simulator: one line, the right status, nothing left behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from dscim.errors import LinkError, SimulationError
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host.device.run import NetworkRun, Pool
from dscim.host.device.target import open_target
from dscim.interrupts import uninterrupted
from dscim.sim.server import Simulator
from tests import toy_soc
from tests.commandline import DSCIM
from tests.small_devices import NARROW
from tests.small_network import small_images, small_network

SPEC = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=4)
SMALL = ("--rows", "16", "--columns", "4", "--length", "64", "--target", "sim", "--quiet")


def simulators(process: int) -> list[int]:
    """The simulators that a process has started."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [
        int(word) for word in found.split() if Path(f"/proc/{word}/comm").read_text() == "model\n"
    ]


@pytest.fixture(name="busy")
def _busy(tmp_path: Path) -> "subprocess.Popen[str]":
    """`dscim mvm` on a simulator, in the middle of a product that takes minutes."""
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", rng.integers(-128, 128, (4000, 2000), np.int8))
    np.save(tmp_path / "w.npy", rng.integers(-128, 128, (2000, 40), np.int8))
    with open_target("sim", SPEC):  # built now, so that the simulator starts at once
        pass
    # the tests may run under `nohup`: a process that ignores SIGHUP from the start goes on
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = subprocess.Popen(
        [DSCIM, "mvm", "--activations", "x.npy", "--weights", "w.npy", "--output", "y.npy", *SMALL],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGHUP, before)
    until = time.monotonic() + 200
    while not simulators(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(2)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_on_a_simulator(
    busy: "subprocess.Popen[str]", number: signal.Signals, tmp_path: Path
) -> None:
    started = simulators(busy.pid)
    assert started
    busy.send_signal(number)
    assert busy.communicate(timeout=30) == ("", "dscim: stopped.\n")
    assert busy.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.npy", "x.npy"]
    assert not any(Path(f"/proc/{each}").exists() for each in started)


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "ended with status -9"), (signal.SIGSTOP, "is stopped")]
)
def test_a_lost_simulator_is_reported_within_ten_seconds(
    busy: "subprocess.Popen[str]", number: signal.Signals, words: str
) -> None:
    (simulator,) = simulators(busy.pid)
    start = time.monotonic()
    os.kill(simulator, number)
    output, errors = busy.communicate(timeout=30)
    assert time.monotonic() - start < 10
    assert (busy.returncode, output, len(errors.splitlines())) == (2, "", 1)
    assert errors.startswith("dscim: The simulator ") and words in errors
    assert not Path(f"/proc/{simulator}").exists()


def test_devices_are_closed_while_their_threads_use_them() -> None:
    stopped = [0.0]

    def interrupted(what: str, done: int, total: int) -> None:
        if done == 5:
            stopped[0] = time.monotonic()
            raise KeyboardInterrupt

    for _ in range(5):
        with (
            pytest.raises(KeyboardInterrupt),
            Pool.open(2, lambda: open_target("sim", NARROW)) as pool,
        ):
            run = NetworkRun(pool.devices, small_network(), ProductSpec(), small_images(32))
            list(run.execute(interrupted))
        assert time.monotonic() - stopped[0] < 10
        for device in pool.devices:
            with pytest.raises(LinkError, match="closed"):
                device.counted()


def test_a_stopped_simulator_does_not_answer_status() -> None:
    with Simulator(toy_soc.design()) as simulator:
        simulator.ask()
        os.kill(simulator.pid, signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(SimulationError, match=f"stopped.*kill -CONT {simulator.pid}"):
            simulator.ask()
        assert time.monotonic() - start < 10
    assert simulator.exit_status == -signal.SIGKILL


def test_a_simulator_that_continues_soon_is_not_an_error() -> None:
    with Simulator(toy_soc.design()) as simulator:
        os.kill(simulator.pid, signal.SIGSTOP)
        resume = subprocess.Popen(["sh", "-c", f"sleep 1; kill -CONT {simulator.pid}"])
        simulator.ask()
        assert resume.wait() == 0


def test_a_signal_waits_for_the_end_of_an_uninterrupted_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("block")
        done.append("after")
    assert done == ["block"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
