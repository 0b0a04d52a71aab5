"""The ONNX operators that work value by value, and fold into one table until they are quantised.

Between a DequantizeLinear and the next QuantizeLinear, any expression of one activation and
constants becomes a Lookup, and one of two activations a Combine. It is computed in single
precision, as onnxruntime does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dscim.arrays import Array, Float32, Int8, UInt8
from dscim.gateware.specs.base import require
from dscim.host.network import Add, Combine, Lookup, Node, Requantise
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter, finite
from dscim.host.network.importers.onnx_products import biased, normalised
from dscim.host.network.importers.onnx_values import (
    Activation,
    Constant,
    Fixed,
    Layout,
    Pending,
    Product,
    Simple,
    Value,
    plain_layout,
)
from dscim.host.network.importers.views import Dims
from dscim.host.network.lookup import LEVELS
from dscim.host.network.scaling import add_factors, quantise_factor

Unary = Callable[[Float32], Array]
Binary = Callable[[Float32, Float32], Array]
Expression = Callable[[list[Float32], list[Float32]], Float32]
"""The real result for real operands: the activations, then the constants."""

MAX_KINDS = LEVELS
"""The most different sets of constants in one expression."""


@dataclass(frozen=True)
class Elementwise(Pending):
    """An expression of one or two activations and constants.

    constants: real numbers, each of the layout's dimensions or sizes of 1. what: its operators.
    """

    expression: Expression = field(kw_only=True)
    constants: tuple[Float32, ...] = ()
    what: str = field(kw_only=True)

    def node(self, fields: dict[str, Any]) -> Node:
        """A Lookup or a Combine. SpecError for too many different constants."""
        operands = [_reals(value) for value in self.inputs]
        if len(operands) == 2:
            pair = [operands[0][:, None], operands[1][None]]
            held = [constant.reshape(1, 1) for constant in self.constants]
            made = self.expression(pair, held)
            table = _stored(np.broadcast_to(made, (LEVELS, LEVELS)), fields)
            return Combine(**fields, function=self.what, table=table)
        rows, which = self._rows(fields["name"])
        columns = [rows[:, index, None] for index in range(rows.shape[1])]
        made = self.expression([operands[0][None]], columns)
        table = _stored(np.broadcast_to(made, (len(rows), LEVELS)), fields)
        return Lookup(**fields, function=self.what, table=table, which=which)

    def _rows(self, name: str) -> tuple[Float32, UInt8]:
        """The different sets of constants, (n, constants), and the set of each position."""
        if not self.constants:
            return np.zeros((1, 0), np.float32), np.zeros((1, 1, 1), np.uint8)
        held = [_imaged(constant, self.layout) for constant in self.constants]
        shape = np.broadcast_shapes(*(each.shape for each in held))
        together = np.stack([np.broadcast_to(each, shape).ravel() for each in held], axis=1)
        rows, which = np.unique(together, axis=0, return_inverse=True)
        require(
            len(rows) <= MAX_KINDS,
            f"Node {name!r} combines a tensor with {len(rows)} different constants; the limit is "
            f"{MAX_KINDS}, so quantise the constant to 8 bits.",
        )
        return rows, which.astype(np.uint8).reshape(shape)


def binary(importer: OnnxImporter, operator: Operator) -> Value:
    """Add, Sub, Mul, Div, Max, Min, Pow: of activations and constants, broadcast."""
    function = BINARY[operator.kind]
    if len(operator.inputs) != 2:
        importer.refuse(operator, f"takes {len(operator.inputs)} tensors; two are supported")
    values = [importer.value(operator, position) for position in (0, 1)]
    if operator.kind == "Add":
        for mine, other in ((0, 1), (1, 0)):
            value = values[mine]
            if isinstance(value, Product):
                summand = importer.numbers(operator, other, "summand")
                return biased(importer, operator, value, summand)
        if all(isinstance(value, Activation) for value in values):
            first, second = (importer.activation(operator, position) for position in (0, 1))
            if first.layout == second.layout:
                return _sum(first, second)
    if all(isinstance(value, Constant | Fixed) for value in values):
        numbers = [importer.numbers(operator, i, "operand").astype(np.float32) for i in (0, 1)]
        return Constant(np.asarray(function(*numbers), np.float32))
    terms = [_term(importer, operator, position) for position in (0, 1)]
    return _joined(importer, operator, terms, function)


def batch_normalization(importer: OnnxImporter, operator: Operator) -> Value:
    """BatchNormalization: gain and offset of a product, or of an activation by a table."""
    value = importer.value(operator, 0)
    gain, shift, mean, variance = (
        importer.numbers(operator, position, "parameter").astype(np.float64).ravel()
        for position in range(1, 5)
    )
    if len({gain.shape, shift.shape, mean.shape, variance.shape}) != 1:
        importer.refuse(operator, "has parameters of different sizes")
    gain = gain / np.sqrt(variance + float(operator.attributes.get("epsilon", 1e-5)))
    offset = shift - mean * gain
    if not (np.isfinite(gain).all() and np.isfinite(offset).all()):
        importer.refuse(operator, "has parameters that are not numbers")
    if isinstance(value, Product):
        return normalised(importer, operator, value, gain, offset)
    term = _expression(importer, operator, 0)
    dims = term.layout.dims
    if len(dims) < 2 or dims[1] != gain.size:
        importer.refuse(operator, f"has {gain.size} parameters for the dimensions {dims}")
    shape = (1, gain.size, *(1,) * (len(dims) - 2))
    scale, bias = (each.astype(np.float32).reshape(shape) for each in (gain, offset))
    scaled = _joined(importer, operator, [term, scale], np.multiply)
    return _joined(importer, operator, [scaled, bias], np.add)


def prelu(importer: OnnxImporter, operator: Operator) -> Value:
    """PRelu: slopes below 0, broadcast."""
    terms = [_term(importer, operator, position) for position in (0, 1)]
    return _joined(importer, operator, terms, lambda x, slope: np.where(x < 0, x * slope, x))


def unary(importer: OnnxImporter, operator: Operator) -> Value:
    """Any function of one tensor."""
    function = UNARY[operator.kind](operator.attributes)
    value = _expression(importer, operator, 0)
    before = value.expression
    return replace(
        value,
        title="",
        what=f"{value.what} {operator.kind}".strip(),
        expression=lambda xs, cs: np.asarray(function(before(xs, cs)), np.float32),
    )


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


def _bounded(
    importer: OnnxImporter, operator: Operator, low: float | None, high: float | None
) -> Value:
    """A pending value with more bounds, or a Requantise of an activation with bounds."""
    if any(bound is not None and math.isnan(bound) for bound in (low, high)):
        importer.refuse(operator, "has bounds that are not numbers")
    value = importer.value(operator, 0)
    if isinstance(value, Elementwise):
        before = value.expression
        least = -np.inf if low is None else np.float32(low)
        most = np.inf if high is None else np.float32(high)
        return replace(
            value,
            expression=lambda xs, cs: np.minimum(np.maximum(before(xs, cs), least), most).astype(
                np.float32
            ),
        )
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


def _sum(first: Activation, second: Activation) -> Pending:
    """Two activations of one layout: an Add, which the device has."""

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


def _reals(value: Activation) -> Float32:
    """The real number of each int8, in single precision; (256,)."""
    steps = (np.arange(-128, 128) - value.quantity.zero).astype(np.float32)
    return steps * np.float32(value.quantity.scale)


def _stored(made: Float32, fields: dict[str, Any]) -> Int8:
    """Real numbers as QuantizeLinear stores them: ties to even, saturated."""
    with np.errstate(all="ignore"):
        steps = np.rint(made / np.float32(fields["output_scale"])) + fields["output_zero"]
    whole = np.nan_to_num(steps, nan=fields["output_zero"], posinf=1e9, neginf=-1e9)
    return np.clip(whole, *fields["clamp"]).astype(np.int8)


def _expression(importer: OnnxImporter, operator: Operator, position: int) -> Elementwise:
    """Input `position` as an expression of activations."""
    value = importer.value(operator, position)
    if isinstance(value, Elementwise):
        return value
    operand = importer.activation(operator, position)
    return Elementwise((operand,), operand.layout, expression=lambda xs, cs: xs[0], what="")


def _term(importer: OnnxImporter, operator: Operator, position: int) -> Elementwise | Float32:
    """Input `position`: a constant or an expression."""
    value = importer.value(operator, position)
    if isinstance(value, Constant | Fixed):
        numbers = importer.numbers(operator, position, "operand")
        if numbers.dtype.kind not in "fiu" or not np.isfinite(numbers).all():
            importer.refuse(operator, "has a constant that is not of numbers")
        return np.asarray(numbers, np.float32)
    return _expression(importer, operator, position)


def _joined(
    importer: OnnxImporter,
    operator: Operator,
    terms: list[Elementwise | Float32],
    function: Binary,
) -> Elementwise:
    """The function of two terms, at least one of which is an expression."""
    found = [term for term in terms if isinstance(term, Elementwise)]
    own = [term for term in terms if not isinstance(term, Elementwise)]
    if not found:
        importer.refuse(operator, "takes constants only; fold them first")
    shapes = [term.layout.dims for term in found] + [term.shape for term in own]
    dims = np.broadcast_shapes(*shapes)
    if math.prod(dims[: len(dims) - 3]) != 1 and any(each.shape[:1] == dims[:1] for each in own):
        importer.refuse(operator, f"makes a tensor of {dims}, which is not one image")
    own = [term.reshape((1,) * (len(dims) - term.ndim) + term.shape) for term in own]
    scalars = all(each.size == 1 for each in (*own, *(c for term in found for c in term.constants)))
    found = _aligned(importer, operator, found, dims, scalars)
    names = list(dict.fromkeys(value.name for term in found for value in term.inputs))
    if len(names) > 2 or (len(names) == 2 and not scalars):
        importer.refuse(
            operator,
            f"combines {len(names)} activations"
            + ("" if scalars else " and a constant of several values")
            + "; quantise the result of the first two",
        )
    unique = {value.name: value for term in found for value in term.inputs}
    parts, place = [], 0
    waiting = iter(found)
    for term in terms:
        if isinstance(term, Elementwise):
            aligned = next(waiting)
            parts.append(_part(aligned, names, place))
            place += len(aligned.constants)
        else:
            parts.append(lambda xs, cs: cs[-1])
    first, second = parts
    return Elementwise(
        tuple(unique[name] for name in names),
        found[0].layout if len(found) == 1 else _widest(found, dims),
        expression=lambda xs, cs: np.asarray(function(first(xs, cs), second(xs, cs)), np.float32),
        constants=(*(each for term in found for each in term.constants), *own),
        what=" ".join(filter(None, [*(term.what for term in found), operator.kind])),
    )


def _part(term: Elementwise, names: list[str], place: int) -> Expression:
    """The term's expression for the operands of a larger one."""
    chosen = [names.index(value.name) for value in term.inputs]
    count, inner = len(term.constants), term.expression
    return lambda xs, cs: inner([xs[i] for i in chosen], cs[place : place + count])


