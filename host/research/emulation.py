"""The speed of the emulator, compared with float32 products and with slower methods.

For each network, in one run on one machine: its exact float32 matrix products (numpy's own, on
windows unrolled beforehand), the emulator's whole layers in each arithmetic, the numpy matrix
form, and the bit streams simulated point by point. All times are seconds per image for the
network's convolutions, the best of several repetitions. Every method uses the same threads, and
numpy's own products use one thread in each. The slow methods are timed on a sample of each layer's
windows and scaled up.
"""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.golden.emulator import bitstream
from dscim.host.golden.emulator.layer import prepare
from dscim.host.golden.emulator.parallel import over_images, thread_count
from dscim.host.golden.reference import PreparedWeights, weight_matrix, windows
from dscim.host.network import Network, Weighted

SPECS = {
    "exact INT8": ProductSpec(exact=True),
    "DS-CIM1 L = 64": ProductSpec(16, 64),
    "DS-CIM1 L = 256": ProductSpec(16, 256),
    "DS-CIM1 L = 1024": ProductSpec(16, 1024),
    "DS-CIM2 L = 64": ProductSpec(64, 64),
    "DS-CIM2 L = 256": ProductSpec(64, 256),
}

AIMS = {"DS-CIM1 L = 256": 10.0, "DS-CIM2 L = 64": 2.0}
"""Maximum times, in multiples of that of the float32 products."""

MATRIX_WINDOWS, STREAM_WINDOWS = 1024, 16
"""Windows of each layer on which the slow methods are timed."""

FLOAT32 = "float32 products"
"""The method that others are compared with."""


class Bench:
    """Times the layers of a network on random inputs; depthwise layers are left out.

    images: batch size. repeat: repetitions of each layer, of which the fastest counts.
    """

    def __init__(self, network: Network, images: int, repeat: int, seed: int) -> None:
        self.network, self.images, self.repeat, self.seed = network, images, repeat, seed
        self._rng = np.random.default_rng(seed)

    def seconds(self) -> Iterator[tuple[str, float]]:
        """The name of each method and its seconds per image."""
        yield FLOAT32, self._sum(ProductSpec(exact=True), self._float32)
        for name, spec in SPECS.items():
            yield name, self._sum(spec, self._emulated)
        for name, spec in SPECS.items():
            if not spec.exact:
                yield (
                    f"{name}, numpy matrix form",
                    self._sum(spec, functools.partial(self._product, MATRIX_WINDOWS, _matrix_form)),
                )
        for name, spec in SPECS.items():
            if not spec.exact:
                yield (
                    f"{name}, bit streams",
                    self._sum(spec, functools.partial(self._product, STREAM_WINDOWS, _bit_streams)),
                )

    def _sum(self, spec: ProductSpec, way: Callable[..., float]) -> float:
        """The seconds per image of all layers by one method."""
        total = 0.0
        for node, layer in self.network.layers(spec):
            if not layer.depthwise:
                x = self._rng.integers(-128, 128, (self.images, *layer.input)).astype(np.int8)
                total += way(node, layer, x)
        return total / self.images

    def _float32(self, node: Weighted, layer: LayerSpec, x: npt.NDArray[np.int8]) -> float:
        unrolled = windows(x, layer).reshape(-1, layer.depth).astype(np.float32)
        matrix = weight_matrix(node.weights).astype(np.float32)
        out = np.empty((len(unrolled), layer.outputs), np.float32)
        return self._shared(
            lambda part: np.matmul(unrolled[part], matrix, out=out[part]), len(unrolled)
        )

    def _emulated(self, node: Weighted, layer: LayerSpec, x: npt.NDArray[np.int8]) -> float:
        ready = prepare(layer, node.weights, node.bias, node.multiplier, node.shift)
        return self._shared(lambda part: ready.run(x[part]), len(x))

    def _product(
        self,
        count: int,
        way: Callable[..., Callable[[npt.NDArray[np.int8]], Any]],
        node: Weighted,
        layer: LayerSpec,
        x: npt.NDArray[np.int8],
    ) -> float:
        unrolled = windows(x[:1], layer).reshape(-1, layer.depth)
        pixels = len(unrolled) * self.images
        run, some = way(weight_matrix(node.weights), layer), unrolled[:count]
        return self._shared(lambda part: run(some[part]), len(some)) * pixels / len(some)

    def _shared(self, work: Callable[[slice], Any], count: int) -> float:
        """The seconds of the fastest of several runs on all threads; a first run is not timed."""
        times = []
        batch = -(-count // thread_count())
        for _ in range(1 + self.repeat):
            start = time.perf_counter()
            over_images(work, count, batch)
            times.append(time.perf_counter() - start)
        return min(times[1:])


def _matrix_form(
    matrix: npt.NDArray[np.int8], layer: LayerSpec
) -> Callable[[npt.NDArray[np.int8]], Any]:
    return PreparedWeights(matrix, layer.product, layer.input_zero).product


def _bit_streams(
    matrix: npt.NDArray[np.int8], layer: LayerSpec
) -> Callable[[npt.NDArray[np.int8]], Any]:
    return lambda x: bitstream.product(x, matrix, layer.product, layer.input_zero)


def result(bench: Bench, seconds: dict[str, float]) -> dict[str, Any]:
    """The measurements of `bench` as JSON values; seconds: per image, by method."""
    base = seconds[FLOAT32]
    return {
        "network": bench.network.name,
        "images": bench.images,
        "seconds": seconds,
        "times_float32": {name: value / base for name, value in seconds.items()},
        "faster_than_bit_streams": {
            name: seconds[f"{name}, bit streams"] / seconds[name]
            for name, spec in SPECS.items()
            if not spec.exact
        },
        "aims": AIMS,
        "depthwise_left_out": [
            node.name for node, layer in bench.network.layers() if layer.depthwise
        ],
        "threads": thread_count(),
        "seed": bench.seed,
    }
