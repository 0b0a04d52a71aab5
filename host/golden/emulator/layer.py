"""Layers prepared for the kernel, with the interface of the reference's `PreparedLayer`."""

import ctypes
from typing import Any, Protocol

import numpy as np

from dscim.arrays import Array, Float32, Int8, Int32, Int64
from dscim.checks import check_array
from dscim.gateware.specs.layer import LayerSpec
from dscim.host.golden.emulator.compile import kernel
from dscim.host.golden.emulator.description import Description
from dscim.host.golden.emulator.tables import count_tables
from dscim.host.golden.reference import PreparedLayer, weight_matrix
from dscim.host.golden.reference.depthwise import PreparedDepthwise, tap_rows, tap_table
from dscim.host.golden.reference.layer import check_parameters
from dscim.host.golden.reference.operands import column_corrections

EXACT, COUNTED, DEPTHWISE = range(3)
"""The kinds of layers in kernel.cpp."""

BLOCK, HALF = 32, 16
"""Outputs of a block of weights; the last block may be half of one."""


class PreparedNode(Protocol):
    """A layer with its weights prepared, whatever computes it."""

    layer: LayerSpec

    def accumulate(self, x: Int8) -> Int64:
        """(N, out_h, out_w, outputs): sums in product units with the bias, for x (N, H, W, C)."""

    def run(self, x: Int8) -> Int8:
        """(N, out_h, out_w, outputs) int8 for x (N, H, W, C) int8."""


def prepare(
    layer: LayerSpec,
    weights: Int8,
    bias: Int32,
    multiplier: Int32,
    shift: Int32,
) -> PreparedNode:
    """The layer prepared for the kernel, or for numpy if there is no kernel: the same bits.

    weights: OHWI int8, or (KH, KW, outputs) for a depthwise layer; bias (product units),
    multiplier (Q31), shift: (outputs,) int32.
    """
    arrays = weights, bias, multiplier, shift
    if kernel() is not None:
        return EmulatedLayer(layer, *arrays)
    return PreparedDepthwise(layer, *arrays) if layer.depthwise else PreparedLayer(layer, *arrays)


def estimate(node: PreparedNode, x: Int8) -> Float32:
    """(N, out_h, out_w, outputs): the sums of `accumulate` rounded to single precision."""
    if isinstance(node, EmulatedLayer):
        return node.estimate(x)
    return node.accumulate(x).astype(np.float32)


