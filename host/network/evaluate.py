"""Evaluates networks in integers with the emulator: fast, with the numpy reference's bits."""

import copy
from collections import Counter
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64
from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.emulator import PointwiseTable, PreparedNode, over_images, prepare
from dscim.host.network.kernels import KERNELS
from dscim.host.network.network import Network
from dscim.host.network.node import INPUT, Node
from dscim.host.network.weighted import Weighted
from dscim.progress import Tick

BATCH = 16
"""Images per thread at a time; this bounds the memory."""


class Evaluator:
    """A network prepared for many images with one arithmetic.

    network:    the network to compute.
    arithmetic: of every convolution, each with its own activation shift; None: that which the
                network was tuned for.
    threads:    number of threads; None: as `dscim.host.golden.emulator.parallel` decides.
    """

    def __init__(
        self,
        network: Network,
        arithmetic: ProductSpec | None = None,
        threads: int | None = None,
    ) -> None:
        self.network, self._threads = network, threads
        self._layers: dict[str, PreparedNode] = {
            node.name: prepare(layer, node.weights, node.bias, node.multiplier, node.shift)
            for node, layer in network.layers(arithmetic)
        }
        self._tables = {node.name: _table(node) for node in network.nodes if node.pointwise}
        self._uses = Counter(name for node in network.nodes for name in node.inputs)

    def with_layers_of(self, other: "Evaluator", names: Collection[str]) -> "Evaluator":
        """A copy with the layers `names` taken from `other`, an evaluator of the same network."""
        mixed = copy.copy(self)
        mixed._layers = {
            name: (other if name in names else self)._layers[name] for name in self._layers
        }
        return mixed

    def wrapped(self, wrap: Callable[[Weighted, PreparedNode], PreparedNode]) -> "Evaluator":
        """A copy in which `wrap` has replaced the layer of every convolution."""
        wrapped = copy.copy(self)
        wrapped._layers = {
            node.name: wrap(node, self._layers[node.name]) for node, _ in self.network.layers()
        }
        return wrapped

    def nodes(self, images: Int8) -> dict[str, Int8]:
        """Every node's output, (N, H, W, C) int8, for images (N, H, W, C) int8, in one batch."""
        known = {INPUT: check_images(self.network, images)}
        for node in self.network.nodes:
            known[node.name] = self.node(node, [known[name] for name in node.inputs])
        del known[INPUT]
        return known

    def node(self, node: Node, inputs: list[Int8]) -> Int8:
        """One node's output for its inputs."""
        if node.name in self._layers:
            return self._layers[node.name].run(inputs[0])
        if node.name in self._tables:
            return self._tables[node.name](inputs)
        return host_node(node, inputs)

    def outputs(self, images: Int8, step: Tick | None = None) -> Int8:
        """The last node's output, (N, H, W, C) int8, in bounded memory.

        step: called with the images done and all images after each batch.
        """
        check_images(self.network, images)
        if not len(images):
            raise UserError("there are no images; the network needs at least one.")
        return np.concatenate(
            over_images(
                lambda part: self._last(images[part]), len(images), BATCH, step, self._threads
            )
        )

    def _last(self, images: Int8) -> Int8:
        """The last node's output for one batch; other tensors are freed after their last use."""
        known, uses = {INPUT: images}, self._uses.copy()
        for node in self.network.nodes:
            known[node.name] = self.node(node, [known[name] for name in node.inputs])
            for name in node.inputs:
                uses[name] -= 1
                if not uses[name]:
                    del known[name]
        return known[self.network.nodes[-1].name]


def _table(node: Node) -> PointwiseTable:
    """A pointwise node's output for every input value: the same bits, but faster."""
    return PointwiseTable(lambda *inputs: host_node(node, list(inputs)), len(node.inputs))


def run(network: Network, images: Int8, arithmetic: ProductSpec | None = None) -> dict[str, Int8]:
    """Every node's output, (N, H, W, C) int8, for images (N, H, W, C) int8."""
    return Evaluator(network, arithmetic).nodes(images)


def predictions(outputs: Int8) -> Int64:
    """The class of each image, (N,): the first greatest channel of outputs (N, 1, 1, classes)."""
    return outputs.reshape(len(outputs), -1).argmax(axis=1)


def check_images(network: Network, images: npt.NDArray[np.generic]) -> Int8:
    """`images` if they are (N, H, W, C) int8 of the network's shape, otherwise UserError."""
    if images.dtype != np.int8 or images.shape[1:] != network.shape:
        raise UserError(
            f"the images are {images.dtype} of shape {images.shape}, but the network takes int8 "
            f"of shape (N, {', '.join(map(str, network.shape))})."
        )
    return images.astype(np.int8, copy=False)


def host_node(node: Node, inputs: list[Int8]) -> Int8:
    """The output of a node that does not run on the macro; UserError for a convolution."""
    kernel = KERNELS[type(node)]
    if kernel is None:
        raise UserError(
            f"node {node.name!r} of kind {type(node).__name__} runs on the macro, not on the host."
        )
    return np.clip(kernel(node, *inputs), *node.clamp).astype(np.int8)
