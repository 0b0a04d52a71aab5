"""Packs several pixels of an output row into one window: more columns work, with the same bits.

Each pixel's weights have their own columns, with zeros in the rows that the pixel does not read. A
row's region is its position modulo G (contract, section 2), and a weight of zero never fires in the
signed mode split. So no count changes as long as a pixel's weights keep their positions modulo G.

Adjacent pixels read windows that overlap. If each tap takes a whole number of OR groups, one window
over all of them is an ordinary convolution, whose output has the same layout in memory. Otherwise
the pixels' own windows are stacked in one row tile, each beginning at a whole OR group
(`windows_log2` of the descriptor).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from dscim.arrays import Int8
from dscim.gateware.layout import ceil_div
from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.gateware.specs.product import MAX_DEPTH
from dscim.gateware.specs.soc import WORD_BYTES


@dataclasses.dataclass(frozen=True)
class Packing:
    """The number of pixels in a window.

    stacked: each pixel's window has its own rows; otherwise the windows overlap.
    """

    pixels: int = 1
    stacked: bool = False

    @property
    def windows(self) -> int:
        """Number of the layer's windows that are stacked in one window of the macro."""
        return self.pixels if self.stacked else 1


UNPACKED = Packing()
"""One pixel per window."""


def packed_layer(layer: LayerSpec, packing: Packing) -> LayerSpec:
    """The layer whose outputs are those of all pixels of a window; its output has the same words.

    Its kernel covers all pixels, or one pixel if their windows are stacked.
    """
    down, across = layer.stride
    return dataclasses.replace(
        layer,
        outputs=packing.pixels * layer.outputs,
        kernel=(layer.kernel[0], _width(layer, packing)),
        stride=(down, packing.pixels * across),
    )


def packed_matrix(weights: Int8, layer: LayerSpec, packing: Packing, group: int) -> Int8:
    """The weights (N, KH, KW, C) of `layer` as a matrix (rows, pixels*N), pixel by pixel.

    group: rows per OR group.
    """
    outputs, height, width, channels = weights.shape
    pixels = range(packing.pixels)
    if packing.stacked:
        rows, depth = stacked_rows(layer.depth, packing.pixels, group), layer.depth
        matrix = np.zeros((rows, packing.pixels, outputs), np.int8)
        for pixel in pixels:
            first = pixel * _round_up(depth, group)
            matrix[first : first + depth, pixel] = weights.reshape(outputs, -1).T
        return matrix.reshape(rows, -1)
    wide = np.zeros((height, _width(layer, packing), channels, packing.pixels, outputs), np.int8)
    for pixel in pixels:
        first = pixel * layer.stride[1]
        wide[:, first : first + width, :, pixel] = weights.transpose(1, 2, 3, 0)
    return wide.reshape(-1, packing.pixels * outputs)


def packings(spec: SocSpec, layer: LayerSpec) -> Iterator[Packing]:
    """UNPACKED, and all packings that keep the bits and fit the device's columns and rows."""
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
    """Rows of stacked windows of `depth` rows, each beginning at a multiple of `group`."""
    return (windows - 1) * _round_up(depth, group) + depth


def window_rows(layer: LayerSpec, packing: Packing, group: int) -> int:
    """Rows of a packed window of `layer`."""
    return stacked_rows(packed_layer(layer, packing).depth, packing.windows, group)


def _round_up(depth: int, group: int) -> int:
    return ceil_div(depth, group) * group


def _width(layer: LayerSpec, packing: Packing) -> int:
    return layer.kernel[1] + (0 if packing.stacked else (packing.pixels - 1) * layer.stride[1])
