"""What DS-CIM costs in emulation, side by side: `python -m dscim.host.research.emulation`.

For each network, in one run on one machine: its exact float32 matrix products (numpy's own, on
windows unrolled beforehand), the emulator's whole layers by each arithmetic, the numpy matrix
form, and the bit streams simulated one point after the other. All are seconds an image of the
network's convolutions, the best of several repetitions. Every way is shared among the same
threads, numpy's own products running by one in each; the slow ways are timed on a sample of each
layer's windows and scaled up.
"""

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.golden.emulator import bitstream
from dscim.host.golden.emulator.compile import why_no_kernel
from dscim.host.golden.emulator.layer import prepare
from dscim.host.golden.emulator.parallel import over_images, thread_count
from dscim.host.golden.reference import PreparedWeights, weight_matrix, windows
from dscim.host.network import Network, Weighted, load
from dscim.host.network.shipped import EXACT, shipped_network

SPECS = {
    "exact INT8": ProductSpec(exact=True),
    "DS-CIM1 L = 64": ProductSpec(16, 64),
    "DS-CIM1 L = 256": ProductSpec(16, 256),
    "DS-CIM1 L = 1024": ProductSpec(16, 1024),
    "DS-CIM2 L = 64": ProductSpec(64, 64),
    "DS-CIM2 L = 256": ProductSpec(64, 256),
}

AIMS = {"DS-CIM1 L = 256": 10.0, "DS-CIM2 L = 64": 2.0}
"""At most so many times the float32 products."""

MATRIX_WINDOWS, STREAM_WINDOWS = 1024, 16
"""Windows of each layer that the slow ways are timed on."""

ONE_THREAD = "OPENBLAS_NUM_THREADS"

Seconds = dict[str, float]


class Bench:
    """The layers of a network on random inputs; depthwise ones are left out, and counted."""

    def __init__(self, network: Network, images: int, repeat: int, seed: int) -> None:
        self.network, self.images, self.repeat = network, images, repeat
        self._rng = np.random.default_rng(seed)

    def seconds(self) -> Iterator[tuple[str, float]]:
        """The name of each way and its seconds an image."""
        yield "float32 products", self._sum(ProductSpec(exact=True), self._float32)
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
        """All layers' seconds an image by one way."""
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
        made = prepare(layer, node.weights, node.bias, node.multiplier, node.shift)
        return self._shared(lambda part: made.run(x[part]), len(x))

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
        """The least seconds of several runs, each shared among threads, after a first one."""
        found = []
        batch = -(-count // thread_count())
        for _ in range(1 + self.repeat):
            start = time.perf_counter()
            over_images(work, count, batch)
            found.append(time.perf_counter() - start)
        return min(found[1:])


def _matrix_form(
    matrix: npt.NDArray[np.int8], layer: LayerSpec
) -> Callable[[npt.NDArray[np.int8]], Any]:
    return PreparedWeights(matrix, layer.product, layer.input_zero).product


def _bit_streams(
    matrix: npt.NDArray[np.int8], layer: LayerSpec
) -> Callable[[npt.NDArray[np.int8]], Any]:
    return lambda x: bitstream.product(x, matrix, layer.product, layer.input_zero)


def measure(network: Network, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """One network: its table, printed, and the same as JSON values."""
    bench = Bench(network, options.images, options.repeat, options.seed)
    seconds: Seconds = {}
    for name, value in bench.seconds():
        seconds[name] = value
        console.print(f"{name}: {1e3 * value:.3f} ms", style="dim")
    base = seconds["float32 products"]
    table = Table("way", "ms an image", "times float32", "aim", box=None, title=network.name)
    for name, value in seconds.items():
        aim = f"at most {AIMS[name]:g}" if name in AIMS else ""
        table.add_row(name, f"{1e3 * value:.3f}", f"{value / base:.2f}", aim)
    console.print(table)
    gains = {
        name: seconds[f"{name}, bit streams"] / seconds[name]
        for name, spec in SPECS.items()
        if not spec.exact
    }
    console.print(
        "against bit streams, faster by: "
        + ", ".join(f"{name} {gain:.0f}" for name, gain in gains.items())
    )
    left = [node.name for node, layer in network.layers() if layer.depthwise]
    return {
        "network": network.name,
        "images": options.images,
        "seconds": seconds,
        "times_float32": {name: value / base for name, value in seconds.items()},
        "faster_than_bit_streams": gains,
        "aims": AIMS,
        "depthwise_left_out": left,
        "threads": thread_count(),
        "seed": options.seed,
    }


def main() -> int:
    """Measures the shipped network, or the given ones."""
    if os.environ.get(ONE_THREAD) != "1":  # numpy reads it when it is loaded: start again
        os.environ[ONE_THREAD] = "1"
        os.execv(sys.executable, sys.orig_argv)
    parser = argparse.ArgumentParser(
        prog="python -m dscim.host.research.emulation", description=__doc__.split("\n")[0]
    )
    parser.add_argument("networks", nargs="*", type=Path, metavar="NETWORK")
    parser.add_argument("--images", type=int, default=16, help="images at a time (default 16)")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (default 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    options = parser.parse_args()
    console = Console(highlight=False, width=100)
    try:
        check_writable(options.json)
        networks = [load(path) for path in options.networks] or [shipped_network(EXACT)]
        console.print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
            f"numpy {np.__version__}; seed {options.seed}"
        )
        if why_no_kernel():
            console.print(why_no_kernel())
        save_json(options.json, [measure(network, options, console) for network in networks])
    except UserError as error:
        print(f"dscim: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
