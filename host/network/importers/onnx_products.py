"""The ONNX operators with constant weights: Conv, Gemm, MatMul, and those that fold into them."""

from dataclasses import replace
from typing import Any

import numpy as np

from dscim.arrays import Array, Float64, Int8
from dscim.host.network import Shape
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_values import (
    Activation,
    Constant,
    Fixed,
    Layout,
    Pending,
    Product,
)
from dscim.host.network.node import Padding, Pair, same_padding


def conv(importer: OnnxImporter, operator: Operator) -> Pending:
    """Conv: over an image, with one group or one per channel."""
    operand = importer.image(operator)
    weights, scale = _weights(importer, operator, 0, 4)
    height, width, channels = operand.layout.shape
    outputs, depth, high, wide = weights.shape
    group = int(operator.attributes.get("group", 1))
    if not (
        (group == 1 and depth == channels)
        or (group == channels and depth == 1 and outputs % channels == 0)
    ):
        importer.refuse(
            operator,
            f"has {group} groups for {channels} channels and weights of shape "
            f"{weights.shape}; one group, or one per channel, is supported",
        )
    geometry = {
        key: value
        for key, value in window(importer, operator, (high, wide), (height, width)).items()
        if key != "kernel"
    }
    shape = (*sides((height, width), (high, wide), geometry), outputs)
    packed = weights[:, 0] if group == channels and channels > 1 else weights.transpose(0, 2, 3, 1)
    return _product(importer, operator, operand, Layout(shape), packed, scale, geometry)


def gemm(importer: OnnxImporter, operator: Operator) -> Pending:
    """Gemm and MatMul: of a flat activation and constant weights, reordered to H, W, C."""
    operand = importer.activation(operator)
    kinds = {
        name: operator.attributes.get(name, default)
        for name, default in (("alpha", 1.0), ("beta", 1.0), ("transA", 0))
    }
    if kinds != {"alpha": 1.0, "beta": 1.0, "transA": 0}:
        importer.refuse(operator, f"has {kinds}; only alpha 1, beta 1 and transA 0 are supported")
    height, width, channels = operand.layout.shape
    if not operand.layout.flat and height * width != 1:
        importer.refuse(operator, "takes a tensor that is not flat; put a Flatten before it")
    turned = bool(operator.attributes.get("transB", 0))
    weights, scale = _weights(importer, operator, 0 if turned else 1, 2)
    weights = weights if turned else weights.T
    if weights.shape[1] != height * width * channels:
        importer.refuse(
            operator,
            f"has weights for {weights.shape[1]} inputs, not for {height * width * channels}",
        )
    order = operand.layout.order
    kernel = weights.reshape(len(weights), *operand.layout.sizes)
    kernel = kernel.transpose(0, *(1 + order.index(letter) for letter in "hwc"))
    return _product(
        importer, operator, operand, Layout((1, 1, len(weights)), flat=True), kernel, scale, {}
    )


def batch_normalization(importer: OnnxImporter, operator: Operator) -> Pending:
    """BatchNormalization: gain and offset of a product that is not quantised yet."""
    value = importer.value(operator, 0)
    if not isinstance(value, Product) or (value.low, value.high) != (None, None):
        importer.refuse(
            operator,
            "does not follow a Conv or Gemm directly; fold it before the network is quantised",
        )
    gain, shift, mean, variance = (
        importer.numbers(operator, position, "parameter").astype(np.float64).ravel()
        for position in range(1, 5)
    )
    gain = gain / np.sqrt(variance + float(operator.attributes.get("epsilon", 1e-5)))
    offset = shift - mean * gain
    if (
        gain.shape != value.gain.shape
        or offset.shape != gain.shape
        or not (np.isfinite(gain).all() and np.isfinite(offset).all())
    ):
        importer.refuse(operator, "has parameters that are not numbers, or not one per channel")
    return replace(value, gain=value.gain * gain, offset=value.offset * gain + offset)


def biased(importer: OnnxImporter, operator: Operator, value: Product, bias: Array) -> Pending:
    """Add of a constant to a product that is not quantised yet."""
    outputs = value.layout.shape[2]
    rank = 2 if value.layout.flat else 4
    full = (1,) * (rank - bias.ndim) + bias.shape
    axis = 1 if value.layout.order == "chw" else rank - 1
    fits = len(full) == rank and full[axis] in (1, outputs) and bias.size == full[axis]
    if not fits or (value.low, value.high) != (None, None):
        importer.refuse(
            operator,
            f"adds a constant of shape {bias.shape} to {outputs} channels; only one "
            "value per channel, before any activation function, is supported",
        )
    return replace(value, offset=value.offset + bias.astype(np.float64).ravel())


