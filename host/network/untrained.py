"""A keyword-spotting network with random weights: cycles and bits do not need trained ones.

The structure is that of small depthwise-separable networks for keywords: a convolution over time
and frequency, four depthwise-separable blocks, a mean over all positions, a classifier. Each
channel is normalised on random inputs, as batch normalisation would do, so that activations fill
the range of int8. All scales follow from integer sums, so a seed has the same network everywhere.
"""

import dataclasses

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.gateware.specs import ProductSpec
from dscim.host.network import INPUT, Conv, Depthwise, Evaluator, Mean, Network, Node
from dscim.host.network.node import Padding, Pair, Shape, same_padding
from dscim.host.network.scaling import mean_factors, quantise_multiplier

SHAPE: Shape = (49, 10, 1)
"""Windows of time, features of each, one channel."""

CHANNELS, BLOCKS, CLASSES = 64, 4, 12

FIRST_KERNEL: Pair = (10, 4)
FIRST_STRIDE: Pair = (2, 2)

INPUT_SCALE = 1 / 32
"""The scale of the input; its standard deviation is about 1."""

SCALE = 6 / 255
"""The scale after a ReLU: up to six standard deviations."""

MEAN_SCALE = 3 / 255

SAMPLES = 16
"""Random inputs on which channels are normalised."""

ABOVE = 0.5
"""Mean of a channel before its ReLU, in standard deviations: most values pass."""


def keyword_network(seed: int) -> Network:
    """The network of this seed, for 12 classes; provenance has the seed."""
    generator = np.random.default_rng(seed)
    grower = _Grower(generator, _inputs(generator, SAMPLES))
    grower.conv("first", (CHANNELS, *FIRST_KERNEL, 1), FIRST_STRIDE)
    for block in range(1, BLOCKS + 1):
        grower.depthwise(f"depthwise{block}", (3, 3, CHANNELS))
        grower.conv(f"pointwise{block}", (CHANNELS, 1, 1, CHANNELS))
    grower.mean("mean")
    grower.classifier("classifier", (CLASSES, 1, 1, CHANNELS))
    return Network(
        "keyword",
        SHAPE,
        INPUT_SCALE,
        0,
        tuple(grower.nodes),
        provenance={"weights": "random, not trained", "seed": seed},
    )


def keyword_inputs(count: int, seed: int) -> Int8:
    """Random inputs (count, 49, 10, 1) int8."""
    return _inputs(np.random.default_rng(seed), count)


def _inputs(generator: np.random.Generator, count: int) -> Int8:
    """Noise with a random level for each feature of each input."""
    height, width, channels = SHAPE
    levels = generator.integers(-32, 33, (count, 1, width, channels))
    noise = generator.integers(-64, 65, (count, height, width, channels))
    return (levels + noise).astype(np.int8)


class _Grower:
    """A network as it grows by a node at a time, with the values of its last tensor.

    images: (N, H, W, C) int8, the inputs on which channels are normalised.
    """

    def __init__(self, generator: np.random.Generator, images: Int8) -> None:
        self.nodes: list[Node] = []
        self._generator, self._values = generator, images
        self._zero = 0

    def conv(self, name: str, shape: tuple[int, int, int, int], stride: Pair = (1, 1)) -> None:
        """A convolution with ReLU; shape: OHWI."""
        self._weighted(Conv, name, shape, stride)

    def depthwise(self, name: str, shape: tuple[int, int, int]) -> None:
        """A depthwise convolution with ReLU; shape: HWC."""
        self._weighted(Depthwise, name, shape, (1, 1))

    def classifier(self, name: str, shape: tuple[int, int, int, int]) -> None:
        """A convolution without ReLU."""
        self._weighted(Conv, name, shape, (1, 1), relu=False)

    def mean(self, name: str) -> None:
        """The mean over height and width."""
        positions = self._values.shape[1] * self._values.shape[2]
        multiplier, shift = mean_factors(SCALE / MEAN_SCALE, positions)
        self._add(
            Mean(
                name,
                self._source,
                -128,
                MEAN_SCALE,
                input_zero=self._zero,
                multiplier=multiplier,
                shift=shift,
            )
        )

    def _weighted(
        self,
        kind: type[Conv] | type[Depthwise],
        name: str,
        shape: tuple[int, ...],
        stride: Pair,
        relu: bool = True,
    ) -> None:
        weights = self._generator.normal(0, 40, shape).round().clip(-127, 127).astype(np.int8)
        kernel = shape[:2] if kind is Depthwise else shape[1:3]
        height, width = self._values.shape[1:3]
        padding = (
            same_padding(height, kernel[0], stride[0]),
            same_padding(width, kernel[1], stride[1]),
        )
        sums = _sums(self._values.astype(np.int64) - self._zero, weights, stride, padding)
        sums = sums.reshape(-1, sums.shape[-1])
        mean, deviation = sums.mean(axis=0), sums.std(axis=0)
        multiplier, shift = quantise_multiplier(1 / SCALE / deviation)
        self._add(
            kind(
                name,
                self._source,
                -128 if relu else 0,
                SCALE,
                weights=weights,
                bias=(ABOVE * relu * deviation - mean).round().astype(np.int32),
                multiplier=multiplier,
                shift=shift,
                input_zero=self._zero,
                stride=stride,
                padding=padding,
            )
        )

    @property
    def _source(self) -> tuple[str]:
        return (self.nodes[-1].name if self.nodes else INPUT,)

    def _add(self, node: Node) -> None:
        """Adds a node and computes its output with the exact product."""
        shape = self._values.shape[1:]
        scale = self.nodes[-1].output_scale if self.nodes else INPUT_SCALE
        alone = dataclasses.replace(node, inputs=(INPUT,))
        network = Network(node.name, shape, scale, self._zero, (alone,))
        self._values = Evaluator(network, ProductSpec(exact=True)).outputs(self._values)
        self.nodes.append(node)
        self._zero = node.output_zero


def _sums(x: Int64, weights: Int8, stride: Pair, padding: Padding) -> Int64:
    """The sums (N, H, W, outputs) of a convolution OHWI, or of a depthwise one HWC."""
    depthwise = weights.ndim == 3
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    kernel = weights.shape[:2] if depthwise else weights.shape[1:3]
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, (1, 2))
    windows = windows[:, :: stride[0], :: stride[1]]
    sums: Int64 = np.einsum(
        "nyxchw,hwc->nyxc" if depthwise else "nyxchw,ohwc->nyxo",
        windows,
        weights.astype(np.int64),
        optimize=True,
    )
    return sums