def _aligned(
    importer: OnnxImporter,
    operator: Operator,
    terms: list[Elementwise],
    dims: Dims,
    scalars: bool,
) -> list[Elementwise]:
    """The terms in layouts that broadcast with each other, and with constants, to `dims`."""
    layouts = [term.layout for term in terms]
    if all(layout == layouts[0] and layout.dims == dims for layout in layouts) and scalars:
        return terms
    alike = len({layout.order for layout in layouts}) == 1
    if alike and len(dims) == 4 and dims[0] == 1 and all(each.direct for each in layouts):
        wide = _ordered(dims, layouts[0].order)
        return [replace(term, layout=wide) for term in terms] if len(terms) == 1 else terms
    if any(constant.size != 1 for term in terms for constant in term.constants):
        importer.refuse(
            operator, "broadcasts a tensor that is not quantised yet; quantise it first"
        )
    made = []
    for term in terms:
        inputs = tuple(_moved(importer, operator, value, dims) for value in term.inputs)
        layout = plain_layout(dims) if len(terms) == 1 else inputs[0].layout
        constants = tuple(each.reshape((1,) * len(dims)) for each in term.constants)
        made.append(replace(term, inputs=inputs, layout=layout, constants=constants))
    return made


def _widest(terms: list[Elementwise], dims: Dims) -> Layout:
    """The layout of the result of terms that broadcast with each other."""
    first = terms[0].layout
    if first.dims == dims:
        return first
    return _ordered(dims, first.order) if first.direct else plain_layout(dims)


