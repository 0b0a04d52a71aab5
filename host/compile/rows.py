"""Lays out the network's input so that a window's row of pixels is one pixel of more channels.

A pixel of few channels leaves most bytes of its words unused. If the host writes the input, it may
write, for each pixel of an output row, the pixels that its windows have in a row of the input, side
by side. The kernel is then one pixel wide. The rows of a window, and so all bits, stay the same:
row (ky*KW + kx)*C + c of the layer is row ky*(KW*C) + (kx*C + c) of the other one. Padding at the
sides becomes pixels with the zero point.
"""

import dataclasses

import numpy as np

from dscim.arrays import Int8
from dscim.gateware.layout import ceil_div, pixel_words, tensor_rows
from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.host.compile.products import describable


def with_rows(spec: SocSpec, layer: LayerSpec) -> LayerSpec | None:
    """The layer on an input with rows of pixels; None unless it has fewer row tiles, and its input
    takes no more memory.

    In an ordered macro the place of a row decides its bits, so there is none.
    """
    if layer.depthwise or layer.kernel[1] == 1:
        return None
    if spec.macros[spec.macro_for(layer.product)].ordered:
        return None
    channels = layer.kernel[1] * layer.input[2]
    rows = dataclasses.replace(
        layer,
        input=(layer.input[0], layer.output[1], channels),
        kernel=(layer.kernel[0], 1),
        stride=(layer.stride[0], 1),
        padding=(layer.padding[0], (0, 0)),
    )
    fewer = _row_tiles(spec, rows) < _row_tiles(spec, layer)
    sizes = [tensor_rows(one.input, spec.banks) for one in (rows, layer)]
    return rows if fewer and sizes[0] <= sizes[1] and describable(spec, rows) else None


def rows_of(x: Int8, layer: LayerSpec) -> Int8:
    """The input of `with_rows` for an input x (H, W, C) of `layer`; H may be some of its rows."""
    sides = layer.padding[1]
    padded = np.pad(x, ((0, 0), sides, (0, 0)), constant_values=np.int8(layer.input_zero))
    width, stride = layer.kernel[1], layer.stride[1]
    pixels = [
        padded[:, first : first + width].reshape(len(x), 1, -1)
        for first in range(0, layer.output[1] * stride, stride)
    ]
    return np.concatenate(pixels, axis=1)


def _row_tiles(spec: SocSpec, layer: LayerSpec) -> int:
    """Row tiles of a window of the layer."""
    units = layer.kernel[0] * layer.kernel[1] * pixel_words(layer.input[2])
    return ceil_div(units, spec.macro.units)
