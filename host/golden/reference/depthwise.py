"""Depthwise convolution: a product of few rows for each output channel (contract, "Tiling").

Channels are counted in tiles of D = max(1, 128 div taps), whatever the rows of the macro; channel
c, tap t is row (c mod D)*taps + t of its tile. Cells off the diagonal never fire, so an output is
the sum over the rows of its own taps, each in the region that belongs to its position in the OR
group. The contribution of a row for each activation is a table of 256 entries: exact for any
arithmetic and any stream length.
"""

import numpy as np

from dscim.arrays import Int8, Int32, Int64
from dscim.checks import check_array, check_range
from dscim.errors import ArgumentError
from dscim.gateware.specs import ProductSpec
from dscim.gateware.specs.layer import LayerSpec
from dscim.host.golden.reference.layer import check_parameters, windows
from dscim.host.golden.reference.matrix import region_thresholds
from dscim.host.golden.reference.operands import encode_activations, encode_weights
from dscim.host.golden.reference.requantise import requantise

TILE_ROWS = 128
"""Rows that bound the channels of a tile (contract, "Tiling")."""

BLOCK = 1 << 20
"""Table entries looked up at a time; this bounds the memory."""


def tile_channels(taps: int) -> int:
    """D: the channels of a tile."""
    return max(1, TILE_ROWS // taps)


def tap_rows(taps: int, channels: int) -> Int64:
    """(taps, channels): the row of each tap of each channel in its tile."""
    rows: Int64 = (np.arange(channels) % tile_channels(taps)) * taps + np.arange(taps)[:, None]
    return rows % TILE_ROWS


def tap_table(w: Int8, row: Int64, spec: ProductSpec, zero_point: int) -> Int32:
    """(cells, 256): the contribution of each cell for activations -128..127, in product units.

    w: (cells,) int8. row: (cells,) its row in a tile. ValueError for signed mode offset.
    """
    operands = np.arange(-128, 128).astype(np.int8)
    if spec.exact:
        return (operands.astype(np.int32) - zero_point) * w.astype(np.int32)[:, None]
    if spec.signed != "split":
        raise ValueError("A depthwise product runs in the signed mode split, not in offset.")
    a, a_sign = encode_activations(operands, spec, zero_point)
    b, b_sign = encode_weights(w, spec)
    p, q = region_thresholds(spec)[:, row % spec.or_width]
    counts = np.zeros((len(w), 256), np.int32)
    for sample in range(p.shape[1]):
        fires = (b >> spec.operand_shift) > q[:, sample]
        counts += ((a >> spec.operand_shift) > p[:, sample, None]) & fires[:, None]
    signed = counts * (a_sign * b_sign[:, None])
    return (signed << spec.decode_shift).astype(np.int32)


def depthwise_windows(x: Int8, layer: LayerSpec) -> Int8:
    """(N, out_h, out_w, taps, C) for x (N, H, W, C); padded positions hold the zero point."""
    unrolled = windows(x, layer)
    return unrolled.reshape(*unrolled.shape[:3], layer.depth, layer.input[2])


def product(x: Int8, w: Int8, spec: ProductSpec, zero_point: int = 0) -> Int64:
    """The sum over taps of (x - z) * w as `spec` computes it, in product units: (M, outputs).

    x: (M, taps, C) int8; w: (taps, outputs) int8, where output o takes channel o*C/outputs, so that
    outputs is a multiple of C; zero_point: z, int8. ArgumentError for other arrays and numbers.
    """
    check_array("w", w, np.int8, ("taps", "outputs"))
    check_array("x", x, np.int8, ("M", w.shape[0], "C"))
    check_range("zero_point", zero_point, -128, 127)
    (taps, outputs), channels = w.shape, x.shape[2]
    if not taps or not channels or outputs % channels:
        raise ArgumentError(
            f"w has the shape {w.shape}, which is not taps and a multiple of the {channels} "
            "channels of x."
        )
    of_output = np.arange(outputs) // (outputs // channels)
    row = tap_rows(taps, channels)[:, of_output]
    total = np.zeros((len(x), outputs), np.int64)
    for tap in range(taps):
        table = tap_table(w[tap], row[tap], spec, zero_point).ravel()
        base = 256 * np.arange(outputs) + 128
        step = max(1, BLOCK // outputs)
        for start in range(0, len(x), step):
            block = slice(start, start + step)
            total[block] += table[base + x[block, tap, of_output]]
    return total


class PreparedDepthwise:
    """A depthwise layer with its arrays, for many inputs; the counterpart of `PreparedLayer`."""

    def __init__(
        self,
        layer: LayerSpec,
        weights: Int8,
        bias: Int32,
        multiplier: Int32,
        shift: Int32,
    ) -> None:
        """weights: (KH, KW, outputs) int8; bias, multiplier, shift: (outputs,) int32.

        ArgumentError for other arrays.
        """
        check_parameters(layer, weights, bias, multiplier, shift)
        self.layer = layer
        self._weights = weights.reshape(layer.depth, layer.outputs)
        self._bias = bias.astype(np.int64)
        self._multiplier, self._shift = multiplier, shift

    def accumulate(self, x: Int8) -> Int64:
        """(N, out_h, out_w, outputs): sums in product units with the bias, for x (N, H, W, C)."""
        check_array("x", x, np.int8, ("N", *self.layer.input))
        unrolled = depthwise_windows(x, self.layer)
        sums = product(
            unrolled.reshape(-1, *unrolled.shape[3:]),
            self._weights,
            self.layer.product,
            self.layer.input_zero,
        )
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
