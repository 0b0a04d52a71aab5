"""The supported ONNX operators without weights, and the table of all operators."""

import math
from collections.abc import Callable
from typing import Any

from dscim.host.network import Add, AveragePool, MaxPool, Mean, Requantise, Softmax
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter, finite
from dscim.host.network.importers.onnx_layouts import flatten, pad, reshape, transpose
from dscim.host.network.importers.onnx_products import (
    batch_normalization,
    biased,
    conv,
    gemm,
    sides,
    window,
)
from dscim.host.network.importers.onnx_values import (
    Activation,
    Layout,
    Pending,
    Product,
    Simple,
    Value,
)
from dscim.host.network.scaling import add_factors, quantise_factor, softmax_table


def add(importer: OnnxImporter, operator: Operator) -> Value:
    """Add: two activations, or a bias and a product that is not quantised yet."""
    for mine, other in ((0, 1), (1, 0)):
        value = importer.value(operator, mine)
        if isinstance(value, Product):
            return biased(importer, operator, value, importer.numbers(operator, other, "summand"))
    first, second = importer.activation(operator), importer.activation(operator, 1)
    if first.layout != second.layout:
        importer.refuse(
            operator,
            f"adds tensors of {first.layout.shape} and {second.layout.shape}; "
            "broadcasting is not supported",
        )

    def make(fields: dict[str, Any]) -> Add:
        multipliers, shifts = add_factors(
            first.quantity.scale, second.quantity.scale, fields["output_scale"]
        )
        return Add(
            **fields,
            input_zeros=(first.quantity.zero, second.quantity.zero),
            multipliers=multipliers,
            shifts=shifts,
        )

    return Simple((first, second), first.layout, make=make)


def relu(importer: OnnxImporter, operator: Operator) -> Value:
    """Relu: a lower bound of 0."""
    return _bounded(importer, operator, 0.0, None)


def clip(importer: OnnxImporter, operator: Operator) -> Value:
    """Clip: within constant bounds."""
    bounds = []
    for position, name in ((1, "min"), (2, "max")):
        value = operator.attributes.get(name)
        if importer.has_input(operator, position):
            numbers = importer.numbers(operator, position, name)
            value = float(numbers.ravel()[0]) if numbers.size == 1 else math.nan
        bounds.append(finite(value))
    return _bounded(importer, operator, bounds[0], bounds[1])


def softmax(importer: OnnxImporter, operator: Operator) -> Value:
    """Softmax: over the channels of one position."""
    operand = importer.activation(operator)
    axis = int(operator.attributes.get("axis", -1))
    if operand.layout.shape[:2] != (1, 1) or axis not in (1, -1):
        importer.refuse(
            operator,
            f"is over axis {axis} of {operand.layout.shape}; only the channels of "
            "one position are supported",
        )
    table = softmax_table(operand.quantity.scale)
    return Simple((operand,), operand.layout, make=lambda fields: Softmax(**fields, table=table))


def same(importer: OnnxImporter, operator: Operator) -> Value:
    """Identity, and Dropout, which has no effect after training."""
    return importer.value(operator, 0)


def _bounded(
    importer: OnnxImporter, operator: Operator, low: float | None, high: float | None
) -> Value:
    """A pending value with more bounds, or a Requantise of an activation with bounds."""
    if any(bound is not None and math.isnan(bound) for bound in (low, high)):
        importer.refuse(operator, "has bounds that are not numbers")
    value = importer.value(operator, 0)
    if isinstance(value, Pending):
        return value.bounded(low, high)
    operand = importer.activation(operator)

    def make(fields: dict[str, Any]) -> Requantise:
        multiplier, shift = quantise_factor(operand.quantity.scale / fields["output_scale"])
        return Requantise(
            **fields,
            input_zero=operand.quantity.zero,
            multiplier=multiplier,
            shift=shift,
            single_rounding=True,
        )

    return Simple((operand,), operand.layout, low, high, make=make)


