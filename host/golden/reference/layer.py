"""Whole layers in numpy: windows, product, bias, requantisation."""

import numpy as np

from dscim.arrays import Int8, Int32, Int64
from dscim.checks import check_array
from dscim.gateware.specs.layer import LayerSpec
from dscim.host.golden.reference.matrix import PreparedWeights
from dscim.host.golden.reference.requantise import requantise


def windows(x: Int8, layer: LayerSpec) -> Int8:
    """The unrolled input: (N, out_h, out_w, K) for x (N, H, W, C) int8.

    Row k = (ky*KW + kx)*C + c of a window; padded positions hold the input's zero point.
    """
    (kh, kw), (sy, sx) = layer.kernel, layer.stride
    padded = np.pad(x, ((0, 0), *layer.padding, (0, 0)), constant_values=layer.input_zero)
    view = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    view = view[:, ::sy, ::sx].transpose(0, 1, 2, 4, 5, 3)
    return view.reshape(*view.shape[:3], kh * kw * x.shape[3])


def weight_matrix(weights: Int8) -> Int8:
    """(K, outputs) for OHWI weights (outputs, KH, KW, C)."""
    return weights.reshape(len(weights), -1).T


def check_parameters(
    layer: LayerSpec, weights: Int8, bias: Int32, multiplier: Int32, shift: Int32
) -> None:
    """ArgumentError unless the arrays belong to `layer`.

    weights: (outputs, KH, KW, C) int8, or (KH, KW, outputs) if depthwise; the others (outputs,)
    int32.
    """
    channels = (*layer.kernel, layer.outputs)
    whole = (layer.outputs, *layer.kernel, layer.input[2])
    check_array("weights", weights, np.int8, channels if layer.depthwise else whole)
    for name, values in (("bias", bias), ("multiplier", multiplier), ("shift", shift)):
        check_array(name, values, np.int32, (layer.outputs,))


class PreparedLayer:
    """A layer with its weights prepared, for many inputs."""

    def __init__(
        self,
        layer: LayerSpec,
        weights: Int8,
        bias: Int32,
        multiplier: Int32,
        shift: Int32,
    ) -> None:
        """weights: OHWI int8; bias (product units), multiplier (Q31), shift: (outputs,) int32.

        ArgumentError for other arrays.
        """
        check_parameters(layer, weights, bias, multiplier, shift)
        self.layer = layer
        self._weights = PreparedWeights(weight_matrix(weights), layer.product, layer.input_zero)
        self._bias = bias.astype(np.int64)
        self._multiplier, self._shift = multiplier, shift

    def accumulate(self, x: Int8) -> Int64:
        """(N, out_h, out_w, outputs): sums in product units with the bias, for x (N, H, W, C)."""
        check_array("x", x, np.int8, ("N", *self.layer.input))
        unrolled = windows(x, self.layer)
        sums = self._weights.product(unrolled.reshape(-1, self.layer.depth))
        return sums.reshape(*unrolled.shape[:3], -1) + self._bias

    def run(self, x: Int8) -> Int8:
        """(N, out_h, out_w, outputs) int8 for x (N, H, W, C) int8."""
        return requantise(
            self.accumulate(x),
            self._multiplier,
            self._shift,
            self.layer.output_zero,
            self.layer.clamp,
            self.layer.single_rounding,
        )
