"""The ONNX operators with constant weights, and those that fold into them."""

from dataclasses import replace
from typing import Any

import numpy as np

from dscim.arrays import Array, Float64, Int64
from dscim.host.network import Select
from dscim.host.network.importers.expand import (
    fits_layer,
    spread,
    stuffed,
    too_deep,
    too_large,
    ungrouped,
)
from dscim.host.network.importers.narrow import is_int8, narrowed
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_values import (
    Activation,
    Constant,
    Fixed,
    Layout,
    Pending,
    Product,
    image_layout,
    plain_layout,
)
from dscim.host.network.importers.onnx_windows import sides, window
from dscim.host.network.importers.views import product
from dscim.host.network.node import Pair


def conv(importer: OnnxImporter, operator: Operator) -> Pending:
    """Conv: over an image or a sequence, with any groups and dilations."""
    operand = importer.image(operator)
    rank = len(operand.layout.dims)
    weights, scale = _weights(importer, operator, 0, rank)
    if rank == 3:
        weights = weights[:, :, None]
    height, width, channels = operand.layout.shape
    outputs, depth, _, _ = weights.shape
    group = int(operator.attributes.get("group", 1))
    if group < 1 or depth * group != channels or outputs % group:
        importer.refuse(
            operator,
            f"has {group} groups for {channels} channels and weights of shape {weights.shape}; the "
            "groups must divide the outputs, and the channels be those of all groups",
        )
    geometry = window(importer, operator, weights.shape[2:], (height, width))
    factors = geometry.pop("dilation")
    del geometry["kernel"]
    plain = weights.transpose(0, 2, 3, 1)
    alone = group == channels and channels > 1 and is_int8(weights)
    _check_size(importer, operator, plain, factors, 1 if alone else channels)
    plain = spread(plain, (1, 2), factors)
    packed = plain[..., 0] if alone else ungrouped(plain, group)
    shape = (*sides((height, width), plain.shape[1:3], geometry), outputs)
    layout = _images(shape, rank)
    return _product(importer, operator, operand, layout, packed, scale, geometry)


