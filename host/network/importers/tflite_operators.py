"""The TensorFlow Lite operators that reduce, and the table of all operators."""

import tflite

from dscim.host.network import (
    Add,
    AveragePool,
    Combine,
    Concat,
    Conv,
    Depthwise,
    Extreme,
    IntegerSoftmax,
    LogSoftmax,
    Lookup,
    MaxPool,
    Mean,
    Pad,
    Requantise,
    Reshape,
    Select,
    Sum,
    Transpose,
)
from dscim.host.network.importers import tflite_elementwise as elementwise
from dscim.host.network.importers import tflite_moves as moves
from dscim.host.network.importers import tflite_products as products
from dscim.host.network.importers.supported import Supported
from dscim.host.network.importers.tflite_file import Operator
from dscim.host.network.importers.tflite_importer import TfliteImporter, image, window
from dscim.host.network.importers.views import Dims, grouped, product
from dscim.host.network.scaling import (
    integer_softmax_table,
    mean_factors,
    quantise_factor,
    softmax_table,
)


def pool_2d(importer: TfliteImporter, operator: Operator) -> None:
    """AVERAGE_POOL_2D and MAX_POOL_2D: they keep scale and zero point."""
    options = operator.options(tflite.Pool2DOptions)
    importer.check_same_quantity(operator)
    image(importer, operator)
    kernel = (int(options.FilterHeight()), int(options.FilterWidth()))
    fields = {
        **importer.fields(operator, options.FusedActivationFunction()),
        "kernel": kernel,
        **window(importer, operator, kernel, options),
    }
    if operator.name == "MAX_POOL_2D":
        importer.add(operator, MaxPool(**fields))
        return
    unsigned = importer.tensor(operator, 0).kind == "UINT8"
    if unsigned and (product(kernel) % 2 == 0 or fields["padding"] != ((0, 0), (0, 0))):
        importer.refuse(
            operator,
            f"averages uint8 values in windows of {kernel} with the padding {fields['padding']}: a "
            "tie below the zero point rounds otherwise in int8; convert with int8 activations",
        )
    importer.add(operator, AveragePool(**fields))


def reduce(importer: TfliteImporter, operator: Operator) -> None:
    """MEAN, SUM, REDUCE_MAX and REDUCE_MIN over any axes; a Mean over height and width."""
    dims = importer.dims(operator, importer.tensor(operator, 0))
    axes = _axes(importer, operator, dims)
    fields, place = importer.fields(operator), importer.place(operator)
    source = fields["inputs"][0]
    name, inner = grouped(importer.draft, f"{fields['name']}_input", source, dims, axes, place)
    fields["inputs"] = (name,)
    if operator.name in ("REDUCE_MAX", "REDUCE_MIN"):
        importer.check_same_quantity(operator)
        least = operator.name == "REDUCE_MIN"
        importer.add(operator, Extreme(**fields, axes=inner, least=least))
        return
    operand = importer.draft.quantities[source]
    shape = importer.draft.shapes[name]
    count = product(tuple(shape[axis] for axis in inner))
    real = operand.scale / fields["output_scale"]
    multiplier, shift = (
        mean_factors(real, count) if operator.name == "MEAN" else quantise_factor(real)
    )
    fields |= {"input_zero": operand.zero, "multiplier": multiplier, "shift": shift}
    whole = all(axis in inner or shape[axis] == 1 for axis in (0, 1)) and 2 not in inner
    if whole and operator.name == "MEAN":
        importer.add(operator, Mean(**fields))
    else:
        # LiteRT's SUM rounds once, its MEAN twice.
        once = operator.name == "SUM"
        importer.add(operator, Sum(**fields, axes=inner, single_rounding=once))


def softmax(importer: TfliteImporter, operator: Operator) -> None:
    """SOFTMAX: over the last axis."""
    beta = float(operator.options(tflite.SoftmaxOptions).Beta())
    fields = importer.fields(operator)
    scale = importer.draft.quantities[fields["inputs"][0]].scale
    if not 0 <= beta < 1e6:
        importer.refuse(
            operator, f"has the factor beta {beta}, which is not a number of at least 0"
        )
    _check_output(importer, operator, 1 / 256, -128)
    importer.add(operator, IntegerSoftmax(**fields, table=integer_softmax_table(scale, beta)))


def log_softmax(importer: TfliteImporter, operator: Operator) -> None:
    """LOG_SOFTMAX: over the last axis."""
    fields = importer.fields(operator)
    _check_output(importer, operator, 1 / 16, 127)
    scale = importer.draft.quantities[fields["inputs"][0]].scale
    importer.add(operator, LogSoftmax(**fields, table=softmax_table(scale), input_scale=scale))


def _check_output(importer: TfliteImporter, operator: Operator, scale: float, zero: int) -> None:
    """UserError unless the output has the scale and the zero point that the kernel demands."""
    after = importer.output(operator)[1]
    if (after.scale, after.zero) != (scale, zero):
        importer.refuse(
            operator,
            f"has the output scale {after.scale:.6g} and zero point {after.zero}; LiteRT's kernel "
            f"needs {scale:.6g} and {zero}",
        )


