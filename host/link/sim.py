"""A link to a simulator of its own: started with it, ended with it."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from dscim.host.errors import LinkError
from dscim.host.link.base import Words
from dscim.host.link.transport import BRIDGE_SECONDS
from dscim.host.link.uart import UartLink
from dscim.sim.elaborate import Design
from dscim.sim.errors import SimulationError
from dscim.sim.progress import Say, silent
from dscim.sim.server import Simulator, Window

T = TypeVar("T")
DEATH_SECONDS = 1.0  # between a closed connection and the end of its process


class SimLink:
    """A Link to the SoC of `design`, simulated in a process of its own.

    probe, memories: as in UartLink. timeout: seconds without a byte while the process lives, for
    a busy machine may starve it; its death shows at once. window: cycles to trace. stall: a seed
    makes both byte streams stall at random. say: hears the steps of a build.
    `simulator` is the running `dscim.sim.server.Simulator`, with its cycles and its rate.
    Raises LinkError, with the process's status and last words when it has died.
    """

    def __init__(
        self,
        design: Design,
        *,
        probe: tuple[int, int],
        memories: Sequence[range] = (),
        timeout: float = 60.0,
        window: Window | None = None,
        stall: int = 0,
        say: Say = silent,
    ) -> None:
        self.simulator = Simulator(design, window=window, stall=stall, say=say)
        self._patience = int(1.1 * BRIDGE_SECONDS * design.clk_freq)
        try:
            self._guarded(self.simulator.start)
            self._uart = self._guarded(lambda: self._connect(probe, memories, timeout))
        except BaseException:
            self.simulator.end()
            raise

    def read(self, address: int, count: int) -> Words:
        """The `count` words at `address`, `address + 4`, ... as uint32 of shape (count,)."""
        return self._guarded(lambda: self._uart.read(address, count))

    def write(self, address: int, words: Words) -> None:
        """Writes uint32 `words` of shape (n,) to `address`, `address + 4`, ...; n may be 0."""
        self._guarded(lambda: self._uart.write(address, words))

    def close(self) -> None:
        """Closes the connection and ends the simulator. Idempotent."""
        self._uart.close()
        self.simulator.end()

    def _connect(
        self, probe: tuple[int, int], memories: Sequence[range], timeout: float
    ) -> UartLink:
        target = f"socket://127.0.0.1:{self.simulator.port}"
        settle = partial(self.simulator.pass_cycles, self._patience)
        return UartLink(target, timeout=timeout, probe=probe, memories=memories, settle=settle)

    def _guarded(self, act: Callable[[], T]) -> T:
        """Does `act`; a failure that comes of the simulator's death says so."""
        try:
            return act()
        except (LinkError, SimulationError) as error:
            reason = str(error)
        deadline = time.monotonic() + DEATH_SECONDS
        while self.simulator.started and self.simulator.status is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if self.simulator.status is not None:
            reason = self.simulator.epitaph()
        raise LinkError(reason)
