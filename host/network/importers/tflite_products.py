"""The TensorFlow Lite operators with constant weights."""

from typing import Any

import numpy as np
import tflite

from dscim.arrays import Int32, Int64
from dscim.host.network import Conv, Depthwise, Select
from dscim.host.network.importers.expand import (
    fits_layer,
    spread,
    stuffed,
    too_deep,
    too_large,
    ungrouped,
)
from dscim.host.network.importers.narrow import is_int8, narrowed
from dscim.host.network.importers.scales import nearest_scaling, product_factors, reach
from dscim.host.network.importers.tflite_file import Operator, Tensor
from dscim.host.network.importers.tflite_importer import TfliteImporter, image, window
from dscim.host.network.importers.views import product, reshaped
from dscim.host.network.node import Pair, same_padding
from dscim.host.network.scaling import quantise_multiplier


def conv_2d(importer: TfliteImporter, operator: Operator) -> None:
    """CONV_2D: weights OHWI, as in a Conv; groups and dilation become weights of zero."""
    options = operator.options(tflite.Conv2DOptions)
    tensor, weights = _weights(importer, operator, 4, 0)
    channels = image(importer, operator)[2]
    groups = channels // max(weights.shape[3], 1)
    if weights.shape[3] * groups != channels or weights.shape[0] % groups:
        importer.refuse(
            operator,
            f"has weights of shape {weights.shape} for {channels} channels; their last size must "
            "divide the channels, and the number of groups the outputs",
        )
    factors = _dilation(importer, operator, options)
    _check_size(importer, operator, weights, factors, channels)
    weights = spread(ungrouped(weights, groups), (1, 2), factors)
    fields = {
        **importer.fields(operator, options.FusedActivationFunction()),
        **_scaling(importer, operator, tensor, weights.shape[0]),
        **window(importer, operator, weights.shape[1:3], options),
    }
    importer.add(operator, _convolution(importer, operator, fields, weights))