class EmulatedLayer:
    """A layer with its weights prepared for the kernel. Threads may share it."""

    def __init__(
        self,
        layer: LayerSpec,
        weights: Int8,
        bias: Int32,
        multiplier: Int32,
        shift: Int32,
    ) -> None:
        """See `prepare`. ArgumentError for other arrays, RuntimeError without a kernel."""
        check_parameters(layer, weights, bias, multiplier, shift)
        library = kernel()
        if library is None:
            raise RuntimeError("no kernel is available for a layer")
        self.layer, self._library = layer, library
        self._numbers = _geometry(layer)
        self._arrays: dict[str, Array] = {}
        if layer.depthwise:
            constants = self._depthwise(weights)
        elif layer.product.exact:
            constants = self._exact(weight_matrix(weights))
        else:
            constants = self._counted(weight_matrix(weights))
        self._requantisation(constants + bias, multiplier, shift)
        self._arrays = {name: np.ascontiguousarray(array) for name, array in self._arrays.items()}
        arrays = {name: array.ctypes.data for name, array in self._arrays.items()}
        self._description = Description(**self._numbers, **arrays)

    def accumulate(self, x: Int8) -> Int64:
        """(N, out_h, out_w, outputs): sums in product units with the bias, for x (N, H, W, C)."""
        return self._call(self._library.dscim_sums, x, np.dtype(np.int64))

    def estimate(self, x: Int8) -> Float32:
        """As `accumulate`, rounded to single precision."""
        return self._call(self._library.dscim_estimates, x, np.dtype(np.float32))

    def run(self, x: Int8) -> Int8:
        """(N, out_h, out_w, outputs) int8 for x (N, H, W, C) int8."""
        return self._call(self._library.dscim_run, x, np.dtype(np.int8))

    def _call(self, function: Any, x: Int8, dtype: np.dtype[Any]) -> Array:
        check_array("x", x, np.int8, ("N", *self.layer.input))
        x = np.ascontiguousarray(x)
        out = np.empty((len(x), *self.layer.output), dtype)
        pixels = len(x) * self.layer.output[0] * self.layer.output[1]
        function(ctypes.byref(self._description), x.ctypes.data, 0, pixels, out.ctypes.data)
        return out

    def _counted(self, matrix: Int8) -> Int64:
        """Sets the tables of counts for weights (K, N); returns the constants of the columns."""
        product = self.layer.product
        tables = count_tables(matrix, product, self.layer.input_zero)
        self._arrays["codes"] = np.concatenate([_blocks(codes) for codes in tables.codes])
        if tables.signs is not None:
            signs = _blocks(tables.signs)
            self._arrays["signs"] = np.tile(signs, len(tables.codes))
        self._arrays["luts"] = tables.luts
        self._arrays["offsets"] = (tables.rows * tables.luts[0].size).astype(np.uint32)
        self._numbers |= {
            "kind": COUNTED,
            "has_signs": int(tables.signs is not None),
            "chunks": len(tables.codes),
            "byte_rows": tables.byte_rows,
            "decode_shift": product.decode_shift,
            "has_offset": int(product.signed == "offset"),
        }
        return column_corrections(matrix, product, self.layer.input_zero)

    def _exact(self, matrix: Int8) -> Int64:
        """Sets the weights (K, N), in pairs of rows; returns the constants of the columns."""
        depth, outputs = matrix.shape
        even = np.zeros((depth + depth % 2, _padded(outputs)), np.int16)
        even[:depth, :outputs] = matrix
        pairs = even.reshape(-1, 2, even.shape[1] // HALF, HALF)
        self._arrays["factors"] = pairs.transpose(2, 0, 3, 1)
        self._numbers["kind"] = EXACT
        return -self.layer.input_zero * matrix.astype(np.int64).sum(axis=0)

    def _depthwise(self, weights: Int8) -> Int64:
        """Sets the table of each tap of each output; the constants of the columns are 0."""
        layer, product = self.layer, self.layer.product
        taps = weights.reshape(layer.depth, layer.outputs)
        each = layer.outputs // layer.input[2]
        row = np.repeat(tap_rows(layer.depth, layer.input[2]), each, axis=1)
        tables = tap_table(taps.T.ravel(), row.T.ravel(), product, layer.input_zero)
        counts = (tables >> product.decode_shift).astype(np.int16)
        self._arrays["factors"] = np.roll(counts, 128, axis=1)
        self._numbers |= {"kind": DEPTHWISE, "decode_shift": product.decode_shift}
        return np.zeros(layer.outputs, np.int64)

    def _requantisation(self, constants: Int64, multiplier: Int32, shift: Int32) -> None:
        """Sets the constants and factors of each output, filled up to a multiple of HALF."""
        most = self.layer.depth << 17  # a product, and each part of its estimate, is at most 2**16
        reach = (np.abs(constants) + most) << np.maximum(shift, 0).astype(np.int64)
        padded = _padded(len(constants))
        for name, values, dtype in (
            ("constants", constants, np.int64),
            ("multipliers", multiplier, np.int32),
            ("shifts", shift, np.int32),
        ):
            array = np.zeros(padded, dtype)
            array[: len(values)] = values
            self._arrays[name] = array
        self._numbers |= {"padded": padded, "wide": int(bool((reach >= 1 << 31).any()))}


def _geometry(layer: LayerSpec) -> dict[str, int]:
    """The numbers of a description that follow from the layer's spec alone."""
    height, width, channels = layer.input
    down, across, outputs = layer.output
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "out_height": down,
        "out_width": across,
        "outputs": outputs,
        "kernel_height": layer.kernel[0],
        "kernel_width": layer.kernel[1],
        "stride_y": layer.stride[0],
        "stride_x": layer.stride[1],
        "top": layer.padding[0][0],
        "left": layer.padding[1][0],
        "input_zero": layer.input_zero,
        "output_zero": layer.output_zero,
        "low": layer.clamp[0],
        "high": layer.clamp[1],
        "single_rounding": int(layer.single_rounding),
    }


def _padded(outputs: int) -> int:
    return -(-outputs // HALF) * HALF


def _blocks(values: Int8) -> Int8:
    """(K, N) in the kernel's order: blocks of 32 outputs, then of 16, row by row, flattened."""
    depth, outputs = values.shape
    padded = np.full((depth, _padded(outputs)), -128, np.int8)
    padded[:, :outputs] = values
    starts = range(0, padded.shape[1], BLOCK)
    return np.concatenate([padded[:, start : start + BLOCK].ravel() for start in starts])
