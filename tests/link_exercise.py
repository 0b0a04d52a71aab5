"""What the tests of links to the simulated SoC share: transfers held against an array."""

import numpy as np

from dscim.gateware import registers
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.layout import memory_sizes
from dscim.host.link.base import Words
from dscim.host.link.session import FrameLink

SPEC = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=2)
BASE = registers.MEMORY_BASES["activations"]
COUNT = memory_sizes(SPEC)["activations"] // 4
TIMEOUT = 20.0
"""Seconds; other work may starve the simulator."""


def exercise(link: FrameLink, words: int, seed: int) -> None:
    """Random writes and reads of the activation memory, held against an array."""
    random = np.random.default_rng(seed)
    most = min(COUNT, words)
    twin = random.integers(0, 1 << 32, most, dtype=np.uint32)
    link.write(BASE, twin)
    while words > 0:
        count = min(int(2 ** random.uniform(0, 13)), most, words)
        start = int(random.integers(most - count + 1))
        twin[start:start + count] = random.integers(0, 1 << 32, count, dtype=np.uint32)
        link.write(BASE + 4 * start, twin[start:start + count])
        start = int(random.integers(most - count + 1))
        np.testing.assert_array_equal(link.read(BASE + 4 * start, count),
                                      twin[start:start + count])
        words -= count
    np.testing.assert_array_equal(link.read(BASE, most), twin)


def counters(link: FrameLink) -> dict[str, int]:
    """The registers in which the device counts what its link did."""
    values: Words = link.read(registers.LINK_BASE, len(registers.LINK_REGISTERS))
    return {register.name: int(value)
            for register, value in zip(registers.LINK_REGISTERS, values, strict=True)}
