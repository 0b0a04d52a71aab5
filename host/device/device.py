"""Runs layers and products on a device, over any link."""

import dataclasses

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.errors import UserError
from dscim.gateware import descriptor
from dscim.gateware.layout import Outputs, pack_parameters, pack_weights, pixel_words
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.gateware.specs.layer import MAX_SIDE
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.parameters import LayerParameters
from dscim.host.compile.products import layer_fields
from dscim.host.device.controller import Controller, Counters
from dscim.host.golden.reference import weight_matrix
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
        depth: int | None = None,
        raw: bool = False,
    ) -> LayerRun:
        """Runs a layer on x (N, H, W, C) int8, image by image; weights are uploaded once.

        depth: use only the first `depth` inputs of each window. raw: return int32 sums in product
        units, bias included, instead of int8. progress(done, total) is called after each image.
        Raises UserError for inputs of another shape or type, and for a layer that does not fit.
        """
        if x.ndim != 4 or x.shape[1:] != layer.input or x.dtype != np.int8:
            raise UserError(
                f"The layer takes int8 inputs (N, {', '.join(map(str, layer.input))}), not "
                f"{x.dtype} of {x.shape}."
            )
        fields = layer_fields(self.spec, layer, depth=depth, raw=raw)
        self.counted()
        self._upload(layer, parameters, fields)
        outputs = np.zeros((len(x), *layer.output), np.int32 if raw else np.int8)
        for index, image in enumerate(x):
            self.write_tensor(0, image)
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
        progress(done, total) is called after each part.
        """
        macro = self.spec.macro
        values = np.zeros((x.shape[0], w.shape[1]), np.int64)
        deepest = self._deepest(w.shape[0])
        widest = min(
            w.shape[1], self.spec.channels, self.spec.weight_rows // deepest * macro.columns
        )
        most = self.spec.activation_words // (pixel_words(deepest) + pixel_words(widest, True))
        most = min(most, MAX_SIDE)
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

    def _deepest(self, depth: int) -> int:
        """Maximum inputs per part: all, or as many whole OR groups as both memories hold.

        Whole row tiles if at least one fits.
        """
        macro = self.spec.macro
        room = min(self.spec.weight_rows, self.spec.activation_words * WORD_BYTES // 2)
        unit = macro.rows if room >= macro.rows else macro.or_width
        return min(depth, max(unit, room // unit * unit))

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
        matrix = weight_matrix(parameters.weights)[: fields["depth"]]
        bias = parameters.bias.astype(np.int64)
        if not layer.product.exact:
            bias = bias + column_corrections(matrix, layer.product, layer.input_zero)
        self.load(
            pack_weights(matrix, self.spec.macro.columns),
            pack_parameters(bias, parameters.multiplier, parameters.shift),
            np.array(descriptor.pack(fields), np.uint32),
        )
