"""The supported ONNX operators without weights, and the table of all."""

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
from dscim.host.network.scaling import add_factors, quantise_multiplier, softmax_table


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
    """Relu: at least 0."""
    return _bounded(importer, operator, 0.0, None)


def clip(importer: OnnxImporter, operator: Operator) -> Value:
    """Clip: within constant bounds."""
    bounds = []
    for position, name in ((1, "min"), (2, "max")):
        value = operator.attributes.get(name)
        if importer.given(operator, position):
            numbers = importer.numbers(operator, position, name)
            value = float(numbers.ravel()[0]) if numbers.size == 1 else math.nan
        bounds.append(finite(value))
    return _bounded(importer, operator, bounds[0], bounds[1])


def softmax(importer: OnnxImporter, operator: Operator) -> Value:
    """Softmax: over the channels of one position."""
    given = importer.activation(operator)
    axis = int(operator.attributes.get("axis", -1))
    if given.layout.shape[:2] != (1, 1) or axis not in (1, -1):
        importer.refuse(
            operator,
            f"is over axis {axis} of {given.layout.shape}; only the channels of "
            "one position are supported",
        )
    table = softmax_table(given.quantity.scale)
    return Simple((given,), given.layout, make=lambda fields: Softmax(**fields, table=table))


def same(importer: OnnxImporter, operator: Operator) -> Value:
    """Identity, and Dropout, which has no effect after training."""
    return importer.value(operator, 0)


def _bounded(
    importer: OnnxImporter, operator: Operator, low: float | None, high: float | None
) -> Value:
    """A pending value with bounds; for an activation, a requantisation with bounds."""
    if any(bound is not None and math.isnan(bound) for bound in (low, high)):
        importer.refuse(operator, "has bounds that are not numbers")
    value = importer.value(operator, 0)
    if isinstance(value, Pending):
        return value.bounded(low, high)
    given = importer.activation(operator)

    def make(fields: dict[str, Any]) -> Requantise:
        multiplier, shift = quantise_multiplier([given.quantity.scale / fields["output_scale"]])
        return Requantise(
            **fields,
            input_zero=given.quantity.zero,
            multiplier=int(multiplier[0]),
            shift=int(shift[0]),
            single_rounding=True,
        )

    return Simple((given,), given.layout, low, high, make=make)


def max_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """MaxPool: keeps the input's scale."""
    given = importer.image(operator)
    geometry, layout = _pool(importer, operator, given)
    return Simple(
        (given,), layout, make=lambda fields: MaxPool(**fields, **geometry), own=given.quantity
    )


def average_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """AveragePool: without counting the padding; a mean when over a whole image."""
    given = importer.image(operator)
    geometry, layout = _pool(importer, operator, given)
    padded = geometry["padding"] != ((0, 0), (0, 0))
    if padded and operator.attributes.get("count_include_pad", 0):
        importer.refuse(operator, "counts padding; set count_include_pad to 0")
    if not padded and layout.shape[:2] == (1, 1) and geometry["kernel"] == given.layout.shape[:2]:
        return _mean(given, layout)
    return Simple(
        (given,),
        layout,
        make=lambda fields: AveragePool(**fields, **geometry),
        own=given.quantity,
        average=True,
    )


def global_average_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """GlobalAveragePool."""
    given = importer.image(operator)
    return _mean(given, Layout((1, 1, given.layout.shape[2])))


def reduce_mean(importer: OnnxImporter, operator: Operator) -> Value:
    """ReduceMean: over height and width."""
    given = importer.activation(operator)
    axes = operator.attributes.get("axes")
    if importer.given(operator, 1):
        axes = importer.numbers(operator, 1, "axes").ravel().tolist()
    letters = {given.layout.order[int(axis) % 4 - 1] for axis in axes or () if int(axis) % 4}
    if given.layout.flat or letters != {"h", "w"} or len(axes or ()) != 2:
        importer.refuse(operator, f"is over the axes {axes}; only height and width are supported")
    keep = bool(operator.attributes.get("keepdims", 1))
    return _mean(given, Layout((1, 1, given.layout.shape[2]), given.layout.order, not keep))


def _pool(
    importer: OnnxImporter, operator: Operator, given: Activation
) -> tuple[dict[str, Any], Layout]:
    """Kernel, stride and padding of a pool, and the layout of its output."""
    height, width, channels = given.layout.shape
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


def _mean(given: Activation, layout: Layout) -> Pending:
    """The mean over height and width."""
    height, width, _ = given.layout.shape

    def make(fields: dict[str, Any]) -> Mean:
        real = given.quantity.scale / fields["output_scale"] / (height * width)
        multiplier, shift = quantise_multiplier([real])
        return Mean(
            **fields,
            input_zero=given.quantity.zero,
            multiplier=int(multiplier[0]),
            shift=int(shift[0]),
            single_rounding=True,
        )

    return Simple((given,), layout, make=make)


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
