"""Each operator of TensorFlow Lite that is known, as a node."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from dscim.host.importers.rounding import reach, single_rounding
from dscim.host.importers.scales import product_factors
from dscim.host.importers.tflite_file import Operator, Tensor
from dscim.host.importers.tflite_walk import Walk, foldable, window
from dscim.host.network import (
    Add,
    AveragePool,
    Conv,
    Depthwise,
    MaxPool,
    Mean,
    Pad,
    Requantise,
    Reshape,
    Softmax,
)
from dscim.host.network.scaling import add_factors, mean_factors, quantise_multiplier


def conv_2d(walk: Walk, operator: Operator) -> None:
    """CONV_2D: weights OHWI, as a Conv has them."""
    options = operator.options(tflite.Conv2DOptions)
    weights = _weights(walk, operator, 4, 0)
    assert weights.values is not None
    channels = walk.draft.shapes[walk.source(operator)][2]
    if weights.shape[3] != channels:
        walk.refuse(operator, f"has weights for {weights.shape[3]} of {channels} channels; "
                              "grouped convolutions are not known")
    _undilated(walk, operator, options)
    walk.add(operator, Conv(
        **walk.fields(operator, options.FusedActivationFunction()), weights=weights.values,
        **_scaling(walk, operator, weights, weights.shape[0]),
        **window(walk, operator, weights.shape[1:3], options)))


def depthwise_conv_2d(walk: Walk, operator: Operator) -> None:
    """DEPTHWISE_CONV_2D: weights (1, KH, KW, C*m); with one channel it is a convolution."""
    options = operator.options(tflite.DepthwiseConv2DOptions)
    weights = _weights(walk, operator, 4, 3)
    assert weights.values is not None
    channels = walk.draft.shapes[walk.source(operator)][2]
    outputs = weights.shape[3]
    if weights.shape[0] != 1 or outputs % channels:
        walk.refuse(operator, f"has weights of shape {weights.shape} for {channels} channels; "
                              "(1, height, width, a multiple of the channels) is needed")
    _undilated(walk, operator, options)
    fields = {**walk.fields(operator, options.FusedActivationFunction()),
              **_scaling(walk, operator, weights, outputs),
              **window(walk, operator, weights.shape[1:3], options)}
    walk.add(operator, Conv(**fields, weights=weights.values.transpose(3, 1, 2, 0))
             if channels == 1 else Depthwise(**fields, weights=weights.values[0]))


def fully_connected(walk: Walk, operator: Operator) -> None:
    """FULLY_CONNECTED: over the whole input, or over the channels of each position."""
    options = operator.options(tflite.FullyConnectedOptions)
    if options.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        walk.refuse(operator, "has shuffled weights; convert without them")
    weights = _weights(walk, operator, 2, 0)
    assert weights.values is not None
    fields = walk.fields(operator, options.FusedActivationFunction())
    shape = walk.draft.shapes[fields["inputs"][0]]
    outputs, depth = weights.shape
    if depth == shape[0] * shape[1] * shape[2]:
        kernel = foldable(shape)
        if kernel != shape:
            fields["inputs"] = (_reshaped(walk, fields, kernel),)
    elif depth == shape[2]:
        kernel = (1, 1, depth)
    else:
        walk.refuse(operator, f"has {depth} weights an output for an input of {shape}; the whole "
                              "input's or its channels' count is needed")
    scaling, wrong = _rounded_once(
        walk, operator, weights, _scaling(walk, operator, weights, outputs))
    walk.add(operator, Conv(**fields, weights=weights.values.reshape(outputs, *kernel),
                            **scaling))
    if wrong:
        walk.draft.rounded[fields["name"]] = wrong


def add(walk: Walk, operator: Operator) -> None:
    """ADD of two activations of one shape."""
    activation = operator.options(tflite.AddOptions).FusedActivationFunction() \
        if operator.table is not None else 0
    fields = walk.fields(operator, activation, 2)
    shapes = [walk.draft.shapes[name] for name in fields["inputs"]]
    if shapes[0] != shapes[1]:
        walk.refuse(operator, f"adds tensors of {shapes[0]} and {shapes[1]}; broadcasting is not "
                              "known")
    first, second = (walk.draft.quantities[name] for name in fields["inputs"])
    multipliers, shifts = add_factors(first.scale, second.scale, fields["output_scale"])
    walk.add(operator, Add(**fields, input_zeros=(first.zero, second.zero),
                           multipliers=multipliers, shifts=shifts))


def pool_2d(walk: Walk, operator: Operator) -> None:
    """AVERAGE_POOL_2D and MAX_POOL_2D; scale and zero point stay."""
    options = operator.options(tflite.Pool2DOptions)
    walk.kept(operator)
    kernel = (int(options.FilterHeight()), int(options.FilterWidth()))
    kind = AveragePool if operator.name == "AVERAGE_POOL_2D" else MaxPool
    walk.add(operator, kind(**walk.fields(operator, options.FusedActivationFunction()),
                            kernel=kernel, **window(walk, operator, kernel, options)))


def mean(walk: Walk, operator: Operator) -> None:
    """MEAN over all dimensions but the first and the last."""
    rank = len(walk.tensor(operator, 0, "input").shape)
    axes = {int(axis) % rank for axis in _integers(walk, operator, 1, "axes")}
    if axes != set(range(1, rank - 1)):
        walk.refuse(operator, f"is over the axes {sorted(axes)} of {rank}; only the mean over "
                              "height and width is known")
    fields = walk.fields(operator)
    given = walk.draft.quantities[fields["inputs"][0]]
    height, width, _ = walk.draft.shapes[fields["inputs"][0]]
    multiplier, shift = mean_factors(given.scale / fields["output_scale"], height * width)
    walk.add(operator, Mean(**fields, input_zero=given.zero, multiplier=multiplier, shift=shift))


def pad(walk: Walk, operator: Operator) -> None:
    """PAD of height and width with the zero point, and PADV2 where it does the same."""
    walk.kept(operator)
    values = walk.constant(operator, 1, "padding").values
    assert values is not None
    rank = len(walk.tensor(operator, 0, "input").shape)
    if values.shape != (rank, 2) or values.min() < 0 or values[[0, -1]].any():
        walk.refuse(operator, f"has the padding {values.tolist()}; only height and width can be "
                              "padded")
    if operator.name == "PADV2":
        value = walk.constant(operator, 2, "value", "INT8").values
        if value is None or value.size != 1 or value.item() != walk.output(operator)[1].zero:
            walk.refuse(operator, "pads with a value that is not the zero point")
    pairs = [(0, 0)] * (4 - rank) + [(int(a), int(b)) for a, b in values[1:-1]]
    walk.add(operator, Pad(**walk.fields(operator), padding=(pairs[0], pairs[1])))


def reshape(walk: Walk, operator: Operator) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the integers stay in their order."""
    walk.kept(operator)
    _, _, shape = walk.output(operator)
    source = walk.source(operator)
    if walk.draft.shapes[source] == shape:
        walk.names[operator.outputs[0]] = source
    else:
        walk.add(operator, Reshape(**walk.fields(operator), shape=shape))