def window(importer: OnnxImporter, operator: Operator, kernel: Pair, sizes: Pair) -> dict[str, Any]:
    """Kernel, stride and padding of a window over an image of `sizes`."""
    attributes = operator.attributes
    if attributes.get("kernel_shape", list(kernel)) != list(kernel):
        importer.refuse(
            operator, f"has the kernel {attributes['kernel_shape']}, but weights of {kernel}"
        )
    if any(int(factor) != 1 for factor in attributes.get("dilations", [])):
        importer.refuse(
            operator, f"is dilated by {attributes['dilations']}, which is not supported"
        )
    stride = _pair(importer, operator, attributes.get("strides", [1, 1]), "strides")
    scheme = attributes.get("auto_pad", b"NOTSET").decode()
    pads = [int(pad) for pad in attributes.get("pads", [0] * 4)]
    if scheme in ("SAME_UPPER", "SAME_LOWER"):
        pairs = [same_padding(*side) for side in zip(sizes, kernel, stride, strict=True)]
        less, more = ([pair[i] for pair in pairs] for i in (0, 1))
        pads = less + more if scheme == "SAME_UPPER" else more + less
    elif scheme not in ("NOTSET", "VALID"):
        importer.refuse(operator, f"has the padding scheme {scheme!r}, which is not supported")
    if len(pads) != 4 or min(pads) < 0:
        importer.refuse(operator, f"has the pads {pads}; four of at least 0 are needed")
    padding: Padding = ((pads[0], pads[2]), (pads[1], pads[3]))
    return {"kernel": kernel, "stride": stride, "padding": padding}


def sides(sizes: Pair, kernel: Pair, geometry: dict[str, Any]) -> Pair:
    """Height and width of the output of windows over an image of `sizes`."""
    (top, bottom), (left, right) = geometry["padding"]
    down, across = geometry["stride"]
    return (
        (sizes[0] + top + bottom - kernel[0]) // down + 1,
        (sizes[1] + left + right - kernel[1]) // across + 1,
    )


def _pair(importer: OnnxImporter, operator: Operator, values: Any, what: str) -> Pair:
    if len(values) != 2 or min(values) < 1:
        importer.refuse(operator, f"has the {what} {list(values)}; two of at least 1 are needed")
    return int(values[0]), int(values[1])


def _weights(
    importer: OnnxImporter, operator: Operator, axis: int, rank: int
) -> tuple[Int8, Float64]:
    """The int8 weights, with the zero point 0, and the scale of each output along `axis`."""
    value = importer.value(operator, 1, "weights")
    if not isinstance(value, Fixed):
        what = "real numbers" if isinstance(value, Constant) else "not constant"
        importer.refuse(operator, f"has weights that are {what}; quantise them as int8 constants")
    if value.values.dtype != np.int8 or value.zero.any():
        importer.refuse(
            operator, "has weights with a zero point, or not of 8 bits; quantise them symmetrically"
        )
    if value.values.ndim != rank or min(value.values.shape) < 1:
        importer.refuse(
            operator,
            f"has weights of shape {value.values.shape}, not of {rank} "
            "dimensions; only convolutions over images are supported",
        )
    if value.scale.size > 1 and value.axis != axis:
        importer.refuse(
            operator,
            f"has one scale per entry of axis {value.axis} of its weights; one per "
            f"output, axis {axis}, is needed",
        )
    return value.values, np.broadcast_to(value.scale, (value.values.shape[axis],))


def _product(
    importer: OnnxImporter,
    operator: Operator,
    operand: Activation,
    layout: Layout,
    weights: Int8,
    scale: Float64,
    geometry: dict[str, Any],
) -> Product:
    """The product with its bias; an int32 bias in the scale of the product stays exact."""
    outputs: Shape = layout.shape
    step = operand.quantity.scale * scale
    bias = np.zeros(outputs[2])
    if importer.has_input(operator, 2):
        value = importer.value(operator, 2, "bias")
        if (
            isinstance(value, Fixed)
            and value.values.dtype == np.int32
            and not value.zero.any()
            and np.allclose(value.scale, step, rtol=1e-5, atol=0)
        ):
            bias = value.values.astype(np.float64).ravel()
        else:
            bias = importer.numbers(operator, 2, "bias").astype(np.float64).ravel() / step
        if bias.shape not in ((outputs[2],), (1,)) or not np.isfinite(bias).all():
            importer.refuse(
                operator,
                f"has a bias of {bias.size} values for {outputs[2]} outputs, or "
                "one that is not a number",
            )
        bias = np.broadcast_to(bias, (outputs[2],))
    return Product(
        (operand,),
        layout,
        weights=weights,
        scale=scale,
        bias=bias,
        gain=np.ones(outputs[2]),
        offset=np.zeros(outputs[2]),
        geometry=geometry,
    )
