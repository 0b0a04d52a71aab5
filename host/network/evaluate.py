"""Integer evaluation of a network by the numpy reference."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.errors import UserError
from dscim.host.network.kernels import KERNELS
from dscim.host.network.network import Network
from dscim.host.network.node import INPUT, Node
from dscim.host.network.weighted import Weighted
from dscim.host.reference import PreparedLayer
from dscim.host.reference.depthwise import ROWS, PreparedDepthwise

Int8 = npt.NDArray[np.int8]

BATCH = 16
"""Images worked on at a time: bounds the memory."""


class Evaluator:
    """A network made ready for many images by one arithmetic.

    network:    what is computed.
    arithmetic: the product of every convolution, each with its own activation shift;
                None: what the network was tuned for.
    rows:       R of the macro; it decides which regions a depthwise convolution's taps own.
    """

    def __init__(self, network: Network, arithmetic: ProductSpec | None = None,
                 rows: int = ROWS) -> None:
        self.network = network
        self._layers = {node.name: _prepared(node, layer, rows)
                        for node, layer in network.layers(arithmetic)}

    def nodes(self, images: Int8) -> dict[str, Int8]:
        """Every node's output, (N, H, W, C) int8, for images (N, H, W, C) int8, at one go."""
        known = {INPUT: check_images(self.network, images)}
        for node in self.network.nodes:
            known[node.name] = self.node(node, [known[name] for name in node.inputs])
        del known[INPUT]
        return known

    def node(self, node: Node, inputs: list[Int8]) -> Int8:
        """One node's output for its inputs."""
        if node.name in self._layers:
            return self._layers[node.name].run(inputs[0])
        return host_node(node, inputs)

    def outputs(self, images: Int8, step: Callable[[int, int], None] | None = None) -> Int8:
        """The last node's output, (N, H, W, C) int8, in bounded memory.

        step: called with the images done and all images after each batch.
        """
        last = self.network.nodes[-1].name
        parts = []
        for start in range(0, len(images), BATCH):
            parts.append(self.nodes(images[start:start + BATCH])[last])
            if step:
                step(min(start + BATCH, len(images)), len(images))
        if not parts:
            raise UserError("no images were given: the network needs at least one.")
        return np.concatenate(parts)


def _prepared(node: Weighted, layer: LayerSpec, rows: int) -> PreparedLayer | PreparedDepthwise:
    """A convolution with its weights made ready."""
    arrays = node.weights, node.bias, node.multiplier, node.shift
    return PreparedDepthwise(layer, *arrays, rows) if layer.depthwise else \
        PreparedLayer(layer, *arrays)


def run(network: Network, images: Int8, arithmetic: ProductSpec | None = None) -> dict[str, Int8]:
    """Every node's output, (N, H, W, C) int8, for images (N, H, W, C) int8."""
    return Evaluator(network, arithmetic).nodes(images)


def predictions(outputs: Int8) -> npt.NDArray[np.int64]:
    """The class of each image, (N,): the first greatest channel of outputs (N, 1, 1, classes)."""
    return outputs.reshape(len(outputs), -1).argmax(axis=1)


def check_images(network: Network, images: npt.NDArray[np.generic]) -> Int8:
    """`images` when they are (N, H, W, C) int8 of the network's shape; else UserError."""
    if images.dtype != np.int8 or images.shape[1:] != network.shape:
        raise UserError(
            f"the images are {images.dtype} of shape {images.shape}, but the network takes int8 "
            f"of shape (N, {', '.join(map(str, network.shape))}).")
    return images.astype(np.int8, copy=False)


def host_node(node: Node, inputs: list[Int8]) -> Int8:
    """The output of a node that needs no macro: any but a convolution."""
    kernel = KERNELS.get(type(node))
    if kernel is None:
        raise UserError(f"node {node.name!r} of kind {type(node).__name__} is not the host's to "
                        "run.")
    return np.clip(kernel(node, *inputs), *node.clamp).astype(np.int8)
