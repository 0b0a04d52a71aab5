"""Several pixels of an output row by one window: more of the macro's columns work, same bits.

Pixels side by side read windows that overlap. One window over all of them, with the weights of
each pixel in columns of its own and zeros where a pixel does not look, is an ordinary
convolution, whose output lies in memory as the pixels' own would. A row's region is its place
modulo G (contract, section 2), and a weight of zero never fires in the signed mode split: where
each tap takes a whole number of OR groups, every weight stays in its region, and every count is
what it was.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.gateware.specs.product import MAX_DEPTH
from dscim.gateware.specs.soc import WORD_BYTES


def widened(layer: LayerSpec, pixels: int) -> LayerSpec:
    """The layer whose windows are those of `pixels` pixels; its output has the same words."""
    down, across = layer.stride
    return dataclasses.replace(layer, outputs=pixels * layer.outputs,
                               kernel=(layer.kernel[0], _width(layer, pixels)),
                               stride=(down, pixels * across))


def widened_weights(weights: npt.NDArray[np.int8], layer: LayerSpec, pixels: int
                    ) -> npt.NDArray[np.int8]:
    """(pixels*N, KH, KW', C) for weights (N, KH, KW, C) of `layer`: pixel after pixel."""
    outputs, height, width, channels = weights.shape
    wide = np.zeros((pixels, outputs, height, _width(layer, pixels), channels), np.int8)
    for pixel in range(pixels):
        first = pixel * layer.stride[1]
        wide[pixel, :, :, first:first + width] = weights
    return wide.reshape(-1, *wide.shape[2:])


def choices(spec: SocSpec, layer: LayerSpec) -> Iterator[int]:
    """1, and the numbers of pixels with the same bits that the device has columns and rows for."""
    yield 1
    whole = layer.product.exact or (
        layer.product.signed == "split" and layer.input[2] % layer.product.or_width == 0)
    if layer.depthwise or not whole or layer.outputs % WORD_BYTES:
        return
    pixels = 2
    while (pixels * layer.outputs <= spec.macro.columns and layer.output[1] % pixels == 0
           and _depth(layer, pixels) <= min(spec.weight_rows, MAX_DEPTH)):
        yield pixels
        pixels *= 2


def _width(layer: LayerSpec, pixels: int) -> int:
    return layer.kernel[1] + (pixels - 1) * layer.stride[1]


def _depth(layer: LayerSpec, pixels: int) -> int:
    return layer.kernel[0] * _width(layer, pixels) * layer.input[2]
