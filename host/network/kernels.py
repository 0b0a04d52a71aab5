"""Computes nodes that do not run on the macro, in the integers of TensorFlow Lite's kernels.

Each function takes a node and its int8 inputs (N, H, W, C) and returns the output before the
clamp, as integers of any width.
"""

from collections.abc import Callable

import numpy as np

from dscim.arrays import Array, Int8
from dscim.host.golden.reference import scaled
from dscim.host.golden.reference.requantise import (
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)
from dscim.host.network.fixed_point import reciprocal
from dscim.host.network.lookup import Combine, Lookup
from dscim.host.network.moves import Concat, Select, Transpose
from dscim.host.network.node import ByKind, Padding
from dscim.host.network.plain import Add, Pad, Requantise, Reshape
from dscim.host.network.pools import AveragePool, MaxPool, Mean
from dscim.host.network.reduce import Extreme, Sum
from dscim.host.network.softmax import IntegerSoftmax, LogSoftmax, Softmax
from dscim.host.network.weighted import Conv, Depthwise


def add(node: Add, first: Int8, second: Int8) -> Array:
    """The sum of the inputs, widened and in one scale, then brought to the output's scale."""
    total = np.zeros(first.shape, np.int64)
    for x, zero, multiplier, shift in zip(
        (first, second), node.input_zeros, node.multipliers, node.shifts, strict=False
    ):
        total += scaled((x.astype(np.int64) - zero) << node.left_shift, multiplier, shift, False)
    return scaled(total, node.multipliers[2], node.shifts[2], False) + node.output_zero


