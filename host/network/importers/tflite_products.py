"""The TensorFlow Lite operators with constant weights."""

from typing import Any

import numpy as np
import tflite

from dscim.arrays import Int32
from dscim.host.network import Conv, Depthwise, Reshape
from dscim.host.network.importers.scales import nearest_scaling, product_factors, reach
from dscim.host.network.importers.tflite_file import Operator, Tensor
from dscim.host.network.importers.tflite_importer import TfliteImporter, foldable, window
from dscim.host.network.scaling import quantise_multiplier


def conv_2d(importer: TfliteImporter, operator: Operator) -> None:
    """CONV_2D: weights OHWI, as in a Conv."""
    options = operator.options(tflite.Conv2DOptions)
    weights = _weights(importer, operator, 4, 0)
    assert weights.values is not None
    channels = importer.draft.shapes[importer.source(operator)][2]
    if weights.shape[3] != channels:
        importer.refuse(
            operator,
            f"has weights for {weights.shape[3]} channels of {channels}; "
            "grouped convolutions are not supported",
        )
    _undilated(importer, operator, options)
    importer.add(
        operator,
        Conv(
            **importer.fields(operator, options.FusedActivationFunction()),
            weights=weights.values,
            **_scaling(importer, operator, weights, weights.shape[0]),
            **window(importer, operator, weights.shape[1:3], options),
        ),
    )


def depthwise_conv_2d(importer: TfliteImporter, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D: weights (1, KH, KW, C*m); a plain convolution if C is 1."""
    options = operator.options(tflite.DepthwiseConv2DOptions)
    weights = _weights(importer, operator, 4, 3)
    assert weights.values is not None
    channels = importer.draft.shapes[importer.source(operator)][2]
    outputs = weights.shape[3]
    if weights.shape[0] != 1 or outputs % channels:
        importer.refuse(
            operator,
            f"has weights of shape {weights.shape} for {channels} channels; "
            "(1, height, width, a multiple of the channels) is needed",
        )
    _undilated(importer, operator, options)
    fields = {
        **importer.fields(operator, options.FusedActivationFunction()),
        **_scaling(importer, operator, weights, outputs),
        **window(importer, operator, weights.shape[1:3], options),
    }
    importer.add(
        operator,
        Conv(**fields, weights=weights.values.transpose(3, 1, 2, 0))
        if channels == 1
        else Depthwise(**fields, weights=weights.values[0]),
    )


def fully_connected(importer: TfliteImporter, operator: Operator) -> None:
    """FULLY_CONNECTED: over the whole input, or over the channels of each position."""
    options = operator.options(tflite.FullyConnectedOptions)
    if options.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        importer.refuse(operator, "has shuffled weights; convert without them")
    weights = _weights(importer, operator, 2, 0)
    assert weights.values is not None
    fields = importer.fields(operator, options.FusedActivationFunction())
    shape = importer.draft.shapes[fields["inputs"][0]]
    outputs, depth = weights.shape
    if depth == shape[0] * shape[1] * shape[2]:
        kernel = foldable(shape)
        if kernel != shape:
            fields["inputs"] = (_reshaped(importer, fields, kernel),)
    elif depth == shape[2]:
        kernel = (1, 1, depth)
    else:
        importer.refuse(
            operator,
            f"has {depth} weights per output for an input of {shape}; as many as "
            "values or channels of the input are needed",
        )
    scaling, wrong = _rounded_once(
        importer, operator, weights, _scaling(importer, operator, weights, outputs)
    )
    importer.add(
        operator,
        Conv(
            **fields,
            weights=weights.values.reshape(outputs, *kernel),
            **scaling,
            single_rounding=True,
        ),
    )
    if wrong:
        importer.draft.rounded[fields["name"]] = wrong


def _weights(importer: TfliteImporter, operator: Operator, rank: int, axis: int) -> Tensor:
    """The constant int8 weights, symmetric, with one scale or one per entry of `axis`."""
    tensor = importer.constant(operator, 1, "tensor of weights", ("INT8",))
    if len(tensor.shape) != rank or min(tensor.shape) < 1:
        importer.refuse(operator, f"has weights of shape {tensor.shape}, not of {rank} dimensions")
    if tensor.zero.any():
        importer.refuse(operator, "has weights with a zero point; convert with symmetric weights")
    per_channel = tensor.axis == axis and len(tensor.scale) == tensor.shape[axis]
    if len(tensor.scale) != 1 and not per_channel:
        importer.refuse(
            operator,
            f"has {len(tensor.scale)} scales on axis {tensor.axis} of weights "
            f"of shape {tensor.shape}; one, or one per output, is needed",
        )
    if not (np.isfinite(tensor.scale).all() and (tensor.scale >= 0).all()):
        importer.refuse(operator, "has a scale of its weights that is not a number of at least 0")
    return tensor


def _scaling(
    importer: TfliteImporter, operator: Operator, weights: Tensor, outputs: int
) -> dict[str, Any]:
    """Bias, multiplier, shift and input zero point."""
    operand = importer.draft.quantities[importer.source(operator)]
    real = np.broadcast_to(
        product_factors(operand.scale, weights.scale, importer.output(operator)[1].scale),
        (outputs,),
    )
    multiplier, shift = quantise_multiplier(real)
    return {
        "bias": _bias(importer, operator, outputs),
        "multiplier": multiplier,
        "shift": shift,
        "input_zero": operand.zero,
    }


def _rounded_once(
    importer: TfliteImporter, operator: Operator, weights: Tensor, scaling: dict[str, Any]
) -> tuple[dict[str, Any], float]:
    """The scaling of a fully connected layer, which rounds once, and its share of wrong sums.

    The share is that of the worst scale: of the sums that the engine rounds to another integer.
    """
    assert weights.values is not None
    real = np.broadcast_to(
        product_factors(
            importer.draft.quantities[importer.source(operator)].scale,
            weights.scale,
            importer.output(operator)[1].scale,
        ),
        scaling["bias"].shape,
    )
    least, most = reach(weights.values, scaling["bias"], scaling["input_zero"])
    worst = 0.0
    for value in np.unique(real):
        same = real == value
        low, high = int(least[same].min()), int(most[same].max())
        multiplier, shift, wrong = nearest_scaling(float(value), low, high)
        scaling["multiplier"][same], scaling["shift"][same] = multiplier, shift
        worst = max(worst, wrong / (high - low + 1))
    return scaling, worst


def _bias(importer: TfliteImporter, operator: Operator, outputs: int) -> Int32:
    """The bias, or zeros without one."""
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(outputs, np.int32)
    values = importer.constant(operator, 2, "bias").values
    assert values is not None
    if values.size != outputs:
        importer.refuse(operator, f"has {values.size} biases for {outputs} outputs")
    return values.reshape(outputs).astype(np.int32)


def _undilated(importer: TfliteImporter, operator: Operator, options: Any) -> None:
    factors = (options.DilationHFactor(), options.DilationWFactor())
    if factors != (1, 1):
        importer.refuse(operator, f"is dilated by {factors}, which is not supported")


def _reshaped(importer: TfliteImporter, fields: dict[str, Any], shape: tuple[int, int, int]) -> str:
    """Adds a Reshape of the input of `fields`, whose sides would not fit a layer."""
    source = fields["inputs"][0]
    operand = importer.draft.quantities[source]
    return importer.draft.add(
        Reshape(f"{fields['name']}_input", (source,), operand.zero, operand.scale, shape=shape),
        shape,
        importer.draft.sources[source],
    )
