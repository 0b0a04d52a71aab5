"""Several pixels of an output row by one window: more of the macro's columns work, same bits.

The weights of each pixel stand in columns of its own, with zeros where it does not look. A row's
region is its place modulo G (contract, section 2), and a weight of zero never fires in the signed
mode split; so wherever a pixel's weights keep their places modulo G, every count is what it was.

Pixels side by side read windows that overlap. Where each tap takes a whole number of OR groups,
one window over all of them is an ordinary convolution, whose output lies in memory as the pixels'
own would. Where not, the window holds the pixels' own windows, each from a whole OR group on
(`windows_log2` of the descriptor), in one row tile.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.gateware.specs.product import MAX_DEPTH
from dscim.gateware.specs.soc import WORD_BYTES


@dataclasses.dataclass(frozen=True)
class Packing:
    """How a window is shared: by so many `pixels`, which it holds `apart` or overlapping."""

    pixels: int = 1
    stacked: bool = False

    @property
    def windows(self) -> int:
        """Windows of the layer that a window of the macro holds."""
        return self.pixels if self.stacked else 1


UNPACKED = Packing()
"""A window a pixel."""


def packed_layer(layer: LayerSpec, packing: Packing) -> LayerSpec:
    """The layer whose outputs are those of all pixels of a window; its output has the same words.

    Its kernel is over all of them, or that of one where they are apart.
    """
    down, across = layer.stride
    return dataclasses.replace(
        layer,
        outputs=packing.pixels * layer.outputs,
        kernel=(layer.kernel[0], _width(layer, packing)),
        stride=(down, packing.pixels * across),
    )


def packed_matrix(
    weights: npt.NDArray[np.int8], layer: LayerSpec, packing: Packing, group: int
) -> npt.NDArray[np.int8]:
    """(rows, pixels*N), pixel after pixel, for weights (N, KH, KW, C) of `layer`.

    group: rows of an OR group.
    """
    outputs, height, width, channels = weights.shape
    pixels = range(packing.pixels)
    if packing.stacked:
        rows, depth = stacked_rows(layer.depth, packing.pixels, group), layer.depth
        matrix = np.zeros((rows, packing.pixels, outputs), np.int8)
        for pixel in pixels:
            first = pixel * _whole(depth, group)
            matrix[first : first + depth, pixel] = weights.reshape(outputs, -1).T
        return matrix.reshape(rows, -1)
    wide = np.zeros((height, _width(layer, packing), channels, packing.pixels, outputs), np.int8)
    for pixel in pixels:
        first = pixel * layer.stride[1]
        wide[:, first : first + width, :, pixel] = weights.transpose(1, 2, 3, 0)
    return wide.reshape(-1, packing.pixels * outputs)


def packings(spec: SocSpec, layer: LayerSpec) -> Iterator[Packing]:
    """UNPACKED, and those with the same bits that the device has columns and rows for."""
    yield UNPACKED
    split = layer.product.exact or layer.product.signed == "split"
    if layer.depthwise or not split or layer.outputs % WORD_BYTES:
        return
    whole = layer.product.exact or layer.input[2] % layer.product.or_width == 0
    pixels = 2
    while pixels * layer.outputs <= spec.macro.columns and layer.output[1] % pixels == 0:
        packing = Packing(pixels, stacked=not whole)
        rows = window_rows(layer, packing, spec.macro.or_width)
        if rows > (spec.macro.rows if packing.stacked else min(spec.weight_rows, MAX_DEPTH)):
            return
        yield packing
        pixels *= 2


def stacked_rows(depth: int, windows: int, group: int) -> int:
    """Rows of so many windows of `depth` rows, each from a whole OR group of `group` on."""
    return (windows - 1) * _whole(depth, group) + depth


def window_rows(layer: LayerSpec, packing: Packing, group: int) -> int:
    """Rows of a shared window of `layer`."""
    return stacked_rows(packed_layer(layer, packing).depth, packing.windows, group)


def _whole(depth: int, group: int) -> int:
    return -(-depth // group) * group


def _width(layer: LayerSpec, packing: Packing) -> int:
    return layer.kernel[1] + (0 if packing.stacked else (packing.pixels - 1) * layer.stride[1])