def conv_transpose(importer: OnnxImporter, operator: Operator) -> Pending:
    """ConvTranspose: zeros between the input's values, then a Conv with the kernel turned."""
    operand = importer.image(operator)
    rank = len(operand.layout.dims)
    weights, scale = _weights(importer, operator, 1, rank)
    if rank == 3:
        weights = weights[:, :, None]
    height, width, channels = operand.layout.shape
    group = int(operator.attributes.get("group", 1))
    if group < 1 or weights.shape[0] != channels or channels % group:
        importer.refuse(
            operator, f"has {group} groups and weights of {weights.shape} for {channels} channels"
        )
    if group > 1 and scale.size > 1 and len(set(scale.tolist())) > 1:
        importer.refuse(operator, "has groups whose outputs have different scales")
    each = weights.shape[1]
    kernels = weights.reshape(group, channels // group, *weights.shape[1:])
    kernels = kernels.transpose(0, 2, 3, 4, 1).reshape(group * each, *weights.shape[2:], -1)
    scale = np.resize(scale, group * each) if group > 1 else scale
    geometry = window(importer, operator, weights.shape[2:], (height, width), moved=True)
    _check_size(importer, operator, kernels, geometry["dilation"], channels)
    kernels = spread(kernels, (1, 2), geometry["dilation"])[:, ::-1, ::-1]
    packed = ungrouped(kernels, group)
    more = operator.attributes.get("output_padding", [0, 0])
    more = [0, *more] if len(more) == 1 else more
    scheme = operator.attributes.get("auto_pad", b"NOTSET")
    if operator.attributes.get("output_shape") or scheme not in (b"NOTSET", b"VALID"):
        importer.refuse(operator, "has an output shape or a padding scheme; give pads instead")
    places = [
        stuffed(
            size,
            geometry["stride"][axis],
            packed.shape[1 + axis] - 1 - geometry["padding"][axis][0],
            packed.shape[1 + axis] - 1 - geometry["padding"][axis][1] + int(more[axis]),
        )
        for axis, size in enumerate((height, width))
    ]
    node = Select(
        f"{operator.kind.lower()}_{operator.index}_input",
        (operand.name,),
        operand.quantity.zero,
        operand.quantity.scale,
        rows=places[0],
        columns=places[1],
        channels=np.arange(channels, dtype=np.int32),
    )
    wide = len(places[0]), len(places[1]), channels
    importer.network.add(node, wide, None, operator.place)
    operand = replace(operand, name=node.name, layout=_images(wide, rank))
    down, across = wide[0] - packed.shape[1] + 1, wide[1] - packed.shape[2] + 1
    layout = _images((down, across, len(packed)), rank)
    return _product(importer, operator, operand, layout, packed, scale, {})


def gemm(importer: OnnxImporter, operator: Operator) -> Pending:
    """Gemm and MatMul with constant weights: of a whole tensor, or of its last dimension."""
    operand = importer.activation(operator)
    kinds = {
        name: operator.attributes.get(name, default)
        for name, default in (("alpha", 1.0), ("beta", 1.0), ("transA", 0))
    }
    if kinds != {"alpha": 1.0, "beta": 1.0, "transA": 0}:
        importer.refuse(operator, f"has {kinds}; only alpha 1, beta 1 and transA 0 are supported")
    turned = bool(operator.attributes.get("transB", 0))
    weights, scale = _weights(importer, operator, 0 if turned else 1, 2)
    weights = weights if turned else weights.T
    outputs, depth = weights.shape
    dims = operand.layout.dims
    if dims[-1] != depth:
        importer.refuse(
            operator,
            f"has weights for {depth} inputs, but takes the dimensions {dims}; the last one must "
            "be equal",
        )
    _check_depth(importer, operator, depth)
    single = product(dims) == depth and fits_layer(operand.layout.shape)
    if not single:
        operand = importer.plain(operator, operand)
    layout = plain_layout((*dims[:-1], outputs))
    order = operand.layout.order
    kernel = weights.reshape(outputs, 1, 1, depth)
    if single:
        kernel = weights.reshape(outputs, *operand.layout.sizes)
        kernel = kernel.transpose(0, *(1 + order.index(letter) for letter in "hwc"))
    return _product(importer, operator, operand, layout, kernel, scale, {})


def normalised(
    importer: OnnxImporter, operator: Operator, value: Product, gain: Float64, offset: Float64
) -> Pending:
    """Gain and offset, one per channel, of a product that is not quantised yet."""
    if gain.shape != value.gain.shape or (value.low, value.high) != (None, None):
        importer.refuse(
            operator,
            f"has {gain.size} parameters for {value.gain.size} channels, or follows an activation "
            "function that is not quantised; quantise before it",
        )
    return replace(value, gain=value.gain * gain, offset=value.offset * gain + offset)


def biased(importer: OnnxImporter, operator: Operator, value: Product, bias: Array) -> Pending:
    """Add of a constant to a product that is not quantised yet."""
    outputs, dims = len(value.gain), value.layout.dims
    rank = len(dims)
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


def _images(shape: tuple[int, int, int], rank: int) -> Layout:
    """The layout of an image, or of a sequence as an image of height 1."""
    height, width, channels = shape
    return image_layout((1, channels, width) if rank == 3 else (1, channels, height, width))


def _check_size(
    importer: OnnxImporter, operator: Operator, weights: Int64, factors: Pair, channels: int
) -> None:
    """UserError if the weights OHWI, dilated and for all `channels`, are too many."""
    why = too_large(weights.shape, factors, channels)
    if why:
        importer.refuse(operator, why)


def _check_depth(importer: OnnxImporter, operator: Operator, depth: int) -> None:
    if too_deep(depth):
        importer.refuse(operator, too_deep(depth))


def _weights(
    importer: OnnxImporter, operator: Operator, axis: int, rank: int
) -> tuple[Int64, Float64]:
    """The weights counted from their zero point, and the scale of each output along `axis`."""
    value = importer.value(operator, 1, "weights")
    if not isinstance(value, Fixed):
        what = "real numbers" if isinstance(value, Constant) else "not constant"
        importer.refuse(operator, f"has weights that are {what}; quantise them as int8 constants")
    if value.values.dtype != np.int8:
        importer.refuse(operator, f"has weights of {value.values.dtype}; 8 bits are needed")
    if value.values.ndim != rank or min(value.values.shape) < 1:
        importer.refuse(
            operator,
            f"has weights of shape {value.values.shape}, not of {rank} dimensions; only "
            "convolutions over images and sequences are supported",
        )
    if value.scale.size > 1 and value.axis != axis:
        importer.refuse(
            operator,
            f"has one scale per entry of axis {value.axis} of its weights; one per "
            f"output, axis {axis}, is needed",
        )
    shape = [1] * rank
    if value.zero.size > 1:
        shape[value.axis] = -1
    wide = value.values.astype(np.int64) - value.zero.reshape(shape)
    return wide, np.broadcast_to(value.scale, (value.values.shape[axis],))


def _product(
    importer: OnnxImporter,
    operator: Operator,
    operand: Activation,
    layout: Layout,
    weights: Int64,
    scale: Float64,
    geometry: dict[str, Any],
) -> Product:
    """The product with its bias; an int32 bias in the scale of the product stays exact."""
    outputs = len(weights)
    if weights.ndim == 4:
        title = f"{operator.kind.lower()}_{operator.index}_channels"
        name, small = narrowed(importer.network, title, operand.name, weights, operator.place)
        shape = importer.network.shapes[name]
        operand = replace(operand, name=name, layout=replace(operand.layout, shape=shape))
    else:
        small = weights.astype(np.int8)
    step = operand.quantity.scale * scale
    bias = np.zeros(outputs)
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
            numbers = importer.numbers(operator, 2, "bias")
            if isinstance(value, Constant) and numbers.dtype.kind != "f":
                importer.refuse(
                    operator,
                    f"has the bias {operator.inputs[2]!r} of {numbers.dtype} without a scale; put "
                    "a DequantizeLinear before it",
                )
            bias = numbers.astype(np.float64).ravel() / step
        if bias.shape not in ((outputs,), (1,)) or not np.isfinite(bias).all():
            importer.refuse(
                operator,
                f"has a bias of {bias.size} values for {outputs} outputs, or "
                "one that is not a number",
            )
        bias = np.broadcast_to(bias, (outputs,))
    return Product(
        (operand,),
        layout,
        weights=small,
        scale=scale,
        bias=bias,
        gain=np.ones(outputs),
        offset=np.zeros(outputs),
        geometry=geometry,
    )