def softmax(walk: Walk, operator: Operator) -> None:
    """SOFTMAX over the channels."""
    beta = np.float32(operator.options(tflite.SoftmaxOptions).Beta())
    fields = walk.fields(operator)
    step = -np.float32(walk.draft.quantities[fields["inputs"][0]].scale) * beta
    with np.errstate(all="ignore"):
        table = np.exp(step * np.arange(256, dtype=np.float32)).astype(np.float32)
    walk.add(operator, Softmax(**fields, table=table))


def quantize(walk: Walk, operator: Operator) -> None:
    """QUANTIZE from int8 or uint8 to int8 or uint8: another scale, or nothing at all."""
    given, made = walk.graph.tensors[operator.inputs[0]], walk.graph.tensors[operator.outputs[0]]
    before = walk.quantity(operator, given, ("INT8", "UINT8"))
    after = walk.quantity(operator, made, ("INT8", "UINT8"))
    source = walk.names.get(operator.inputs[0])
    if source is None:
        walk.refuse(operator, f"takes {given.name!r}, which no operator before it makes")
    if before == after:
        walk.names[operator.outputs[0]] = source
        return
    multiplier, shift = quantise_multiplier([before.scale / after.scale])
    node = Requantise(f"quantize_{operator.index}", (source,), after.zero, after.scale,
                      input_zero=before.zero, multiplier=int(multiplier[0]), shift=int(shift[0]))
    walk.names[operator.outputs[0]] = walk.draft.add(node, walk.shape(operator, made), made.name)


def activation(walk: Walk, operator: Operator) -> None:
    """RELU, RELU6 and RELU_N1_TO_1 that stand alone."""
    kind = getattr(tflite.ActivationFunctionType, operator.name)
    fields = walk.fields(operator, kind)
    given = walk.draft.quantities[fields["inputs"][0]]
    multiplier, shift = quantise_multiplier([given.scale / fields["output_scale"]])
    walk.add(operator, Requantise(**fields, input_zero=given.zero, multiplier=int(multiplier[0]),
                                  shift=int(shift[0])))


