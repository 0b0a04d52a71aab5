"""Integer evaluation of a network by the numpy reference."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import ProductSpec
from dscim.host.errors import UserError
from dscim.host.network.graph import INPUT, Add, AveragePool, Conv, Network, Node
from dscim.host.reference import PreparedLayer, multiply_by_quantized_multiplier

Int8 = npt.NDArray[np.int8]

BATCH = 16
"""Images worked on at a time: bounds the memory."""


class Evaluator:
    """A network made ready for many images by one arithmetic.

    network:    what is computed.
    arithmetic: the product of every convolution, each with its own activation shift;
                None: what the network was tuned for.
    """

    def __init__(self, network: Network, arithmetic: ProductSpec | None = None) -> None:
        self.network = network
        self._layers = {
            node.name: PreparedLayer(layer, node.weights, node.bias, node.multiplier, node.shift)
            for node, layer in network.layers(arithmetic)
        }

    def nodes(self, images: Int8) -> dict[str, Int8]:
        """Every node's output, (N, H, W, C) int8, for images (N, H, W, C) int8, at one go."""
        known = {INPUT: check_images(self.network, images)}
        for node in self.network.nodes:
            known[node.name] = self.node(node, [known[name] for name in node.inputs])
        del known[INPUT]
        return known

    def node(self, node: Node, inputs: list[Int8]) -> Int8:
        """One node's output for its inputs."""
        if isinstance(node, Conv):
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
    """The output of a node that the host computes: Add or AveragePool."""
    if isinstance(node, Add):
        return add(node, inputs[0], inputs[1])
    if isinstance(node, AveragePool):
        return average_pool(node, inputs[0])
    raise UserError(f"node {node.name!r} of kind {type(node).__name__} is not the host's to run.")


def add(node: Add, first: Int8, second: Int8) -> Int8:
    """TensorFlow Lite's int8 reference ADD."""
    total = np.zeros(first.shape, np.int64)
    for x, zero, multiplier, shift in zip(
            (first, second), node.input_zeros, node.multipliers, node.shifts, strict=False):
        wide = (x.astype(np.int64) - zero) << node.left_shift
        total += multiply_by_quantized_multiplier(wide, np.array(multiplier), np.array(shift))
    scaled = multiply_by_quantized_multiplier(
        total, np.array(node.multipliers[2]), np.array(node.shifts[2]))
    return np.clip(scaled + node.output_zero, *node.clamp).astype(np.int8)


def average_pool(node: AveragePool, x: Int8) -> Int8:
    """TensorFlow Lite's int8 reference AVERAGE_POOL_2D: rounded half away from zero."""
    total = _window_sums(node, x.astype(np.int64))
    count = _window_sums(node, np.ones((1, *x.shape[1:3], 1), np.int64))
    mean = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return np.clip(mean, *node.clamp).astype(np.int8)


def _window_sums(node: AveragePool, x: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of each window of x (N, H, W, C), padded with zeros."""
    padded = np.pad(x, ((0, 0), *node.padding, (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, node.kernel, axis=(1, 2))
    sums: npt.NDArray[np.int64] = view[:, ::node.stride[0], ::node.stride[1]].sum(axis=(4, 5))
    return sums