def _ordered(dims: Dims, order: str) -> Layout:
    """The layout of a tensor of 4 dimensions in an order."""
    height, width, channels = (dims[1 + order.index(letter)] for letter in "hwc")
    return Layout((height, width, channels), order, dims)


def _imaged(constant: Float32, layout: Layout) -> Float32:
    """A constant of the layout's dimensions, or sizes of 1, as an image of its nodes."""
    if constant.size == 1:
        return constant.reshape(1, 1, 1)
    if layout.direct:
        order = layout.order
        return constant[0].transpose([order.index(letter) for letter in "hwc"])
    width, channels = (1, 1, *constant.shape)[-2:]
    leading = constant.shape[:-2]
    if math.prod(leading) != 1:
        constant = np.broadcast_to(constant, (*layout.dims[:-2], width, channels))
    return constant.reshape(-1, width, channels)


def _moved(importer: OnnxImporter, operator: Operator, value: Activation, dims: Dims) -> Activation:
    """The activation in plain order with as many dimensions as `dims`."""
    held = importer.plain(operator, value)
    full = (1,) * (len(dims) - len(held.layout.dims)) + held.layout.dims
    leading = [(a, b) for a, b in zip(full[:-2], dims[:-2], strict=True) if (a, b) != (1, 1)]
    if len(leading) > 1 and any(a != b for a, b in leading) and not all(a == 1 for a, _ in leading):
        importer.refuse(
            operator,
            f"combines tensors of {full} to {dims}; only a broadcast of the last three dimensions "
            "is supported",
        )
    return replace(held, layout=plain_layout(full))