def quantize(importer: TfliteImporter, operator: Operator) -> None:
    """QUANTIZE between int8 and uint8: a node only if scale or zero point changes."""
    source, after = importer.source(operator), importer.output(operator)[1]
    before = importer.draft.quantities[source]
    if before == after:
        importer.keep(operator, source)
        return
    multiplier, shift = quantise_factor(before.scale / after.scale)
    importer.add(
        operator,
        Requantise(
            **importer.fields(operator),
            input_zero=before.zero,
            multiplier=multiplier,
            shift=shift,
        ),
    )


def _axes(importer: TfliteImporter, operator: Operator, dims: Dims) -> Dims:
    """The axes of a reduction, each once, in order."""
    found = importer.integers(operator, 1, "list of axes")
    return tuple(sorted({importer.axis(operator, dims, axis) for axis in found}))


OPERATORS: dict[str, Supported] = {
    "CONV_2D": Supported(
        "convolution",
        products.conv_2d,
        (Conv,),
        "constant weights; dilation and groups: a window with zeros of at most 32,767 values",
    ),
    "DEPTHWISE_CONV_2D": Supported(
        "depthwise convolution",
        products.depthwise_conv_2d,
        (Depthwise,),
        "constant weights",
    ),
    "TRANSPOSE_CONV": Supported(
        "transposed convolution",
        products.transpose_conv,
        (Select, Conv),
        "constant weights",
    ),
    "FULLY_CONNECTED": Supported(
        "fully connected",
        products.fully_connected,
        (Conv,),
        "constant weights; at most 32,767 inputs",
    ),
    "ADD": Supported("sum", elementwise.add, (Add, Combine, Lookup)),
    "SUB": Supported("difference", elementwise.subtract, (Combine, Lookup)),
    "MUL": Supported("product", elementwise.multiply, (Combine, Lookup)),
    "MAXIMUM": Supported(
        "maximum, minimum", elementwise.extreme, (Combine, Lookup), "equal scales"
    ),
    "MINIMUM": Supported(
        "maximum, minimum", elementwise.extreme, (Combine, Lookup), "equal scales"
    ),
    "RELU": Supported("ReLU, clip", elementwise.activation, (Requantise,)),
    "RELU6": Supported("ReLU, clip", elementwise.activation, (Requantise,)),
    "RELU_N1_TO_1": Supported("ReLU, clip", elementwise.activation, (Requantise,)),
    "PRELU": Supported("ReLU with slopes", elementwise.prelu, (Lookup,), "constant slopes"),
    "LEAKY_RELU": Supported("ReLU with slopes", elementwise.function, (Lookup,)),
    "LOGISTIC": Supported("sigmoid, tanh", elementwise.function, (Lookup,), "output scale 1/256"),
    "TANH": Supported("sigmoid, tanh", elementwise.function, (Lookup,), "output scale 1/128"),
    "HARD_SWISH": Supported("hard swish", elementwise.function, (Lookup,)),
    "AVERAGE_POOL_2D": Supported(
        "average pool", pool_2d, (AveragePool,), "uint8: odd windows without padding"
    ),
    "MAX_POOL_2D": Supported("maximum pool", pool_2d, (MaxPool,)),
    "MEAN": Supported("mean", reduce, (Mean, Sum), unsigned=False),
    "SUM": Supported("sum over axes", reduce, (Sum,), unsigned=False),
    "REDUCE_MAX": Supported("greatest, least value", reduce, (Extreme,)),
    "REDUCE_MIN": Supported("greatest, least value", reduce, (Extreme,)),
    "PAD": Supported("padding", moves.pad, (Pad, Select)),
    "PADV2": Supported("padding", moves.pad, (Pad, Select), "only with the zero point"),
    "CONCATENATION": Supported(
        "concatenation", moves.concatenation, (Concat,), "int8: equal scales"
    ),
    "SPLIT": Supported("split, slice", moves.split, (Select,)),
    "SPLIT_V": Supported("split, slice", moves.split, (Select,)),
    "SLICE": Supported("split, slice", moves.cut, (Select,)),
    "STRIDED_SLICE": Supported(
        "split, slice", moves.strided_slice, (Select,), "no ellipsis, no new axes"
    ),
    "RESIZE_NEAREST_NEIGHBOR": Supported("resize", moves.resize_nearest, (Select,)),
    "TRANSPOSE": Supported("transpose", moves.transpose, (Transpose,)),
    "SPACE_TO_DEPTH": Supported("space to depth and back", moves.space_to_depth, (Transpose,)),
    "DEPTH_TO_SPACE": Supported("space to depth and back", moves.depth_to_space, (Transpose,)),
    "RESHAPE": Supported("reshape", moves.reshape, (Reshape,)),
    "SQUEEZE": Supported("reshape", moves.reshape, (Reshape,)),
    "EXPAND_DIMS": Supported("reshape", moves.reshape, (Reshape,)),
    "SOFTMAX": Supported(
        "softmax", softmax, (IntegerSoftmax,), "the last axis; output scale 1/256"
    ),
    "LOG_SOFTMAX": Supported(
        "log-softmax",
        log_softmax,
        (LogSoftmax,),
        "the last axis; output scale 1/16",
        unsigned=False,
    ),
    "QUANTIZE": Supported("requantisation", quantize, (Requantise,)),
}
"""The operators, by their names in the schema."""
