"""The TensorFlow Lite operators that work value by value: sums, products, activations."""

import math
from collections.abc import Callable

import numpy as np
import tflite

from dscim.arrays import Int8, Int64
from dscim.host.network import Add, Combine, Lookup, Requantise
from dscim.host.network.importers import integers
from dscim.host.network.importers.integers import VALUES, Binary, saturated
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.importers.tflite_file import Operator
from dscim.host.network.importers.tflite_importer import TfliteImporter
from dscim.host.network.importers.views import Dims, folded, reshaped
from dscim.host.network.lookup import LEVELS
from dscim.host.network.node import Pair
from dscim.host.network.scaling import add_factors, quantise_factor


def add(importer: TfliteImporter, operator: Operator) -> None:
    """ADD: on the device if two activations have the same shape; else by a table."""
    activation = _activation(operator, tflite.AddOptions)
    constant = any(importer.is_constant(operator, position) for position in (0, 1))
    if not constant:
        fields = importer.fields(operator, activation, 2)
        shapes = [importer.draft.shapes[name] for name in fields["inputs"]]
        if shapes[0] == shapes[1]:
            first, second = (importer.draft.quantities[name] for name in fields["inputs"])
            factors = add_factors(first.scale, second.scale, fields["output_scale"])
            importer.add(
                operator,
                Add(
                    **fields,
                    input_zeros=(first.zero, second.zero),
                    multipliers=factors[0],
                    shifts=factors[1],
                ),
            )
            return
    _binary(importer, operator, activation, integers.sum_of)


def subtract(importer: TfliteImporter, operator: Operator) -> None:
    """SUB: by a table."""

    def function(first: Quantity, second: Quantity, output: Quantity) -> Binary:
        return integers.sum_of(first, second, output, -1)

    _binary(importer, operator, _activation(operator, tflite.SubOptions), function)


def multiply(importer: TfliteImporter, operator: Operator) -> None:
    """MUL: by a table."""
    _binary(importer, operator, _activation(operator, tflite.MulOptions), integers.product_of)


def extreme(importer: TfliteImporter, operator: Operator) -> None:
    """MAXIMUM and MINIMUM of two tensors of one scale."""
    choose = np.maximum if operator.name == "MAXIMUM" else np.minimum

    def function(first: Quantity, second: Quantity, output: Quantity) -> Binary:
        if not first == second == output:
            importer.refuse(operator, "compares tensors of different scales or zero points")
        return choose

    _binary(importer, operator, 0, function)


def prelu(importer: TfliteImporter, operator: Operator) -> None:
    """PRELU: with constant slopes, broadcast with the input."""
    if not importer.is_constant(operator, 1):
        importer.refuse(operator, "has slopes that are not constant")
    _binary(importer, operator, 0, integers.prelu)


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


def function(importer: TfliteImporter, operator: Operator) -> None:
    """LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU: a table of 256 entries."""
    fields = importer.fields(operator)
    before = importer.draft.quantities[fields["inputs"][0]]
    after = importer.output(operator)[1]
    fixed = FIXED.get(operator.name)
    if fixed is not None and (after.scale, after.zero) != fixed:
        importer.refuse(
            operator,
            f"has the output scale {after.scale:.6g} and zero point {after.zero}; LiteRT's kernel "
            f"needs {fixed[0]:.6g} and {fixed[1]}",
        )
    if operator.name == "HARD_SWISH" and not integers.hard_swish_fits(before, after):
        importer.refuse(
            operator,
            f"has the output scale {after.scale:.6g}, which LiteRT's kernel does not take with the "
            f"input scale {before.scale:.6g}",
        )
    made = FUNCTIONS[operator.name](operator, before, after)
    importer.add(
        operator,
        Lookup(
            **fields,
            function=operator.name,
            table=saturated(made, fields["clamp"])[None],
            which=np.zeros((1, 1, 1), np.uint8),
        ),
    )


FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
"""The scale and the zero point that the kernels of some functions demand."""


def _leaky(operator: Operator, before: Quantity, after: Quantity) -> Int64:
    return integers.leaky(before, float(operator.options(tflite.LeakyReluOptions).Alpha()), after)


FUNCTIONS: dict[str, Callable[[Operator, Quantity, Quantity], Int64]] = {
    "LOGISTIC": lambda _, before, after: integers.real_function(before, after, integers.logistic),
    "TANH": lambda _, before, after: integers.real_function(before, after, math.tanh),
    "HARD_SWISH": lambda _, before, after: integers.hard_swish(before, after),
    "LEAKY_RELU": _leaky,
}
"""The table of each function, before saturation, for the quantities of input and output."""


