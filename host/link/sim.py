"""A link that starts its own simulator, and stops it when it is closed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from dscim.arrays import Words
from dscim.errors import LinkError, SimulationError
from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT
from dscim.host.link.base import Link, LinkStatistics
from dscim.host.link.carrier import StreamCarrier
from dscim.host.link.datagrams import DatagramCarrier
from dscim.host.link.session import FrameLink
from dscim.host.link.transport import BRIDGE_SECONDS, open_transport
from dscim.host.link.uart import UartLink
from dscim.progress import Say, silent
from dscim.sim.elaborate import Design
from dscim.sim.server import Simulator
from dscim.sim.trace import TraceWindow

T = TypeVar("T")

DEATH_SECONDS = 1.0
"""Seconds that a simulator's process may outlive its connection."""

TIMEOUT = 60.0
"""Seconds without a byte while the process runs, because a loaded machine may starve it.

Its exit is noticed at once, and that it was stopped within seconds (`Simulator.check`).
"""

Connect = Callable[[Simulator], Link]
"""Opens a link to a running simulator."""


def over_frames(*, memories: Sequence[range] = (), timeout: float = TIMEOUT) -> Connect:
    """Frames over the SoC's UART; the options are those of FrameLink."""

    def connect(simulator: Simulator) -> Link:
        transport = open_transport(_target(simulator), 0, timeout)
        return FrameLink(
            StreamCarrier(transport), timeout=timeout, memories=memories, watch=simulator.check
        )

    return connect


def over_datagrams(*, memories: Sequence[range] = (), timeout: float = TIMEOUT) -> Connect:
    """Frames over the SoC's Ethernet; the options are those of FrameLink."""

    def connect(simulator: Simulator) -> Link:
        udp = simulator.udp
        carrier = DatagramCarrier("127.0.0.1", udp[FRAMES_PORT], udp[ETHERBONE_PORT])
        return FrameLink(carrier, timeout=timeout, memories=memories, watch=simulator.check)

    return connect


def over_uartbone(
    *, probe: tuple[int, int], memories: Sequence[range] = (), timeout: float = TIMEOUT
) -> Connect:
    """LiteX's UARTBone; the options are those of UartLink."""

    def connect(simulator: Simulator) -> Link:
        patience = int(1.1 * BRIDGE_SECONDS * simulator.design.clk_freq)
        settle = partial(simulator.pass_cycles, patience)
        return UartLink(
            _target(simulator), timeout=timeout, probe=probe, memories=memories, settle=settle
        )

    return connect


def _target(simulator: Simulator) -> str:
    return f"socket://127.0.0.1:{simulator.port}"


class SimLink:
    """A Link to the SoC of `design`, simulated in a separate process.

    connect: `over_frames(...)`, `over_datagrams(...)` or `over_uartbone(...)`.
    window: cycles to trace. stall: seed of the random stalls of the byte streams; 0: no stalls.
    say: receives the steps of a build.
    `simulator` is the running `dscim.sim.server.Simulator`, with its cycles and its rate.
    Raises LinkError; if the process has died, with its status and last output.
    """

    def __init__(
        self,
        design: Design,
        connect: Connect,
        *,
        window: TraceWindow | None = None,
        stall: int = 0,
        say: Say = silent,
    ) -> None:
        self._connect = connect
        self._closed = False
        self.simulator = Simulator(design, window=window, stall=stall, say=say)
        try:
            self._guarded(self.simulator.start)
            self._link = self._guarded(lambda: connect(self.simulator))
        except BaseException:
            self.simulator.end()
            raise

    @property
    def statistics(self) -> LinkStatistics:
        """See `dscim.host.link.base.Link`."""
        return self._link.statistics

    def read(self, address: int, count: int) -> Words:
        """See `dscim.host.link.base.Link`."""
        return self._guarded(lambda: self._link.read(address, count))

    def write(self, address: int, words: Words) -> None:
        """See `dscim.host.link.base.Link`."""
        self._guarded(lambda: self._link.write(address, words))

    def close(self) -> None:
        """Closes the connection and stops the simulator. Idempotent."""
        self._closed = True
        try:
            self._link.close()
        finally:
            self.simulator.end()

    @contextmanager
    def lent(self) -> Iterator[Simulator]:
        """The simulator, for another client; this link's session is closed meanwhile."""
        self._link.close()
        yield self.simulator
        self._link = self._guarded(lambda: self._connect(self.simulator))

    def _guarded(self, act: Callable[[], T]) -> T:
        """The result of `act`; its errors as LinkError, which reports a simulator that has died."""
        if self._closed:
            raise LinkError("The link to the simulator was closed.")
        try:
            return act()
        except (LinkError, SimulationError) as error:
            reason = str(error)
        deadline = time.monotonic() + DEATH_SECONDS
        while self.simulator.started and self.simulator.exit_status is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if self.simulator.exit_status is not None:
            reason = self.simulator.end_message()
        raise LinkError(reason)
