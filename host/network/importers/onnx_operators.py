"""Each ONNX operator that is known: what it makes of its inputs."""

import math
from collections.abc import Callable
from typing import Any

from dscim.host.network import Add, Requantise, Softmax
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_layouts import flatten, pad, reshape, transpose
from dscim.host.network.importers.onnx_pools import (
    average_pool,
    global_average_pool,
    max_pool,
    reduce_mean,
)
from dscim.host.network.importers.onnx_products import batch_normalization, biased, conv, gemm
from dscim.host.network.importers.onnx_values import Pending, Product, Simple, Value
from dscim.host.network.importers.onnx_walk import Walk, finite
from dscim.host.network.scaling import add_factors, quantise_multiplier, softmax_table


def add(walk: Walk, operator: Operator) -> Value:
    """Add of two activations, or of a bias to a product that is not quantised yet."""
    for mine, other in ((0, 1), (1, 0)):
        value = walk.value(operator, mine)
        if isinstance(value, Product):
            return biased(walk, operator, value, walk.numbers(operator, other, "summand"))
    first, second = walk.activation(operator), walk.activation(operator, 1)
    if first.layout != second.layout:
        walk.refuse(
            operator,
            f"adds tensors of {first.layout.shape} and {second.layout.shape}; "
            "broadcasting is not known",
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


def relu(walk: Walk, operator: Operator) -> Value:
    """Relu: bounded by 0."""
    return _bounded(walk, operator, 0.0, None)


def clip(walk: Walk, operator: Operator) -> Value:
    """Clip: bounded by constants."""
    bounds = []
    for position, name in ((1, "min"), (2, "max")):
        value = operator.attributes.get(name)
        if walk.given(operator, position):
            numbers = walk.numbers(operator, position, name)
            value = float(numbers.ravel()[0]) if numbers.size == 1 else math.nan
        bounds.append(finite(value))
    return _bounded(walk, operator, bounds[0], bounds[1])


def softmax(walk: Walk, operator: Operator) -> Value:
    """Softmax over the channels of one position."""
    given = walk.activation(operator)
    axis = int(operator.attributes.get("axis", -1))
    if given.layout.shape[:2] != (1, 1) or axis not in (1, -1):
        walk.refuse(
            operator,
            f"is over axis {axis} of {given.layout.shape}; only the channels of "
            "one position are known",
        )
    table = softmax_table(given.quantity.scale)
    return Simple((given,), given.layout, make=lambda fields: Softmax(**fields, table=table))


def same(walk: Walk, operator: Operator) -> Value:
    """Identity, and Dropout, which does nothing after training."""
    return walk.value(operator, 0)


def _bounded(walk: Walk, operator: Operator, low: float | None, high: float | None) -> Value:
    """What is pending, with bounds; of an activation, a requantisation with bounds."""
    if any(bound is not None and math.isnan(bound) for bound in (low, high)):
        walk.refuse(operator, "has bounds that are no numbers")
    value = walk.value(operator, 0)
    if isinstance(value, Pending):
        return value.bounded(low, high)
    given = walk.activation(operator)

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


OPERATORS: dict[str, Callable[[Walk, Operator], Value]] = {
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
"""The operators by their names, beside QuantizeLinear and DequantizeLinear."""
