"""A soak of the command line: runs on simulated devices, disturbed at random, for a given time.

    python -m tests.soak --seconds 7200

A simulator is served on a UART and on Ethernet; runs use it, or one of their own. They are killed
or interrupted, their simulators are killed or stopped, and floods of datagrams and garbage bytes
arrive meanwhile. Every run must end right, or with one sentence and no output; no process and no
file may be left, and the served simulator must not grow.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np

from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference import product

DSCIM = Path(sys.executable).with_name("dscim")
SMALL = ("--rows", "16", "--columns", "4")
PATIENCE = 600.0
"""Seconds in which every run must end, on a loaded machine, too."""

DISTURBANCES = (
    "none", "none", "kill host", "interrupt", "terminate", "kill simulator", "stop simulator",
    "flood", "garbage",
)  # fmt: skip


class Wrong(AssertionError):
    """A run ended wrong, or left something behind."""


class Soak:
    """The served simulator, the operands, and the counts of what happened."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.memory: list[int] = []
        rng = np.random.default_rng(seed)
        x = rng.integers(-128, 128, (40, 300), np.int8)
        w = rng.integers(-128, 128, (300, 12), np.int8)
        np.save(folder / "x.npy", x)
        np.save(folder / "w.npy", w)
        self.expected = product(x, w, ProductSpec(length=64))
        self.served = self._serve()

    def close(self) -> None:
        """Ends the served simulator."""
        self.served.send_signal(signal.SIGINT)
        _, errors = self.served.communicate(timeout=60)
        if (self.served.returncode, errors) != (130, "dscim: stopped.\n"):
            raise Wrong(f"the served simulator ended with {self.served.returncode}: {errors}")

    def step(self) -> None:
        """One run with one disturbance."""
        verb = self.random.choice(["mvm", "mvm", "selftest", "bench"])
        target = self.random.choice(["sim", "sim+eth", self.uart, self.ethernet])
        disturbance = self.random.choice(DISTURBANCES)
        begun = time.monotonic()
        process = self._start(verb, target)
        if disturbance != "none":
            time.sleep(self.random.uniform(0.3, 4))
            self._disturb(process, disturbance)
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Wrong(f"{verb} on {target} hangs after: {disturbance}") from None
        outcome = self._judge(verb, disturbance, process, output, errors)
        self.counts[f"{verb} {target.partition(':')[0]}, {disturbance}: {outcome}"] += 1
        self.counts[f"all: {outcome}"] += 1
        self._check_leftovers(begun)
        self.memory.append(sum(map(_resident, self._processes())))

    def _serve(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [DSCIM, "sim", *SMALL, "--ethernet", "--quiet"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        self.uart = f"uart:{process.stdout.readline().strip()}"
        self.ethernet = process.stdout.readline().strip()
        process.stdout.readline()
        return process

    def _start(self, verb: str, target: str) -> "subprocess.Popen[str]":
        own = {
            "mvm": ["--activations", "x.npy", "--weights", "w.npy", "--output", "y.npy",
                    "--length", "64", *SMALL],
            "selftest": ["--seed", "3", *SMALL],
            "bench": ["--bytes", "200000", "--rounds", "300", *SMALL],
        }  # fmt: skip
        more = ["--wait", "20"] if ":" in target else []
        return subprocess.Popen(
            [DSCIM, verb, *own[verb], "--target", target, *more, "--quiet"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _disturb(self, process: "subprocess.Popen[str]", what: str) -> None:
        signals = {
            "kill host": signal.SIGKILL,
            "interrupt": signal.SIGINT,
            "terminate": signal.SIGTERM,
        }
        if what in signals:
            process.send_signal(signals[what])
        elif what == "flood":
            self._flood()
        elif what == "garbage":
            self._garbage()
        else:
            number = signal.SIGKILL if what == "kill simulator" else signal.SIGSTOP
            for child in _simulators(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, number)

    def _flood(self) -> None:
        """Datagrams of any length and content, some of them like frames, for a second."""
        host, _, port = self.ethernet.removeprefix("eth:").partition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect((host, int(port)))
            until = time.monotonic() + 1
            while time.monotonic() < until:
                with suppress(OSError):
                    line.send(self.random.randbytes(self.random.choice([0, 4, 16, 64, 1400])))

    def _garbage(self) -> None:
        """A client of the UART that sends random bytes; turned away while a run is connected."""
        port = int(self.uart.rpartition(":")[2])
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as line:
            line.settimeout(1)
            line.sendall(self.random.randbytes(5000))

    def _judge(
        self,
        verb: str,
        disturbance: str,
        process: "subprocess.Popen[str]",
        output: str,
        errors: str,
    ) -> str:
        """The outcome in one word; Wrong if it is not allowed."""
        status, written = process.returncode, self.folder / "y.npy"
        report = f"{verb} after {disturbance}: status {status}, {output!r}, {errors!r}"
        if status == 0:
            if verb == "mvm" and not (np.load(written) == self.expected).all():
                raise Wrong(f"wrong values, {report}")
            written.unlink(missing_ok=True)
            return "right"
        if status == -signal.SIGKILL and disturbance == "kill host":
            written.unlink(missing_ok=True)
            return "killed"
        early = status == -signal.SIGTERM or "Fatal Python error" in errors
        if early and disturbance in ("interrupt", "terminate"):
            return "before the start"  # of main(): Python itself was still starting
        lines = errors.splitlines()
        allowed = status == 2 or (status == 130 and disturbance in ("interrupt", "terminate"))
        if not allowed or output or len(lines) != 1 or not lines[0].startswith("dscim: "):
            raise Wrong(report)
        if written.exists():
            raise Wrong(f"an output is left, {report}")
        return "stopped" if status == 130 else "one sentence"

    def _check_leftovers(self, begun: float) -> None:
        """No file beside the operands, and no simulator but the served one."""
        known = {"x.npy", "w.npy"}
        until = time.monotonic() + 20
        while True:
            names = {path.name for path in self.folder.iterdir()} - known
            left = _orphans(begun) - set(self._processes())
            if not names and not left:
                return
            if time.monotonic() > until:
                raise Wrong(f"left behind: files {names}, processes {left}")
            time.sleep(0.2)

    def _processes(self) -> list[int]:
        return [self.served.pid, *_simulators(self.served.pid)]


def _simulators(process: int) -> list[int]:
    """The simulators that a process has started."""
    try:
        words = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [int(w) for w in words if Path(f"/proc/{w}/comm").read_text() == "model\n"]
    except OSError:
        return []


def _orphans(begun: float) -> set[int]:
    """Simulators whose parent is gone."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            if (path / "comm").read_text() == "model\n":
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == 1 and path.stat().st_mtime >= begun - time.monotonic() + time.time():
                    found.add(int(path.name))
    return found


def _resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def soak(seconds: float, seed: int) -> Soak:
    """Runs for `seconds`, and returns the counts; Wrong if a run ended wrong."""
    until, begun = time.monotonic() + seconds, threading.active_count()
    with tempfile.TemporaryDirectory() as folder:
        done = Soak(Path(folder), seed)
        try:
            while time.monotonic() < until:
                done.step()
        finally:
            done.close()
    assert threading.active_count() == begun
    return done


def main() -> None:
    """Prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    done = soak(options.seconds, options.seed)
    for what, count in sorted(done.counts.items()):
        print(f"{count:5} {what}")
    print(f"memory of the served simulator, MB: {[round(m / 1e6, 1) for m in done.memory[::20]]}")


if __name__ == "__main__":
    main()
