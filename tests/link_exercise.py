"""Shared by the tests of links to the simulated SoC: transfers compared with an array."""

import os
import signal
import threading
from collections.abc import Callable

import numpy as np
import pytest

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.layout import memory_sizes
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.link.session import FrameLink
from dscim.sim.server import Simulator

SPEC = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=4)
BASE = registers.MEMORY_BASES["activations"]
COUNT = memory_sizes(SPEC)["activations"] // 4
TIMEOUT = 20.0
"""Seconds; a loaded machine may starve the simulator."""


def exercise(link: FrameLink, words: int, seed: int) -> None:
    """`carry` over the activation memory."""
    carry(link, BASE, min(COUNT, words), words, seed)


def carry(link: FrameLink, base: int, room: int, words: int, seed: int) -> None:
    """Writes and reads more than `words` words in random parts of the `room` words at `base`;
    asserts that each word read is the one written last."""
    random = np.random.default_rng(seed)
    twin = random.integers(0, 1 << 32, room, dtype=np.uint32)
    link.write(base, twin)
    words -= room
    while words > 0:
        count = min(int(2 ** random.uniform(0, 15)), room, words)
        start = int(random.integers(room - count + 1))
        twin[start : start + count] = random.integers(0, 1 << 32, count, dtype=np.uint32)
        link.write(base + 4 * start, twin[start : start + count])
        start = int(random.integers(room - count + 1))
        np.testing.assert_array_equal(
            link.read(base + 4 * start, count), twin[start : start + count]
        )
        words -= count
    np.testing.assert_array_equal(link.read(base, room), twin)


def killed(
    times: int,
    start: Callable[[], Simulator],
    connect: Callable[[Simulator], FrameLink],
    message: str,
) -> None:
    """Kills each simulator that `start` makes at a random moment of a transfer.

    Asserts that the transfer ends in a LinkError that matches `message`, and that each simulator
    has another boot number.
    """
    random = np.random.default_rng(35)
    boots = set()
    for _ in range(times):
        with start() as running:
            link = connect(running)
            boots.add(link.opened.boot)
            killer = threading.Timer(
                float(random.uniform(0, 0.3)), os.kill, (running.pid, signal.SIGKILL)
            )
            killer.start()
            with pytest.raises(LinkError, match=message):
                while True:
                    exercise(link, 5000, 7)
            with pytest.raises(LinkError):
                link.read(BASE, 1)
            link.close()
            killer.join()
    assert len(boots) == times


def counters(link: FrameLink) -> dict[str, int]:
    """The counters of the device's link."""
    values: Words = link.read(registers.LINK_BASE, len(registers.LINK_REGISTERS))
    return {
        register.name: int(value)
        for register, value in zip(registers.LINK_REGISTERS, values, strict=True)
    }
