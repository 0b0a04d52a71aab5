"""The supported TensorFlow Lite operators without weights, and the table of all operators."""

from collections.abc import Callable

import tflite

from dscim.host.network import Add, AveragePool, MaxPool, Mean, Pad, Requantise, Reshape, Softmax
from dscim.host.network.importers.tflite_file import Operator
from dscim.host.network.importers.tflite_importer import TfliteImporter, window
from dscim.host.network.importers.tflite_products import conv_2d, depthwise_conv_2d, fully_connected
from dscim.host.network.scaling import (
    add_factors,
    mean_factors,
    quantise_factor,
    softmax_table,
)

INTEGERS = ("INT32", "INT64")
"""The types of axes and paddings."""


def add(importer: TfliteImporter, operator: Operator) -> None:
    """ADD: two activations of the same shape."""
    activation = (
        operator.options(tflite.AddOptions).FusedActivationFunction()
        if operator.table is not None
        else 0
    )
    fields = importer.fields(operator, activation, 2)
    shapes = [importer.draft.shapes[name] for name in fields["inputs"]]
    if shapes[0] != shapes[1]:
        importer.refuse(
            operator, f"adds tensors of {shapes[0]} and {shapes[1]}; broadcasting is not supported"
        )
    first, second = (importer.draft.quantities[name] for name in fields["inputs"])
    multipliers, shifts = add_factors(first.scale, second.scale, fields["output_scale"])
    importer.add(
        operator,
        Add(
            **fields, input_zeros=(first.zero, second.zero), multipliers=multipliers, shifts=shifts
        ),
    )


def pool_2d(importer: TfliteImporter, operator: Operator) -> None:
    """AVERAGE_POOL_2D and MAX_POOL_2D: they keep scale and zero point."""
    options = operator.options(tflite.Pool2DOptions)
    importer.check_same_quantity(operator)
    kernel = (int(options.FilterHeight()), int(options.FilterWidth()))
    kind = AveragePool if operator.name == "AVERAGE_POOL_2D" else MaxPool
    importer.add(
        operator,
        kind(
            **importer.fields(operator, options.FusedActivationFunction()),
            kernel=kernel,
            **window(importer, operator, kernel, options),
        ),
    )


def mean(importer: TfliteImporter, operator: Operator) -> None:
    """MEAN: over all dimensions except the first and the last."""
    rank = len(importer.tensor(operator, 0, "input").shape)
    axes = {int(axis) % rank for axis in _integers(importer, operator, 1, "axes")}
    if axes != set(range(1, rank - 1)):
        importer.refuse(
            operator,
            f"is over the axes {sorted(axes)} of {rank} dimensions; only the mean over "
            "height and width is supported",
        )
    fields = importer.fields(operator)
    operand = importer.draft.quantities[fields["inputs"][0]]
    height, width, _ = importer.draft.shapes[fields["inputs"][0]]
    multiplier, shift = mean_factors(operand.scale / fields["output_scale"], height * width)
    importer.add(
        operator, Mean(**fields, input_zero=operand.zero, multiplier=multiplier, shift=shift)
    )


def pad(importer: TfliteImporter, operator: Operator) -> None:
    """PAD: height and width with the zero point; PADV2 with the same effect."""
    importer.check_same_quantity(operator)
    values = importer.constant(operator, 1, "padding", INTEGERS).values
    assert values is not None
    rank = len(importer.tensor(operator, 0, "input").shape)
    if values.shape != (rank, 2) or values.min() < 0 or values[[0, -1]].any():
        importer.refuse(
            operator, f"has the padding {values.tolist()}; only height and width can be padded"
        )
    if operator.name == "PADV2":
        value = importer.constant(operator, 2, "value", ("INT8",)).values
        if value is None or value.size != 1 or value.item() != importer.output(operator)[1].zero:
            importer.refuse(operator, "pads with a value that is not the zero point")
    pairs = [(0, 0)] * (4 - rank) + [(int(a), int(b)) for a, b in values[1:-1]]
    importer.add(operator, Pad(**importer.fields(operator), padding=(pairs[0], pairs[1])))


def reshape(importer: TfliteImporter, operator: Operator) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the integers stay in their order."""
    importer.check_same_quantity(operator)
    _, _, shape = importer.output(operator)
    source = importer.source(operator)
    if importer.draft.shapes[source] == shape:
        importer.names[operator.outputs[0]] = source
    else:
        importer.add(operator, Reshape(**importer.fields(operator), shape=shape))


def softmax(importer: TfliteImporter, operator: Operator) -> None:
    """SOFTMAX: over the channels."""
    beta = float(operator.options(tflite.SoftmaxOptions).Beta())
    fields = importer.fields(operator)
    scale = importer.draft.quantities[fields["inputs"][0]].scale
    if not 0 <= beta < 1e6:
        importer.refuse(
            operator, f"has the factor beta {beta}, which is not a number of at least 0"
        )
    importer.add(operator, Softmax(**fields, table=softmax_table(scale, beta)))


def quantize(importer: TfliteImporter, operator: Operator) -> None:
    """QUANTIZE between int8 and uint8: a node only if scale or zero point changes."""
    operand, made = (
        importer.graph.tensors[operator.inputs[0]],
        importer.graph.tensors[operator.outputs[0]],
    )
    before = importer.quantity(operator, operand, ("INT8", "UINT8"))
    after = importer.quantity(operator, made, ("INT8", "UINT8"))
    source = importer.names.get(operator.inputs[0])
    if source is None:
        importer.refuse(operator, f"takes {operand.name!r}, which no operator before it computes")
    if before == after:
        importer.names[operator.outputs[0]] = source
        return
    multiplier, shift = quantise_factor(before.scale / after.scale)
    node = Requantise(
        f"quantize_{operator.index}",
        (source,),
        after.zero,
        after.scale,
        input_zero=before.zero,
        multiplier=multiplier,
        shift=shift,
    )
    importer.names[operator.outputs[0]] = importer.draft.add(
        node, importer.shape(operator, made), made.name
    )


def activation(importer: TfliteImporter, operator: Operator) -> None:
    """RELU, RELU6 and RELU_N1_TO_1 as separate operators."""
    kind = getattr(tflite.ActivationFunctionType, operator.name)
    fields = importer.fields(operator, kind)
    operand = importer.draft.quantities[fields["inputs"][0]]
    multiplier, shift = quantise_factor(operand.scale / fields["output_scale"])
    importer.add(
        operator,
        Requantise(**fields, input_zero=operand.zero, multiplier=multiplier, shift=shift),
    )


def _integers(importer: TfliteImporter, operator: Operator, position: int, what: str) -> list[int]:
    values = importer.constant(operator, position, what, INTEGERS).values
    assert values is not None
    return [int(value) for value in values.ravel()[:8]]


OPERATORS: dict[str, Callable[[TfliteImporter, Operator], None]] = {
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
"""The operators, by their names in the schema."""
