"""Windows of a layer at a sample of its pixels, and its products there."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.arrays import Floats, Int8
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.golden.emulator import prepare
from dscim.host.network import Weighted

Places = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Image, row and column of each sampled pixel."""


def sample(count: int, layer: LayerSpec, images: int, seed: int) -> Places:
    """At most `count` different output pixels of `images` images, chosen at random."""
    height, width, _ = layer.output
    pixels = images * height * width
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(pixels)[:count])
    image, rest = np.divmod(chosen, height * width)
    return image, *np.divmod(rest, width)


def windows_at(x: Int8, layer: LayerSpec, places: Places) -> Int8:
    """(P, KH, KW, C): the windows of x (N, H, W, C) at `places`, padded with the zero point."""
    image, down, across = places
    padded = np.pad(x, ((0, 0), *layer.padding, (0, 0)), constant_values=layer.input_zero)
    view = np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=(1, 2))
    found = view[image, down * layer.stride[0], across * layer.stride[1]]
    return np.ascontiguousarray(found.transpose(0, 2, 3, 1))


def products(x: Int8, layer: LayerSpec, weights: Int8, spec: ProductSpec) -> Floats:
    """The sums (P, O) of `spec` in product units, without bias, for windows x (P, KH, KW, C).

    weights: in the shape of the layer's node.
    """
    nothing = np.zeros(layer.outputs, np.int32)
    small = dataclasses.replace(
        layer, input=x.shape[1:], stride=(1, 1), padding=((0, 0), (0, 0)), product=spec
    )
    made = prepare(small, weights, nothing, nothing, nothing)
    return made.accumulate(x)[:, 0, 0].astype(np.float32)


def as_matrix(node: Weighted, weights: Int8) -> Int8:
    """Weights in the node's shape as a matrix (K, O), K the rows of one output's product."""
    if weights.ndim == 4:
        return weights.reshape(len(weights), -1).T
    return weights.reshape(-1, node.outputs)


def as_weights(node: Weighted, matrix: npt.NDArray[np.int8]) -> Int8:
    """The inverse of `as_matrix`."""
    kernel = matrix.T if node.weights.ndim == 4 else matrix
    return np.ascontiguousarray(kernel.reshape(node.weights.shape))
