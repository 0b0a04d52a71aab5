"""Measures latency, writes, reads and loop-backs of an open device; every word is verified."""

import bisect
import time
from collections.abc import Callable

import numpy as np

from dscim.arrays import Int64, Words
from dscim.errors import LinkError
from dscim.gateware import descriptor, registers
from dscim.gateware.layout import (
    ceil_div,
    memory_sizes,
    pack_parameters,
    pack_product,
    product_rows,
    tensor_rows,
)
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.gateware.specs.layer import MAX_SIDE
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.products import layer_fields
from dscim.host.device.bench.rates import Latency, Rate, Stopwatch, verify
from dscim.host.device.controller import Controller, Counters
from dscim.host.golden.reference import product
from dscim.host.golden.reference.operands import column_corrections
from dscim.progress import Progress

MEMORY = "activations"
"""The memory that is written and read."""

DEPTH, MAX_OUTPUTS = 16, 32
"""Inputs and maximum outputs of the products that the device computes."""


class Bench:
    """Measures the link of an open device. Overwrites its memories.

    seed: seed of the words that are sent, and of the operands of those that the device computes.
    """

    def __init__(self, device: Controller, seed: int) -> None:
        self._device = device
        self._random = np.random.default_rng(seed)
        self._source = Source(device, self._random)
        self._base = registers.MEMORY_BASES[MEMORY]
        self._max_words = memory_sizes(device.spec)[MEMORY] // 4

    def latency(self, rounds: int) -> Latency:
        """Reads one register `rounds` times; LinkError if its value is wrong."""
        times = np.empty(rounds)
        for place in range(rounds):
            start = time.perf_counter()
            (word,) = self._device.link.read(registers.address("magic"), 1)
            times[place] = time.perf_counter() - start
            if word != registers.MAGIC:
                raise LinkError(f"The identifier reads {word:#010x}, not {registers.MAGIC:#010x}.")
        return Latency(
            rounds, float(times.min()), float(np.median(times)), float(np.quantile(times, 0.99))
        )

    def transfers(self, total: int, step: Progress) -> dict[str, Rate]:
        """Writes, reads and loops back `total` bytes each, and verifies every word.

        write: random words, read back afterwards. read: words computed by the device's engine,
        compared with the numpy reference. loop-back: random words written and read back at once,
        at random addresses and in random sizes; the bytes of both directions count. Raises
        LinkError with the first wrong word.
        """
        return {
            "write": self._repeat("write", total, step, self._write),
            "read": self._repeat("read", total, step, self._read),
            "loop-back": self._repeat("loop-back", 2 * total, step, self._loop),
        }

    def _repeat(self, name: str, total: int, step: Progress, act: Callable[[int], Rate]) -> Rate:
        """Calls `act` with the remaining bytes until `total` are moved; returns the sum."""
        done = Rate(0, 0.0, 0, 0.0)
        while done.bytes < total:
            step(name, done.bytes, total)
            done += act(total - done.bytes)
        step(name, total, total)
        return done

    def _write(self, most: int) -> Rate:
        words = self._words(min(self._max_words, ceil_div(most, 4)))
        rate = self._timed(4 * len(words), lambda: self._device.link.write(self._base, words))
        verify(self._base, words, self._device.link.read(self._base, len(words)))
        return rate

    def _read(self, most: int) -> Rate:
        address, words = self._source.make(ceil_div(most, 4))
        found: list[Words] = []
        rate = self._timed(
            4 * len(words), lambda: found.append(self._device.link.read(address, len(words)))
        )
        verify(address, words, found[0])
        return rate

    def _loop(self, most: int) -> Rate:
        size = min(int(2 ** self._random.uniform(0, 13)), self._max_words, ceil_div(most, 8))
        words = self._words(size)
        address = self._base + 4 * int(self._random.integers(self._max_words - size + 1))
        found: list[Words] = []

        def there_and_back() -> None:
            self._device.link.write(address, words)
            found.append(self._device.link.read(address, size))

        rate = self._timed(8 * size, there_and_back)
        verify(address, words, found[0])
        return rate

    def _words(self, count: int) -> Words:
        return self._random.integers(0, 1 << 32, count, dtype=np.uint32)

    def _timed(self, count: int, act: Callable[[], object]) -> Rate:
        self._device.counted()
        watch = Stopwatch()
        act()
        seconds, cpu = watch.read()
        return Rate(count, seconds, _cycles(self._device.counted()), cpu)


def _cycles(counters: Counters) -> int:
    """All cycles: those in which the engine was busy, and those in which it waited."""
    return counters.cycles_busy + counters.cycles_link


class Source:
    """The engine as a source of words: 32-bit sums of products of random operands.

    The host thus reads words that it has not sent, and compares them with the numpy reference.
    """

    def __init__(self, device: Controller, random: np.random.Generator) -> None:
        spec = device.spec
        self._device, self._random = device, random
        columns = spec.weight_rows // product_rows(spec, DEPTH, DEPTH) * spec.macro.columns
        self._outputs = min(MAX_OUTPUTS, spec.channels, columns)

        def needed(pixels: int) -> int:
            inputs = tensor_rows((pixels, 1, DEPTH), spec.banks)
            return inputs + tensor_rows((pixels, 1, self._outputs), spec.banks, True)

        self._pixels = bisect.bisect_right(range(1, MAX_SIDE + 1), spec.activation_rows, key=needed)
        macro = spec.macro
        self._product = ProductSpec(
            macro.or_width,
            macro.or_width,
            macro.sequence,
            macro.signed[0],
            exact=macro.form == "exact",
        )

    def make(self, count: int) -> tuple[int, Words]:
        """Makes the device compute at least `count` words, or as many as fit.

        Returns their byte address and expected values.
        """
        pixels = min(self._pixels, ceil_div(count, self._outputs))
        x = self._random.integers(-128, 128, (pixels, DEPTH)).astype(np.int8)
        w = self._random.integers(-128, 128, (DEPTH, self._outputs)).astype(np.int8)
        layer = LayerSpec((pixels, 1, DEPTH), self._outputs, product=self._product)
        bias = np.zeros(self._outputs, np.int64)
        if not self._product.exact:
            bias = bias + column_corrections(w, self._product, 0)
        fields = layer_fields(self._device.spec, layer, raw=True)
        self._device.load(
            pack_product(self._device.spec, w, DEPTH),
            pack_parameters(bias, np.zeros_like(bias), np.zeros_like(bias)),
            np.array(descriptor.pack(fields), np.uint32),
        )
        self._device.write_tensor(0, x[:, None, :])
        self._device.start(0, 1)
        base = fields["output_base"] * self._device.spec.banks * WORD_BYTES
        expected = product(x, w, self._product, 0)
        return registers.MEMORY_BASES[MEMORY] + base, _words(expected)


def _words(values: Int64) -> Words:
    """The low 32 bits of each value, flattened."""
    return (values.reshape(-1) & 0xFFFF_FFFF).astype(np.uint32)
