"""A running simulator: builds it if necessary, starts, queries and ends it."""

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from dscim.errors import SimulationError
from dscim.files import check_writable
from dscim.interrupts import uninterrupted
from dscim.progress import Say, silent
from dscim.sim.elaborate import TOP, Design, elaborated, model
from dscim.sim.trace import TraceWindow, kept

ANSWER_SECONDS = 15.0  # a harness answers within milliseconds, on a loaded machine later
CHECK_SECONDS = 0.5
"""Time between two looks at the process's state."""
STOPPED_SECONDS = 3.0
"""A process that stays stopped for this long is reported."""


@dataclass(frozen=True)
class Status:
    """The counters of a simulator.

    cycles: of the SoC. rate: cycles per second while not asleep. received, sent: bytes on the UART,
    from the host and to it. datagrams_received, datagrams_sent: UDP from clients and to them.
    datagrams_dropped: from clients, too long for a frame or without room to wait. frames_bad:
    faulty frames from the SoC, not passed on. bits_flipped: by `flip`.
    """

    cycles: int
    rate: float
    received: int
    sent: int
    datagrams_received: int
    datagrams_sent: int
    datagrams_dropped: int
    frames_bad: int
    bits_flipped: int


class Simulator:
    """The design's SoC in its own process, with its UART's bytes on a loopback TCP port.

    with Simulator(design) as simulator:
        ... socket://127.0.0.1:{simulator.port} ...
        ... UDP to ("127.0.0.1", simulator.udp[DEVICE PORT]), of a design with a `lan` ...

    port: TCP port; 0 for a free one. udp: loopback ports by the device's UDP ports; free ones by
    default. window: cycles to trace. cycles: end after this many; without it, the SoC's time starts
    with the first client or datagram. stall: a seed that makes all streams at the pins stall at
    random; 0 for never. flip: (seed, ppm), the bits per million flipped in Ethernet frames, in both
    directions.
    Nothing is built or run before `start` (or the `with` block). Raises SimulationError.
    """

    def __init__(
        self,
        design: Design,
        *,
        port: int = 0,
        udp: Mapping[int, int] | None = None,
        window: TraceWindow | None = None,
        cycles: int | None = None,
        stall: int = 0,
        flip: tuple[int, int] | None = None,
        say: Say = silent,
    ) -> None:
        self.design = design
        self.window = window
        self._say = say
        self._options = ["--attached", "--port", str(port), "--stall", str(stall)]
        if design.lan is None and (udp or flip is not None):
            raise SimulationError(f"Design {design.name} has no Ethernet; leave out udp and flip.")
        if design.lan is not None:
            self._options += ["--device", design.lan.address]
            for device in design.lan.ports:
                self._options += ["--udp", f"{device}:{(udp or {}).get(device, 0)}"]
        if flip is not None:
            self._options += ["--flip", f"{flip[0]}:{flip[1]}"]
        if cycles is not None:
            self._options += ["--cycles", str(cycles)]
        if window is not None:
            self._options += ["--trace", f"{window.start}:{window.stop}"]
        self._process: subprocess.Popen[bytes] | None = None
        self._kept = contextlib.ExitStack()
        self._errors: IO[bytes] = io.BytesIO()
        self._lock = threading.Lock()
        self._last_message = ""
        self._next_check = 0.0
        self._stopped_since: float | None = None
        self.port = port
        self.udp: dict[int, int] = {}

    def start(self) -> None:
        """Builds what is not in the cache, starts the process, and waits until it listens."""
        trace = self.window.trace if self.window is not None else ""
        check_writable(self.window.file if self.window is not None else None)
        executable = model(self.design, trace=trace, say=self._say)
        if self.window is not None:
            verilog = (elaborated(self.design) / f"{TOP}.v").read_text()
            self.window.save_groups(verilog, TOP)
            new = self._kept.enter_context(kept(self.window, self._say))
            self._options += ["--trace-file", str(new)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by end()
        # In its own session, so that Ctrl-C reaches this process only, which then ends the other.
        try:
            with uninterrupted():
                self._process = subprocess.Popen(
                    [executable, *self._options], cwd=executable.parent, start_new_session=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                )  # fmt: skip
            greeting = self._line()
            self.port = int(greeting["port"])
            self.udp = {int(device): at for device, at in greeting.get("udp", {}).items()}
        except BaseException:
            self.end()
            raise

    @property
    def started(self) -> bool:
        """Whether the process was started; it may have ended."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running().pid

    @property
    def exit_status(self) -> int | None:
        """The process's exit status, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    def check(self) -> None:
        """Raises SimulationError if the process has ended, or is stopped (SIGSTOP) for seconds.

        Cheap: it looks only every CHECK_SECONDS.
        """
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + CHECK_SECONDS
        if self.exit_status is not None:
            raise self._ended()
        if not self._is_stopped():
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now
        elif now - self._stopped_since > STOPPED_SECONDS:
            raise SimulationError(
                f"The simulator is stopped; `kill -CONT {self.pid}` would have continued it."
            )

    def _is_stopped(self) -> bool:
        """Whether the process is stopped, as by SIGSTOP; False if it has ended."""
        flags = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            state = os.waitid(os.P_PID, self.pid, flags)
        except ChildProcessError:  # it has ended and was waited for
            return False
        return state is not None and state.si_code == os.CLD_STOPPED

    @property
    def last_message(self) -> str:
        """The last line that the process wrote to standard error; empty if there is none."""
        return self._last_message if self._errors.closed else self._read_errors()

    def _read_errors(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def ask(self) -> Status:
        """The simulator's counters. Raises SimulationError if it has ended."""
        return self._ask(b"\n")

    def _ask(self, line: bytes) -> Status:
        with self._lock:
            pipe = self._running().stdin
            assert pipe is not None
            try:
                pipe.write(line)
                pipe.flush()
            except OSError:
                raise self._ended() from None
            return Status(**self._line())

    def pass_cycles(self, count: int) -> None:
        """Waits for `count` more cycles of the SoC. Raises SimulationError if it ends before.

        Time passes while a client is connected; without one it may stand still.
        """
        awake = b"run\n"
        goal = self._ask(awake).cycles + count
        while self._ask(awake).cycles < goal:
            time.sleep(0.002)

    def end(self) -> None:
        """Ends the process and waits for it; then the trace is complete. Idempotent.

        SimulationError if the trace is not, because the disk is full.
        """
        process = self._process
        if process is None or self._errors.closed:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # the harness ends when its standard input does
        if self._is_stopped():
            process.kill()
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            try:
                process.wait(5)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal_number)
        process.wait()
        process.stdout.close()
        self._last_message = self._read_errors()
        self._errors.close()
        self._kept.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SimulationError("The simulator has not been started.")
        return self._process

    def _line(self) -> dict[str, Any]:
        """One line of the process's standard output, within ANSWER_SECONDS."""
        process = self._running()
        assert process.stdout is not None
        until = time.monotonic() + ANSWER_SECONDS
        while not select.select([process.stdout], [], [], CHECK_SECONDS)[0]:
            self.check()
            if time.monotonic() < until:
                continue
            raise SimulationError(
                f"The simulator (process {process.pid}) did not answer in {ANSWER_SECONDS:.0f} s."
            )
        line = process.stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> SimulationError:
        process = self._running()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            return SimulationError("The simulator closed its output.")
        return SimulationError(self.end_message())

    def end_message(self) -> str:
        """One sentence: how the process ended, and its last message."""
        message = self.last_message
        return f"The simulator ended with status {self.exit_status}" + (
            f": {message}." if message else "."
        )