def _gelu(attributes: dict[str, Any]) -> Unary:
    error = np.vectorize(math.erf, otypes=[np.float64])
    if attributes.get("approximate", b"none") == b"tanh":
        return lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    return lambda x: 0.5 * x * (1 + error(x / math.sqrt(2)))


def _sloped(attributes: dict[str, Any], name: str, default: float) -> np.float32:
    return np.float32(attributes.get(name, default))


BINARY: dict[str, Binary] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Pow": np.power,
}
"""The functions of two tensors."""

UNARY: dict[str, Callable[[dict[str, Any]], Unary]] = {
    "Sigmoid": lambda a: lambda x: 1 / (1 + np.exp(-x.astype(np.float64))),
    "Tanh": lambda a: np.tanh,
    "HardSigmoid": lambda a: (
        lambda x: np.clip(_sloped(a, "alpha", 0.2) * x + _sloped(a, "beta", 0.5), 0, 1)
    ),
    "HardSwish": lambda a: lambda x: x * np.clip(x / np.float32(6) + np.float32(0.5), 0, 1),
    "LeakyRelu": lambda a: lambda x: np.where(x < 0, x * _sloped(a, "alpha", 0.01), x),
    "Elu": lambda a: lambda x: np.where(x < 0, _sloped(a, "alpha", 1) * np.expm1(x), x),
    "Exp": lambda a: np.exp,
    "Log": lambda a: np.log,
    "Sqrt": lambda a: np.sqrt,
    "Reciprocal": lambda a: lambda x: 1 / x,
    "Abs": lambda a: np.abs,
    "Neg": lambda a: np.negative,
    "Erf": lambda a: np.vectorize(math.erf, otypes=[np.float64]),
    "Gelu": _gelu,
    "Softplus": lambda a: lambda x: np.log1p(np.exp(x.astype(np.float64))),
    "Softsign": lambda a: lambda x: x / (1 + np.abs(x)),
    "Mish": lambda a: lambda x: x * np.tanh(np.log1p(np.exp(x.astype(np.float64)))),
}
"""The functions of one tensor, for an operator's attributes."""
