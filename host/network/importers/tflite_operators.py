"""Each operator of TensorFlow Lite that is known, as a node."""

from collections.abc import Callable

import tflite

from dscim.host.network import Add, AveragePool, MaxPool, Mean, Pad, Requantise, Reshape, Softmax
from dscim.host.network.importers.tflite_file import Operator
from dscim.host.network.importers.tflite_products import conv_2d, depthwise_conv_2d, fully_connected
from dscim.host.network.importers.tflite_walk import Walk, window
from dscim.host.network.scaling import (
    add_factors,
    mean_factors,
    quantise_multiplier,
    softmax_table,
)

INTEGERS = ("INT32", "INT64")
"""The types of axes and paddings."""


def add(walk: Walk, operator: Operator) -> None:
    """ADD of two activations of one shape."""
    activation = (
        operator.options(tflite.AddOptions).FusedActivationFunction()
        if operator.table is not None
        else 0
    )
    fields = walk.fields(operator, activation, 2)
    shapes = [walk.draft.shapes[name] for name in fields["inputs"]]
    if shapes[0] != shapes[1]:
        walk.refuse(
            operator, f"adds tensors of {shapes[0]} and {shapes[1]}; broadcasting is not known"
        )
    first, second = (walk.draft.quantities[name] for name in fields["inputs"])
    multipliers, shifts = add_factors(first.scale, second.scale, fields["output_scale"])
    walk.add(
        operator,
        Add(
            **fields, input_zeros=(first.zero, second.zero), multipliers=multipliers, shifts=shifts
        ),
    )


def pool_2d(walk: Walk, operator: Operator) -> None:
    """AVERAGE_POOL_2D and MAX_POOL_2D; scale and zero point stay."""
    options = operator.options(tflite.Pool2DOptions)
    walk.kept(operator)
    kernel = (int(options.FilterHeight()), int(options.FilterWidth()))
    kind = AveragePool if operator.name == "AVERAGE_POOL_2D" else MaxPool
    walk.add(
        operator,
        kind(
            **walk.fields(operator, options.FusedActivationFunction()),
            kernel=kernel,
            **window(walk, operator, kernel, options),
        ),
    )


def mean(walk: Walk, operator: Operator) -> None:
    """MEAN over all dimensions but the first and the last."""
    rank = len(walk.tensor(operator, 0, "input").shape)
    axes = {int(axis) % rank for axis in _integers(walk, operator, 1, "axes")}
    if axes != set(range(1, rank - 1)):
        walk.refuse(
            operator,
            f"is over the axes {sorted(axes)} of {rank}; only the mean over "
            "height and width is known",
        )
    fields = walk.fields(operator)
    given = walk.draft.quantities[fields["inputs"][0]]
    height, width, _ = walk.draft.shapes[fields["inputs"][0]]
    multiplier, shift = mean_factors(given.scale / fields["output_scale"], height * width)
    walk.add(operator, Mean(**fields, input_zero=given.zero, multiplier=multiplier, shift=shift))


def pad(walk: Walk, operator: Operator) -> None:
    """PAD of height and width with the zero point, and PADV2 where it does the same."""
    walk.kept(operator)
    values = walk.constant(operator, 1, "padding", INTEGERS).values
    assert values is not None
    rank = len(walk.tensor(operator, 0, "input").shape)
    if values.shape != (rank, 2) or values.min() < 0 or values[[0, -1]].any():
        walk.refuse(
            operator, f"has the padding {values.tolist()}; only height and width can be padded"
        )
    if operator.name == "PADV2":
        value = walk.constant(operator, 2, "value", ("INT8",)).values
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
    beta = float(operator.options(tflite.SoftmaxOptions).Beta())
    fields = walk.fields(operator)
    scale = walk.draft.quantities[fields["inputs"][0]].scale
    if not 0 <= beta < 1e6:
        walk.refuse(operator, f"has the factor beta {beta}, which is no number from 0 up")
    walk.add(operator, Softmax(**fields, table=softmax_table(scale, beta)))


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
    node = Requantise(
        f"quantize_{operator.index}",
        (source,),
        after.zero,
        after.scale,
        input_zero=before.zero,
        multiplier=int(multiplier[0]),
        shift=int(shift[0]),
    )
    walk.names[operator.outputs[0]] = walk.draft.add(node, walk.shape(operator, made), made.name)


def activation(walk: Walk, operator: Operator) -> None:
    """RELU, RELU6 and RELU_N1_TO_1 that stand alone."""
    kind = getattr(tflite.ActivationFunctionType, operator.name)
    fields = walk.fields(operator, kind)
    given = walk.draft.quantities[fields["inputs"][0]]
    multiplier, shift = quantise_multiplier([given.scale / fields["output_scale"]])
    walk.add(
        operator,
        Requantise(
            **fields, input_zero=given.zero, multiplier=int(multiplier[0]), shift=int(shift[0])
        ),
    )


def _integers(walk: Walk, operator: Operator, position: int, what: str) -> list[int]:
    values = walk.constant(operator, position, what, INTEGERS).values
    assert values is not None
    return [int(value) for value in values.ravel()[:8]]


OPERATORS: dict[str, Callable[[Walk, Operator], None]] = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "ADD": add,
    "AVERAGE_POOL_2D": pool_2d,
    "MAX_POOL_2D": pool_2d,
    "MEAN": mean,
    "PAD": pad,
    "PADV2": pad,
    "RESHAPE": reshape,
    "SQUEEZE": reshape,
    "EXPAND_DIMS": reshape,
    "SOFTMAX": softmax,
    "QUANTIZE": quantize,
    "RELU": activation,
    "RELU6": activation,
    "RELU_N1_TO_1": activation,
}
"""The operators by their names in the schema."""