def max_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """MaxPool: keeps the input's scale."""
    operand = importer.image(operator)
    geometry, layout = _pool(importer, operator, operand)
    return Simple(
        (operand,), layout, make=lambda fields: MaxPool(**fields, **geometry), own=operand.quantity
    )


def average_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """AveragePool: does not count padding; a Mean if it covers the whole image."""
    operand = importer.image(operator)
    geometry, layout = _pool(importer, operator, operand)
    padded = geometry["padding"] != ((0, 0), (0, 0))
    if padded and operator.attributes.get("count_include_pad", 0):
        importer.refuse(operator, "counts padding; set count_include_pad to 0")
    if not padded and layout.shape[:2] == (1, 1) and geometry["kernel"] == operand.layout.shape[:2]:
        return _mean(operand, layout)
    return Simple(
        (operand,),
        layout,
        make=lambda fields: AveragePool(**fields, **geometry),
        own=operand.quantity,
        average=True,
    )


def global_average_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """GlobalAveragePool."""
    operand = importer.image(operator)
    return _mean(operand, Layout((1, 1, operand.layout.shape[2])))


def reduce_mean(importer: OnnxImporter, operator: Operator) -> Value:
    """ReduceMean: over height and width."""
    operand = importer.activation(operator)
    axes = operator.attributes.get("axes")
    if importer.has_input(operator, 1):
        axes = importer.numbers(operator, 1, "axes").ravel().tolist()
    letters = {operand.layout.order[int(axis) % 4 - 1] for axis in axes or () if int(axis) % 4}
    if operand.layout.flat or letters != {"h", "w"} or len(axes or ()) != 2:
        importer.refuse(operator, f"is over the axes {axes}; only height and width are supported")
    keep = bool(operator.attributes.get("keepdims", 1))
    return _mean(operand, Layout((1, 1, operand.layout.shape[2]), operand.layout.order, not keep))


def _pool(
    importer: OnnxImporter, operator: Operator, operand: Activation
) -> tuple[dict[str, Any], Layout]:
    """Kernel, stride and padding of a pool, and the layout of its output."""
    height, width, channels = operand.layout.shape
    kernel = [int(size) for size in operator.attributes.get("kernel_shape", ())]
    if len(kernel) != 2 or min(kernel) < 1 or len(operator.outputs) != 1:
        importer.refuse(
            operator,
            f"has the kernel {kernel} and {len(operator.outputs)} outputs; only a "
            "pool over an image is supported",
        )
    geometry = window(importer, operator, (kernel[0], kernel[1]), (height, width))
    if operator.attributes.get("ceil_mode", 0):
        spare = [
            (size + sum(pad) - k) % s
            for size, pad, k, s in zip(
                (height, width), geometry["padding"], kernel, geometry["stride"], strict=True
            )
        ]
        if any(spare):
            importer.refuse(operator, "rounds its size up (ceil_mode); pad before it instead")
    high, wide = sides((height, width), (kernel[0], kernel[1]), geometry)
    return geometry, Layout((high, wide, channels))


def _mean(operand: Activation, layout: Layout) -> Pending:
    """The mean over height and width."""
    height, width, _ = operand.layout.shape

    def make(fields: dict[str, Any]) -> Mean:
        real = operand.quantity.scale / fields["output_scale"] / (height * width)
        multiplier, shift = quantise_factor(real)
        return Mean(
            **fields,
            input_zero=operand.quantity.zero,
            multiplier=multiplier,
            shift=shift,
            single_rounding=True,
        )

    return Simple((operand,), layout, make=make)


OPERATORS: dict[str, Callable[[OnnxImporter, Operator], Value]] = {
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": gemm,
    "BatchNormalization": batch_normalization,
    "Add": add,
    "Relu": relu,
    "Clip": clip,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "ReduceMean": reduce_mean,
    "Pad": pad,
    "Flatten": flatten,
    "Reshape": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Softmax": softmax,
    "Identity": same,
    "Dropout": same,
}
"""The operators by name, except QuantizeLinear and DequantizeLinear."""