def average_pool(node: AveragePool, x: Int8) -> Array:
    """The mean of each window without padding, rounded half away from zero."""
    total = _windows(node, x.astype(np.int64), 0).sum(axis=(4, 5))
    count = _windows(node, np.ones((1, *x.shape[1:3], 1), np.int64), 0).sum(axis=(4, 5))
    return np.sign(total) * ((np.abs(total) + count // 2) // count)


def max_pool(node: MaxPool, x: Int8) -> Array:
    """The greatest value of each window; padding is the lowest int8, so it does not count."""
    return _windows(node, x, -128).max(axis=(4, 5))


def mean(node: Mean, x: Int8) -> Array:
    """The sum over height and width; the scaling includes the division by their product."""
    total = (x.astype(np.int64) - node.input_zero).sum(axis=(1, 2), keepdims=True)
    return _scaled(node, total)


def pad(node: Pad, x: Int8) -> Array:
    """The input surrounded by its zero point."""
    return _padded(x, node.padding, node.output_zero)


def requantise(node: Requantise, x: Int8) -> Array:
    """The same values with another scale and zero point."""
    wide = x.astype(np.int64) - node.input_zero
    return _scaled(node, wide)


def reshape(node: Reshape, x: Int8) -> Array:
    """The same values in H, W, C order."""
    return x.reshape(len(x), *node.shape)


def softmax(node: Softmax, x: Int8) -> Array:
    """Powers from the table, divided by their sum in single precision in order of channels."""
    below = x.max(axis=3, keepdims=True).astype(np.int64) - x
    power = node.table[below]
    total = np.cumsum(power, axis=3, dtype=np.float32)[..., -1:]
    share = power * (np.float32(1) / (total * np.float32(node.output_scale)))
    return np.floor(share + np.float32(0.5)).astype(np.int64) + node.output_zero


def combine(node: Combine, first: Int8, second: Int8) -> Array:
    """The table's entry for each pair of values."""
    return node.table[_entries(first), _entries(second)]


def concat(node: Concat, *inputs: Int8) -> Array:
    """The inputs behind each other, each through its table."""
    parts = [table[_entries(x)] for table, x in zip(node.tables, inputs, strict=True)]
    return np.concatenate(parts, axis=node.axis + 1)


def extreme(node: Extreme, x: Int8) -> Array:
    """The greatest or least value over the axes."""
    axes = tuple(axis + 1 for axis in node.axes)
    return x.min(axis=axes, keepdims=True) if node.least else x.max(axis=axes, keepdims=True)


def integer_softmax(node: IntegerSoftmax, x: Int8) -> Array:
    """Powers from the table, summed with 19 fractional bits, times the sum's reciprocal."""
    below = x.max(axis=3, keepdims=True).astype(np.int64) - x
    power = node.table[below].astype(np.int64)
    total = rounding_divide_by_pot(power, 12).sum(axis=3, keepdims=True)
    share, shift = reciprocal(total, 12)
    made = rounding_divide_by_pot(rounding_doubling_high_mul(power, share), shift + 23)
    return np.where(power == 0, 0, made) + node.output_zero


def log_softmax(node: LogSoftmax, x: Int8) -> Array:
    """The logarithms of a softmax, in single precision in order of channels."""
    greatest = x.max(axis=3, keepdims=True)
    power = node.table[greatest.astype(np.int64) - x]
    total = np.cumsum(power, axis=3, dtype=np.float32)[..., -1:]
    logarithm = np.log(total.astype(np.float64)).astype(np.float32)
    one, step = np.float32(node.input_scale), np.float32(node.output_scale)
    offset = (one * greatest.astype(np.float32) + logarithm) / step
    made = (one / step) * x.astype(np.float32) - offset
    return np.rint(made).astype(np.int64) + node.output_zero


def lookup(node: Lookup, x: Int8) -> Array:
    """The entry of each position's row of the table."""
    return node.table[node.which, _entries(x)]


def select(node: Select, x: Int8) -> Array:
    """The chosen rows, columns and channels; the zero point for places of -1."""
    for axis, places in enumerate((node.rows, node.columns, node.channels), 1):
        shape = [1] * 4
        shape[axis] = -1
        x = np.where((places < 0).reshape(shape), np.int8(node.output_zero), x.take(places, axis))
    return x


def sum_axes(node: Sum, x: Int8) -> Array:
    """The sum over the axes, scaled."""
    axes = tuple(axis + 1 for axis in node.axes)
    return _scaled(node, (x.astype(np.int64) - node.input_zero).sum(axis=axes, keepdims=True))


def transpose(node: Transpose, x: Int8) -> Array:
    """The values in the new order of their dimensions."""
    order = (0, *(axis + 1 for axis in node.order))
    return x.reshape(len(x), *node.sizes).transpose(order).reshape(len(x), *node.shape)


def _entries(x: Int8) -> Array:
    """The entry of each int8 value in a table from -128 up."""
    return x.view(np.uint8) ^ np.uint8(128)


def _scaled(node: Mean | Requantise | Sum, x: Array) -> Array:
    """x scaled by the node's multiplier and shift, plus its zero point."""
    return scaled(x, node.multiplier, node.shift, node.single_rounding) + node.output_zero


def _padded(x: Array, padding: Padding, value: int) -> Array:
    return np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=value)


def _windows(node: AveragePool | MaxPool, x: Array, fill: int) -> Array:
    """The windows of x (N, H, W, C), padded with `fill`: (N, out_h, out_w, C, KH, KW)."""
    view = np.lib.stride_tricks.sliding_window_view(
        _padded(x, node.padding, fill), node.kernel, axis=(1, 2)
    )
    strided: Array = view[:, :: node.stride[0], :: node.stride[1]]
    return strided


KERNELS: ByKind[Callable[..., Array] | None] = {
    Conv: None,
    Depthwise: None,
    Add: add,
    AveragePool: average_pool,
    MaxPool: max_pool,
    Mean: mean,
    Pad: pad,
    Requantise: requantise,
    Reshape: reshape,
    Softmax: softmax,
    Combine: combine,
    Concat: concat,
    Extreme: extreme,
    IntegerSoftmax: integer_softmax,
    LogSoftmax: log_softmax,
    Lookup: lookup,
    Select: select,
    Sum: sum_axes,
    Transpose: transpose,
}
"""How the host computes each kind of node; None: it runs on the macro."""