def _activation(operator: Operator, kind: type) -> int:
    """The fused activation function; 0 for a file without options."""
    if operator.table is None:
        return 0
    return int(operator.options(kind).FusedActivationFunction())


def _binary(
    importer: TfliteImporter,
    operator: Operator,
    kind: int,
    make: Callable[[Quantity, Quantity, Quantity], Binary],
) -> None:
    """A Combine of two activations, or a Lookup of one and a constant; both are broadcast."""
    fields, after = importer.made(operator, kind), importer.output(operator)[1]
    constant = [importer.is_constant(operator, position) for position in (0, 1)]
    if all(constant):
        importer.refuse(operator, "takes two constants; fold them into one")
    dims = [_dims(importer, operator, position) for position in (0, 1)]
    sources = [
        None if fixed else importer.source(operator, position)
        for position, fixed in enumerate(constant)
    ]
    held = [
        importer.quantised(operator, position) if fixed else None
        for position, fixed in enumerate(constant)
    ]
    before = [
        importer.draft.quantities[source] if source is not None else held[position][1]  # type: ignore[index]
        for position, source in enumerate(sources)
    ]
    table = make(before[0], before[1], after)
    if not any(constant):
        names = tuple(
            _broadcastable(
                importer, operator, f"{fields['name']}_{position}", source, dims, position
            )
            for position, source in enumerate(sources)
            if source is not None
        )
        made = saturated(table(VALUES[:, None], VALUES[None]), fields["clamp"])
        importer.add(operator, Combine(**fields, inputs=names, function=operator.name, table=made))
        return
    position = constant.index(False)
    rows, which = _rows(held[1 - position][0], table, position, fields["clamp"])  # type: ignore[index]
    source = _broadcastable(
        importer, operator, f"{fields['name']}_input", str(sources[position]), dims, position
    )
    shape = _image(importer, operator, dims[1 - position], dims[position])
    importer.add(
        operator,
        Lookup(
            **fields,
            inputs=(source,),
            function=operator.name,
            table=rows,
            which=which.reshape(shape),
        ),
    )


def _rows(values: Int64, table: Binary, position: int, clamp: Pair) -> tuple[Int8, np.ndarray]:
    """A table with a row for each value of a constant, and the row of each of its entries.

    position: that of the activation among the operands.
    """
    known, which = np.unique(values, return_inverse=True)
    operands = (VALUES[None], known[:, None]) if position == 0 else (known[:, None], VALUES[None])
    made = np.broadcast_to(table(*operands), (len(known), LEVELS))
    return saturated(made, clamp), which.astype(np.uint8)


def _dims(importer: TfliteImporter, operator: Operator, position: int) -> Dims:
    """The dimensions of an operand; a constant may lack the batch."""
    tensor = importer.tensor(operator, position)
    if tensor.values is None:
        return importer.dims(operator, tensor)
    if importer.batch > 1 and len(tensor.shape) == len(importer.output(operator)[0].shape):
        if tensor.shape[0] != 1:
            importer.refuse(
                operator, f"has the constant {tensor.name!r}, which differs from image to image"
            )
        return tensor.shape[1:]
    return tensor.shape


def _broadcastable(
    importer: TfliteImporter,
    operator: Operator,
    name: str,
    source: str,
    dims: list[Dims],
    position: int,
) -> str:
    """The activation in a shape that broadcasts with the other operand."""
    shape = _image(importer, operator, dims[position], dims[1 - position])
    return reshaped(importer.draft, name, source, shape, importer.place(operator))


def _image(
    importer: TfliteImporter, operator: Operator, dims: Dims, other: Dims
) -> tuple[int, int, int]:
    """The image of `dims`, of as many dimensions as `other`."""
    rank = max(len(dims), len(other), 3)
    mine, theirs = ((1,) * (rank - len(each)) + each for each in (dims, other))
    leading = [(a, b) for a, b in zip(mine[:-2], theirs[:-2], strict=True) if (a, b) != (1, 1)]
    mixed = len(leading) > 1 and any(a != b for a, b in leading)
    if mixed and not (all(a == 1 for a, _ in leading) or all(b == 1 for _, b in leading)):
        importer.refuse(
            operator,
            f"combines tensors of {mine} and {theirs}; only a broadcast of the last three "
            "dimensions is supported",
        )
    return folded(mine)