def _weights(walk: Walk, operator: Operator, rank: int, axis: int) -> Tensor:
    """The constant weights, int8, symmetric, with one scale or one for each of `axis`."""
    tensor = walk.constant(operator, 1, "tensor of weights", "INT8")
    if len(tensor.shape) != rank or min(tensor.shape) < 1:
        walk.refuse(operator, f"has weights of shape {tensor.shape}, not of {rank} dimensions")
    if tensor.zero.any():
        walk.refuse(operator, "has weights with a zero point; convert with symmetric weights")
    per_channel = tensor.axis == axis and len(tensor.scale) == tensor.shape[axis]
    if len(tensor.scale) != 1 and not per_channel:
        walk.refuse(operator, f"has {len(tensor.scale)} scales on axis {tensor.axis} of weights "
                              f"of shape {tensor.shape}; one, or one for each output, is needed")
    if not (np.isfinite(tensor.scale).all() and (tensor.scale >= 0).all()):
        walk.refuse(operator, "has a scale of its weights that is no number from 0 up")
    return tensor


def _scaling(walk: Walk, operator: Operator, weights: Tensor, outputs: int) -> dict[str, Any]:
    """Bias, multiplier, shift and input zero point."""
    given = walk.draft.quantities[walk.source(operator)]
    real = np.broadcast_to(product_factors(
        given.scale, weights.scale, walk.output(operator)[1].scale), (outputs,))
    multiplier, shift = quantise_multiplier(real)
    return {"bias": _bias(walk, operator, outputs), "multiplier": multiplier, "shift": shift,
            "input_zero": given.zero}


def _rounded_once(walk: Walk, operator: Operator, weights: Tensor, scaling: dict[str, Any]
                  ) -> tuple[dict[str, Any], float]:
    """The scaling of a fully connected layer, which rounds once, and the share of sums, in the
    worst channel, that the engine rounds to another integer."""
    assert weights.values is not None
    real = np.broadcast_to(product_factors(
        walk.draft.quantities[walk.source(operator)].scale, weights.scale,
        walk.output(operator)[1].scale), scaling["bias"].shape)
    least, most = reach(weights.values, scaling["bias"], scaling["input_zero"])
    worst = 0.0
    for value in np.unique(real):
        same = real == value
        multiplier, shift, wrong = single_rounding(
            float(value), int(least[same].min()), int(most[same].max()))
        scaling["multiplier"][same], scaling["shift"][same] = multiplier, shift
        worst = max(worst, wrong)
    return scaling, worst


def _bias(walk: Walk, operator: Operator, outputs: int) -> npt.NDArray[np.int32]:
    """The bias, or zeros where there is none."""
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return np.zeros(outputs, np.int32)
    values = walk.constant(operator, 2, "bias").values
    assert values is not None
    if values.size != outputs:
        walk.refuse(operator, f"has {values.size} biases for {outputs} outputs")
    return values.reshape(outputs).astype(np.int32)


def _undilated(walk: Walk, operator: Operator, options: Any) -> None:
    factors = (options.DilationHFactor(), options.DilationWFactor())
    if factors != (1, 1):
        walk.refuse(operator, f"is dilated by {factors}, which is not known")


def _integers(walk: Walk, operator: Operator, position: int, what: str) -> list[int]:
    values = walk.constant(operator, position, what).values
    assert values is not None
    return [int(value) for value in values.ravel()[:8]]


def _reshaped(walk: Walk, fields: dict[str, Any], shape: tuple[int, int, int]) -> str:
    """A Reshape of the input of `fields`, for a layer that its sides would not fit."""
    source = fields["inputs"][0]
    given = walk.draft.quantities[source]
    return walk.draft.add(Reshape(f"{fields['name']}_input", (source,), given.zero, given.scale,
                                  shape=shape), shape, walk.draft.sources[source])


OPERATORS: dict[str, Callable[[Walk, Operator], None]] = {
    "CONV_2D": conv_2d, "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected, "ADD": add, "AVERAGE_POOL_2D": pool_2d,
    "MAX_POOL_2D": pool_2d, "MEAN": mean, "PAD": pad, "PADV2": pad, "RESHAPE": reshape,
    "SQUEEZE": reshape, "EXPAND_DIMS": reshape, "SOFTMAX": softmax, "QUANTIZE": quantize,
    "RELU": activation, "RELU6": activation, "RELU_N1_TO_1": activation}
"""The operators by their names in the schema."""

