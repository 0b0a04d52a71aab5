"""A network run on a device: every layer there, every layer compared."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.device import Counters, Int8, LayerParameters
from dscim.host.network import INPUT, Conv, Evaluator, Network, Node, check_images, host_node
from dscim.host.network.evaluate import BATCH
from dscim.host.run.difference import Difference, first_difference
from dscim.host.run.pool import RunsLayers

Step = Callable[[str, int, int], None]
"""Called with what is going on, as `[2/10] conv`, the images done and all images."""


@dataclasses.dataclass(frozen=True)
class LayerResult:
    """One layer over all images: outputs compared with the reference on the same input.

    first: the first difference; None when all `compared` outputs agree. seconds: on the device.
    """

    name: str
    layer: LayerSpec
    counters: Counters
    compared: int
    differing: int
    first: Difference | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The layer as one object of the report's list `layers`."""
        return {
            "name": self.name, "input": self.layer.input, "output": self.layer.output,
            "kernel": self.layer.kernel, "stride": self.layer.stride,
            "outputs_compared": self.compared, "outputs_differing": self.differing,
            "agrees": not self.differing, "macro_use": macro_use(self.counters),
            "first_difference": self.first.to_json() if self.first else None,
            "seconds": self.seconds, **dataclasses.asdict(self.counters)}


def macro_use(counters: Counters) -> float | None:
    """The share of busy cycles in which the macro computed, 0 to 1; None where none count."""
    busy = counters.cycles_busy
    return counters.cycles_computing / busy if busy else None


class NetworkRun:
    """A network on a device, which computes its convolutions; the host computes the rest.

    `layers` holds what was done so far; `outputs` is the last node's (N, H, W, C), None before
    the end; `end_to_end` tells whether it equals the emulator's own run of the whole network.
    """

    def __init__(self, device: RunsLayers, network: Network, arithmetic: ProductSpec,
                 images: Int8) -> None:
        """images: (N, H, W, C) int8 in the network's own input integers; UserError otherwise."""
        self.network, self.arithmetic = network, arithmetic
        self.images = check_images(network, images)
        self.total = sum(isinstance(node, Conv) for node in network.nodes)
        self.layers: list[LayerResult] = []
        self.outputs: Int8 | None = None
        self.end_to_end: bool | None = None
        self._device = device
        self._reference = Evaluator(network, arithmetic)
        self._specs = {node.name: layer for node, layer in network.layers(arithmetic)}

    def execute(self, step: Step) -> Iterator[LayerResult]:
        """Runs every node in order and yields each layer when it is done and compared."""
        known = {INPUT: self.images}
        for place, node in enumerate(self.network.nodes):
            inputs = [known[name] for name in node.inputs]
            if isinstance(node, Conv):
                result, known[node.name] = self._convolve(node, inputs[0], step)
                self.layers.append(result)
                yield result
            else:
                known[node.name] = host_node(node, inputs)
            still_needed = {name for later in self.network.nodes[place + 1:]
                            for name in later.inputs} | {node.name}
            known = {name: value for name, value in known.items() if name in still_needed}
        outputs = known[self.network.nodes[-1].name]
        whole = self._reference.outputs(
            self.images, lambda done, total: step("the whole network by the emulator", done, total))
        self.end_to_end = bool((outputs == whole).all())
        self.outputs = outputs

    @property
    def compared(self) -> int:
        """Layer outputs that were compared so far."""
        return sum(layer.compared for layer in self.layers)

    @property
    def differing(self) -> int:
        """How many of them differ."""
        return sum(layer.differing for layer in self.layers)

    @property
    def counters(self) -> Counters:
        """The sums of all layers' counters."""
        return sum((layer.counters for layer in self.layers), Counters())

    @property
    def holds(self) -> bool:
        """True when the run is complete and every output of every layer agrees."""
        return len(self.layers) == self.total and not self.differing and bool(self.end_to_end)

    def _convolve(self, node: Conv, x: Int8, step: Step) -> tuple[LayerResult, Int8]:
        layer = self._specs[node.name]
        parameters = LayerParameters(node.weights, node.bias, node.multiplier, node.shift)
        label = f"[{len(self.layers) + 1}/{self.total}] {node.name}"
        step(label, 0, len(x))
        start = time.monotonic()
        run = self._device.run_layer(layer, parameters, x,
                                     lambda done, total: step(label, done, total))
        seconds = time.monotonic() - start
        outputs = run.outputs.astype(np.int8, copy=False)
        expected = self._expected(node, x, lambda done: step(f"{label} compared", done, len(x)))
        first = first_difference(self._device, layer, parameters, x, outputs, expected)
        differing = int((outputs != expected).sum())
        result = LayerResult(node.name, layer, run.counters, outputs.size, differing, first,
                             seconds)
        return result, outputs

    def _expected(self, node: Node, x: Int8, step: Callable[[int], None]) -> Int8:
        """The reference's output, in bounded memory; step(images done) after each batch."""
        parts = []
        for start in range(0, len(x), BATCH):
            parts.append(self._reference.node(node, [x[start:start + BATCH]]))
            step(min(start + BATCH, len(x)))
        return np.concatenate(parts)
