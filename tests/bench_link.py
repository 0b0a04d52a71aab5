"""Measures the link to the simulated toy SoC: `python tests/bench_link.py`. Not a test."""

import time
from collections.abc import Callable

import numpy as np

from dscim.host.link.sim import SimLink, over_uartbone
from tests import toy_soc

WORDS = toy_soc.MEMORY_BYTES // 4
ROUNDS = 2000


def seconds(act: Callable[[], object], times: int) -> float:
    """Mean seconds of `act` over `times` calls."""
    start = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - start) / times


def main() -> None:
    """Prints the rates of writes and reads, the time of one word, and the simulator's rate."""
    memory = toy_soc.MEMORY
    probe = (toy_soc.MAGIC_ADDRESS, toy_soc.MAGIC)
    link = SimLink(toy_soc.design(), over_uartbone(probe=probe), say=print)
    words = np.random.default_rng(1).integers(0, 1 << 32, WORDS, dtype=np.uint32)
    try:
        write = seconds(lambda: link.write(memory, words), 30)
        read = seconds(lambda: link.read(memory, WORDS), 30)
        assert np.array_equal(link.read(memory, WORDS), words)
        one = seconds(lambda: link.read(memory, 1), ROUNDS)
        confirmed = seconds(lambda: link.write(memory, words[:1]), ROUNDS)
        status = link.simulator.ask()
    finally:
        link.close()
    print(f"write {toy_soc.MEMORY_BYTES / write / 1e6:.1f} MB/s, confirmed")
    print(f"read  {toy_soc.MEMORY_BYTES / read / 1e6:.1f} MB/s")
    print(f"one word read {one * 1e3:.3f} ms, written and confirmed {confirmed * 1e3:.3f} ms")
    print(f"simulator {status.rate / 1e6:.1f} M cycles/s")


if __name__ == "__main__":
    main()
