"""Packs pixels of an output column into one window: more columns work, with the same bits.

Each pixel's weights have their own columns, with zeros in the rows that the pixel does not read. A
weight of zero never fires in the signed mode split. The window over all pixels is that of an
ordinary convolution with a taller kernel. Its output lies in memory as that of the layer.

In this window, the rows of a pixel move down by those of the pixels above it. No count changes as
long as a row's bits stay the same, which depends on its region (contract, section 2): on all of it
in an ordered macro (`MacroSpec.ordered`), only on whether i + j is odd with the sequence counter,
and not at all with a table or in an exact product.
"""

import dataclasses
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from dscim.arrays import Int8
from dscim.gateware.layout import ceil_div, pixel_words
from dscim.gateware.specs import MAX_DEPTH, LayerSpec, SocSpec
from dscim.gateware.specs.layer import MAX_SIDE
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.products import column_groups, describable


def packed_layer(layer: LayerSpec, pixels: int) -> LayerSpec:
    """The layer whose outputs are those of all `pixels` of a window, pixel by pixel."""
    down, across = layer.stride
    return dataclasses.replace(
        layer,
        outputs=pixels * layer.outputs,
        kernel=(_height(layer, pixels), layer.kernel[1]),
        stride=(pixels * down, across),
    )


def packed_matrix(weights: Int8, layer: LayerSpec, pixels: int) -> Int8:
    """The weights (N, KH, KW, C) of `layer` as a matrix (rows, pixels*N), pixel by pixel."""
    outputs, height, width, channels = weights.shape
    tall = np.zeros((_height(layer, pixels), width, channels, pixels, outputs), np.int8)
    for pixel in range(pixels):
        first = pixel * layer.stride[0]
        tall[first : first + height, :, :, pixel] = weights.transpose(1, 2, 3, 0)
    return tall.reshape(-1, pixels * outputs)


def packings(spec: SocSpec, layer: LayerSpec) -> Iterator[int]:
    """The numbers of pixels per window that keep the bits and fit the device; the first is 1."""
    yield 1
    split = layer.product.exact or layer.product.signed == "split"
    if layer.depthwise or not split or layer.outputs % WORD_BYTES or not _keeps_bits(spec, layer):
        return
    pixels = 2
    while (
        pixels * layer.outputs <= spec.macro.columns
        and layer.output[0] % pixels == 0
        and _height(layer, pixels) <= MAX_SIDE
        and _height(layer, pixels) * layer.kernel[1] * layer.input[2] <= MAX_DEPTH
    ):
        packed = packed_layer(layer, pixels)
        if not describable(spec, packed) or not column_groups(spec, packed):
            return
        yield pixels
        pixels *= 2


@lru_cache(maxsize=4096)
def best_packing(spec: SocSpec, layer: LayerSpec) -> int:
    """The number among `packings` with the fewest products of the macro, and then the smallest."""
    return min(packings(spec, layer), key=lambda pixels: (_products(spec, layer, pixels), pixels))


def _products(spec: SocSpec, layer: LayerSpec, pixels: int) -> int:
    """Products of the macro per image."""
    packed = packed_layer(layer, pixels)
    units = packed.kernel[0] * packed.kernel[1] * pixel_words(layer.input[2])
    tiles = ceil_div(units, spec.macro.units) * ceil_div(packed.outputs, spec.macro.columns)
    return packed.output[0] * packed.output[1] * tiles


def _keeps_bits(spec: SocSpec, layer: LayerSpec) -> bool:
    """Whether the weights of every pixel have the bits of those of the first."""
    product = layer.product
    if product.exact or (product.sequence.kind == "table" and not spec.macro.ordered):
        return True
    moved = layer.stride[0] * layer.kernel[1] * layer.input[2]
    if spec.macro.ordered:
        return moved % product.or_width == 0 and layer.input[2] % WORD_BYTES == 0
    return moved % (2 * product.root) == 0


def _height(layer: LayerSpec, pixels: int) -> int:
    """Height of the window over `pixels` pixels."""
    return layer.kernel[0] + (pixels - 1) * layer.stride[0]
