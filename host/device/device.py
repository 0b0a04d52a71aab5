"""Runs layers and products on a device, over any link."""

import bisect
import dataclasses

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.checks import check_array, check_operands
from dscim.errors import ArgumentError
from dscim.gateware import descriptor
from dscim.gateware.layout import (
    Outputs,
    pack_parameters,
    pack_product,
    product_rows,
    tensor_rows,
    unit_depth,
)
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.gateware.specs.layer import MAX_SIDE
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.host.compile.parameters import LayerParameters
from dscim.host.compile.products import MAX_CHANNELS, describable, layer_fields, viewed
from dscim.host.device.controller import Controller, Counters
from dscim.host.golden.reference import requantise, weight_matrix, windows
from dscim.host.golden.reference.depthwise import depthwise_windows, tile_channels
from dscim.host.golden.reference.operands import column_corrections
from dscim.progress import Tick


@dataclasses.dataclass(frozen=True)
class LayerRun:
    """The result of a layer: outputs (N, out_h, out_w, outputs) int8, or int32 if raw."""

    outputs: Outputs
    counters: Counters


@dataclasses.dataclass(frozen=True)
class ProductRun:
    """The result of a product: values (M, N) int64 in product units."""

    values: Int64
    counters: Counters


class Device(Controller):
    """A device that runs layers and products. For opening and closing see `Controller`."""

    def run_layer(
        self,
        layer: LayerSpec,
        parameters: LayerParameters,
        x: Int8,
        progress: Tick | None = None,
        *,
        units: int | None = None,
        raw: bool = False,
    ) -> LayerRun:
        """Runs a convolution on x (N, H, W, C) int8, image by image; weights are uploaded once.

        units: use only the first units of each window. raw: return int32 sums in product units,
        bias included, instead of int8. progress(done, total) is called after each image. Windows
        that descriptors cannot express are unrolled; these can be neither raw nor use fewer units.
        Raises UserError for inputs of another shape or type, and for a layer that does not fit.
        """
        check_array("x", x, np.int8, ("N", *layer.input))
        layer = viewed(layer)
        if not describable(self.spec, layer):
            if units is not None or raw:
                raise ArgumentError(
                    f"units {units} and raw {raw} need a window that descriptors can express, not "
                    f"{layer.kernel[0]}x{layer.kernel[1]} of {layer.input[2]} channels."
                )
            return self._run_unrolled(layer, parameters, x, progress)
        fields = layer_fields(self.spec, layer, units=units, raw=raw)
        self.counted()
        self._upload(layer, parameters, fields)
        outputs = np.zeros((len(x), *layer.output), np.int32 if raw else np.int8)
        for index, image in enumerate(x):
            self.write_tensor(0, image.reshape(layer.input))
            self.start(0, 1)
            outputs[index] = self.read_tensor(fields["output_base"], layer.output, raw)
            if progress:
                progress(index + 1, len(x))
        return LayerRun(outputs, self.counted())

    def multiply(
        self,
        x: Int8,
        w: Int8,
        product: ProductSpec,
        zero_point: int = 0,
        progress: Tick | None = None,
    ) -> ProductRun:
        """sum((x - z) * w) for x (M, K) and w (K, N) int8, of any size, computed as `product`.

        A product that does not fit the memories is split into parts whose sums are added. The
        splits are between row tiles and column tiles, so the result has the same bits.
        progress(done, total) is called after each part. ArgumentError for other arrays and numbers.
        """
        check_operands(x, w, zero_point)
        values = np.zeros((x.shape[0], w.shape[1]), np.int64)
        deepest, widest = self._largest(*w.shape)
        most = self._most_pixels(deepest, widest)
        parts = [
            (slice(m, m + most), slice(k, k + deepest), slice(n, n + widest))
            for k in range(0, w.shape[0], deepest)
            for n in range(0, w.shape[1], widest)
            for m in range(0, x.shape[0], most)
        ]
        total = Counters()
        for done, (m, k, n) in enumerate(parts, 1):
            run = self._part(x[m, k], w[k, n], product, zero_point)
            values[m, n] += run.outputs[0, :, 0]
            total += run.counters
            if progress:
                progress(done, len(parts))
        return ProductRun(values, total)

    def multiply_windows(
        self, layer: LayerSpec, weights: Int8, x: Int8, progress: Tick | None = None
    ) -> ProductRun:
        """`multiply` for the windows of x (N, H, W, C) int8; a row of values for each window.

        weights: as in a network: (outputs, KH, KW, C), or (KH, KW, outputs) if depthwise. Then each
        tile of channels is a product with a block-diagonal matrix (contract, "Tiling").
        ArgumentError for other arrays.
        """
        channels = (*layer.kernel, layer.outputs)
        whole = (layer.outputs, *layer.kernel, layer.input[2])
        check_array("weights", weights, np.int8, channels if layer.depthwise else whole)
        check_array("x", x, np.int8, ("N", *layer.input))
        product, zero = layer.product, layer.input_zero
        if not layer.depthwise:
            unrolled = windows(x, layer).reshape(-1, layer.depth)
            return self.multiply(unrolled, weight_matrix(weights), product, zero, progress)
        taps, count = layer.depth, layer.input[2]
        of_channel = weights.reshape(taps, count, -1)
        rows = depthwise_windows(x, layer).reshape(-1, taps, count).transpose(0, 2, 1)
        parts, total, together = [], Counters(), tile_channels(taps)
        for first in range(0, count, together):
            chosen = of_channel[:, first : first + together].transpose(1, 0, 2)
            held = np.arange(len(chosen))
            matrix = np.zeros((len(held), taps, len(held), chosen.shape[2]), np.int8)
            matrix[held, :, held] = chosen
            tile = rows[:, first : first + together].reshape(len(rows), -1)
            run = self.multiply(tile, matrix.reshape(len(held) * taps, -1), product, zero)
            parts.append(run.values)
            total += run.counters
            if progress:
                progress(first + len(held), count)
        return ProductRun(np.concatenate(parts, axis=1), total)

    def _run_unrolled(
        self, layer: LayerSpec, parameters: LayerParameters, x: Int8, progress: Tick | None
    ) -> LayerRun:
        """The windows are multiplied, the host does the rest."""
        run = self.multiply_windows(layer, parameters.weights, x, progress)
        outputs = requantise(
            run.values.reshape(len(x), *layer.output) + parameters.bias,
            parameters.multiplier,
            parameters.shift,
            layer.output_zero,
            layer.clamp,
            layer.single_rounding,
        )
        return LayerRun(outputs, run.counters)

    def _largest(self, depth: int, outputs: int) -> tuple[int, int]:
        """Maximum inputs and outputs per part.

        All inputs, or as many whole row tiles as weight and activation memory hold; OR groups if
        not even one fits.
        """
        spec, rows = self.spec, self.spec.macro.rows
        words = spec.activation_rows // 2 * spec.banks
        tiles = spec.weight_rows // product_rows(spec, rows, rows)
        room = min(tiles * rows, words * UNIT_ROWS, MAX_CHANNELS)
        unit = rows if room >= rows else spec.macro.or_width
        deepest = min(depth, room // unit * unit)
        columns = spec.weight_rows // product_rows(spec, deepest, deepest) * spec.macro.columns
        return deepest, min(outputs, spec.channels, columns, 2 * words)

    def _most_pixels(self, deepest: int, widest: int) -> int:
        """Maximum rows of x per part, each a pixel."""

        def needed(pixels: int) -> int:
            banks = self.spec.banks
            inputs = tensor_rows((pixels, 1, deepest), banks)
            return inputs + tensor_rows((pixels, 1, widest), banks, True)

        return bisect.bisect_right(range(1, MAX_SIDE + 1), self.spec.activation_rows, key=needed)

    def _part(self, x: Int8, w: Int8, product: ProductSpec, zero_point: int) -> LayerRun:
        """A raw 1x1 layer with the rows of x as a column of pixels."""
        outputs = w.shape[1]
        layer = LayerSpec((len(x), 1, x.shape[1]), outputs, input_zero=zero_point, product=product)
        nothing = np.zeros(outputs, np.int32)
        weights = w.T.reshape(outputs, 1, 1, -1)
        return self.run_layer(
            layer,
            LayerParameters(weights, nothing, nothing, nothing),
            x[None, :, None, :],
            raw=True,
        )

    def _upload(
        self, layer: LayerSpec, parameters: LayerParameters, fields: dict[str, int]
    ) -> None:
        depth = unit_depth(layer.input[2], fields["units"])
        matrix = weight_matrix(parameters.weights)[:depth]
        bias = parameters.bias.astype(np.int64)
        if not layer.product.exact:
            bias = bias + column_corrections(matrix, layer.product, layer.input_zero)
        self.load(
            pack_product(self.spec, matrix, layer.input[2]),
            pack_parameters(bias, parameters.multiplier, parameters.shift),
            np.array(descriptor.pack(fields), np.uint32),
        )