def depthwise_conv_2d(importer: TfliteImporter, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D: weights (1, KH, KW, C*m); a plain convolution if C is 1."""
    options = operator.options(tflite.DepthwiseConv2DOptions)
    tensor, weights = _weights(importer, operator, 4, 3)
    channels = image(importer, operator)[2]
    outputs = weights.shape[3]
    if weights.shape[0] != 1 or outputs % channels:
        importer.refuse(
            operator,
            f"has weights of shape {weights.shape} for {channels} channels; "
            "(1, height, width, a multiple of the channels) is needed",
        )
    factors = _dilation(importer, operator, options)
    plain = weights.transpose(3, 1, 2, 0)
    alone = channels > 1 and is_int8(weights)
    _check_size(importer, operator, plain, factors, 1 if alone else channels)
    plain = spread(plain, (1, 2), factors)
    fields = {
        **importer.fields(operator, options.FusedActivationFunction()),
        **_scaling(importer, operator, tensor, outputs),
        **window(importer, operator, plain.shape[1:3], options),
    }
    if alone:
        packed = plain[..., 0].transpose(1, 2, 0).astype(np.int8)
        importer.add(operator, Depthwise(**fields, weights=packed))
    else:
        full = ungrouped(plain, channels)
        importer.add(operator, _convolution(importer, operator, fields, full))


def transpose_conv(importer: TfliteImporter, operator: Operator) -> None:
    """TRANSPOSE_CONV: zeros between the input's values, then a Conv with the kernel turned."""
    options = operator.options(tflite.TransposeConvOptions)
    tensor, weights = _weights(importer, operator, 4, 0)
    outputs, high, wide, depth = weights.shape
    height, width, channels = image(importer, operator, 2)
    _, _, made = importer.output(operator)
    wanted = importer.integers(operator, 0, "output shape")[1:]
    stride = int(options.StrideH()), int(options.StrideW())
    scheme = options.Padding()
    if depth != channels or list(made) != wanted or min(stride) < 1 or made[2] != outputs:
        importer.refuse(
            operator,
            f"has the output {made} for {wanted}, the stride {stride} and weights of shape "
            f"{weights.shape} for {channels} channels, which do not fit each other",
        )
    fields = importer.made(operator, options.FusedActivationFunction())
    source = importer.source(operator, 2)
    operand = importer.draft.quantities[source]
    _check_size(importer, operator, weights, (1, 1), channels)
    places = []
    for size, kernel, step, target in zip(
        (height, width), (high, wide), stride, made, strict=False
    ):
        pad = same_padding(target, kernel, step)[0] if scheme == tflite.Padding.SAME else 0
        before = kernel - 1 - pad
        after = target + kernel - 1 - before - ((size - 1) * step + 1)
        places.append(stuffed(size, step, before, after))
    select = Select(
        f"{fields['name']}_input",
        (source,),
        operand.zero,
        operand.scale,
        rows=places[0],
        columns=places[1],
        channels=np.arange(channels, dtype=np.int32),
    )
    shape = (len(places[0]), len(places[1]), channels)
    name = importer.draft.add(select, shape, None, importer.place(operator))
    fields |= {"inputs": (name,), **_scaling(importer, operator, tensor, outputs, 2, 3)}
    importer.add(operator, _convolution(importer, operator, fields, weights[:, ::-1, ::-1]))


def fully_connected(importer: TfliteImporter, operator: Operator) -> None:
    """FULLY_CONNECTED: over all values of an image, or over parts of equal size."""
    options = operator.options(tflite.FullyConnectedOptions)
    if options.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        importer.refuse(operator, "has shuffled weights; convert without them")
    tensor, weights = _weights(importer, operator, 2, 0)
    fields = importer.fields(operator, options.FusedActivationFunction())
    shape = importer.draft.shapes[fields["inputs"][0]]
    outputs, depth = weights.shape
    count = product(shape)
    _check_depth(importer, operator, depth)
    if count % depth:
        importer.refuse(
            operator,
            f"has {depth} weights per output for an input of {shape}; its {count} values must be a "
            "multiple of them",
        )
    kernel = shape if depth == count and fits_layer(shape) else (1, 1, depth)
    view = kernel if depth == count else shape if depth == shape[2] else (1, count // depth, depth)
    title, place = f"{fields['name']}_input", importer.place(operator)
    fields["inputs"] = (reshaped(importer.draft, title, fields["inputs"][0], view, place),)
    scaling, wrong = _rounded_once(
        importer, operator, tensor, weights, _scaling(importer, operator, tensor, outputs)
    )
    fields |= {**scaling, "single_rounding": True}
    kernels = weights.reshape(outputs, *kernel)
    importer.add(operator, _convolution(importer, operator, fields, kernels))
    if wrong:
        importer.draft.rounded[fields["name"]] = wrong


def _weights(
    importer: TfliteImporter, operator: Operator, rank: int, axis: int
) -> tuple[Tensor, Int64]:
    """The tensor of constant weights, with one scale or one per entry of `axis`, and its integers.

    uint8 weights count from their zero point, so they have up to 9 bits.
    """
    tensor = importer.constant(operator, 1, "tensor of weights", ("INT8", "UINT8"))
    assert tensor.values is not None
    if len(tensor.shape) != rank or min(tensor.shape) < 1:
        importer.refuse(operator, f"has weights of shape {tensor.shape}, not of {rank} dimensions")
    unsigned = tensor.kind == "UINT8"
    if not unsigned and tensor.zero.any():
        importer.refuse(operator, "has weights with a zero point; convert with symmetric weights")
    per_channel = tensor.axis == axis and len(tensor.scale) == tensor.shape[axis]
    if len(tensor.scale) != 1 and not (per_channel and not unsigned):
        importer.refuse(
            operator,
            f"has {len(tensor.scale)} scales on axis {tensor.axis} of weights {tensor.name!r} "
            f"of shape {tensor.shape}; one, or one per output, is needed",
        )
    if not (np.isfinite(tensor.scale).all() and (tensor.scale >= 0).all()):
        importer.refuse(operator, "has a scale of its weights that is not a number of at least 0")
    return tensor, tensor.values.astype(np.int64) - (int(tensor.zero[0]) if unsigned else 0)


def _convolution(
    importer: TfliteImporter, operator: Operator, fields: dict[str, Any], weights: Int64
) -> Conv:
    """The Conv with these weights OHWI, of up to 9 bits."""
    (source,) = fields["inputs"]
    title, place = f"{fields['name']}_channels", importer.place(operator)
    name, small = narrowed(importer.draft, title, source, weights, place)
    return Conv(**{**fields, "inputs": (name,)}, weights=np.ascontiguousarray(small))


def _scaling(
    importer: TfliteImporter,
    operator: Operator,
    weights: Tensor,
    outputs: int,
    position: int = 0,
    bias: int = 2,
) -> dict[str, Any]:
    """Bias, multiplier, shift and input zero point. position, bias: those of the operands."""
    operand = importer.draft.quantities[importer.source(operator, position)]
    real = np.broadcast_to(
        product_factors(operand.scale, weights.scale, importer.output(operator)[1].scale),
        (outputs,),
    )
    multiplier, shift = quantise_multiplier(real)
    return {
        "bias": _bias(importer, operator, outputs, bias),
        "multiplier": multiplier,
        "shift": shift,
        "input_zero": operand.zero,
    }


def _rounded_once(
    importer: TfliteImporter,
    operator: Operator,
    tensor: Tensor,
    weights: Int64,
    scaling: dict[str, Any],
) -> tuple[dict[str, Any], float]:
    """The scaling of a fully connected layer, which rounds once, and its share of wrong sums.

    The share is that of the worst scale: of the sums that the engine rounds to another integer.
    """
    real = np.broadcast_to(
        product_factors(
            importer.draft.quantities[importer.source(operator)].scale,
            tensor.scale,
            importer.output(operator)[1].scale,
        ),
        scaling["bias"].shape,
    )
    least, most = reach(weights, scaling["bias"], scaling["input_zero"])
    worst = 0.0
    for value in np.unique(real):
        same = real == value
        low, high = int(least[same].min()), int(most[same].max())
        multiplier, shift, wrong = nearest_scaling(float(value), low, high)
        scaling["multiplier"][same], scaling["shift"][same] = multiplier, shift
        worst = max(worst, wrong / (high - low + 1))
    return scaling, worst


def _bias(importer: TfliteImporter, operator: Operator, outputs: int, position: int) -> Int32:
    """The bias, or zeros without one."""
    if len(operator.inputs) <= position or operator.inputs[position] < 0:
        return np.zeros(outputs, np.int32)
    values = importer.constant(operator, position, "bias").values
    assert values is not None
    if values.size != outputs:
        importer.refuse(operator, f"has {values.size} biases for {outputs} outputs")
    return values.reshape(outputs).astype(np.int32)


def _check_depth(importer: TfliteImporter, operator: Operator, depth: int) -> None:
    """UserError for more inputs of a product than 32 bits hold."""
    if too_deep(depth):
        importer.refuse(operator, too_deep(depth))


def _check_size(
    importer: TfliteImporter, operator: Operator, weights: Int64, factors: Pair, channels: int
) -> None:
    """UserError if the weights OHWI, dilated and for all `channels`, are too many."""
    why = too_large(weights.shape, factors, channels)
    if why:
        importer.refuse(operator, why)


def _dilation(importer: TfliteImporter, operator: Operator, options: Any) -> Pair:
    """The factors by which a window is dilated."""
    factors = (int(options.DilationHFactor()), int(options.DilationWFactor()))
    if not all(1 <= factor <= 4095 for factor in factors):
        importer.refuse(operator, f"is dilated by {factors}; factors must be within 1..4095")
    return factors
