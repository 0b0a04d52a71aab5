"""The ONNX QDQ graph on its way into a draft: tensors by name, and what quantises them."""

import math
from typing import Any, NoReturn

import numpy as np

from dscim.host.errors import UserError
from dscim.host.importers.draft import Draft, at
from dscim.host.importers.onnx_file import Array, Graph, Operator
from dscim.host.importers.onnx_values import (
    Activation,
    Constant,
    Fixed,
    Layout,
    Pending,
    Value,
)
from dscim.host.importers.scales import Quantity, clamp
from dscim.host.network import INPUT, AveragePool, Requantise
from dscim.host.network.scaling import quantise_multiplier


class Walk:
    """The graph of a file and its tensors so far.

    values: by the tensor's name. draft: the network so far; None before its input is known.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {name: Constant(values) for name, values in
                                         graph.constants.items()}
        self.start: tuple[str, Layout] | None = None
        self.draft: Draft | None = None
        self.quantised: set[str] = set()
        self.notes: list[str] = []

    def refuse(self, operator: Operator, why: str) -> NoReturn:
        """Raises UserError with the operator's place."""
        raise UserError(f"{operator.place} {why}.")

    def value(self, operator: Operator, position: int, what: str = "input") -> Value:
        """Input `position`; UserError where it is left out or nothing makes it."""
        name = operator.inputs[position] if position < len(operator.inputs) else ""
        if name not in self.values:
            self.refuse(operator, f"has no {what}" if not name else
                        f"takes {name!r}, which nothing before it makes in integers")
        return self.values[name]

    def given(self, operator: Operator, position: int) -> bool:
        """True where the optional input `position` is there."""
        return position < len(operator.inputs) and bool(operator.inputs[position])

    def activation(self, operator: Operator, position: int = 0) -> Activation:
        """Input `position` as the integers of a node."""
        value = self.value(operator, position)
        if isinstance(value, Activation):
            return value
        if isinstance(value, Pending):
            self.refuse(operator, f"takes {operator.inputs[position]!r} in real numbers; "
                                  "quantise with a QuantizeLinear and a DequantizeLinear between")
        self.refuse(operator, f"takes the constant {operator.inputs[position]!r}, where an "
                              "activation is needed; fold constants before")

    def image(self, operator: Operator) -> Activation:
        """The first input, which must be an image N, C, H, W."""
        value = self.activation(operator)
        if value.layout.order != "chw" or value.layout.flat:
            self.refuse(operator, "takes a tensor that is no N, C, H, W; transpose it before")
        return value

    def numbers(self, operator: Operator, position: int, what: str) -> Array:
        """A constant input, quantised or not, as the numbers that it means."""
        value = self.value(operator, position, what)
        if isinstance(value, Constant):
            return value.values
        if isinstance(value, Fixed):
            return value.real()
        self.refuse(operator, f"has a {what} that is not a constant")

    def quantise(self, operator: Operator) -> None:
        """QuantizeLinear: what was pending becomes a node; a constant is quantised."""
        value = self.value(operator, 0) if self.start is None or \
            operator.inputs[0] != self.start[0] else None
        if isinstance(value, Constant | Fixed):
            self.values[operator.outputs[0]] = self._fixed(operator, self.numbers(
                operator, 0, "input"))
            return
        quantity = self.quantity(operator, *self._scale(operator))
        if value is None:
            self.begin(operator.outputs[0], quantity)
        elif isinstance(value, Activation):
            self.values[operator.outputs[0]] = self._rescaled(operator, value, quantity)
        else:
            self.values[operator.outputs[0]] = self.materialise(operator, value, quantity)
        self._named(operator)

    def dequantise(self, operator: Operator) -> None:
        """DequantizeLinear: the same integers, meant as real numbers."""
        if self.start is not None and operator.inputs[0] == self.start[0]:
            kind = np.dtype(self.graph.input[1].lower() if self.graph.input[1] in
                            ("INT8", "UINT8") else np.uint8)
            self.begin(operator.inputs[0], self.quantity(operator, *self._scale(operator, kind)))
        value = self.value(operator, 0)
        if isinstance(value, Activation):
            scale, zero = self._scale(operator)
            quantity = value.quantity if not self.given(operator, 2) and \
                scale[0] == value.quantity.scale else self.quantity(operator, scale, zero)
            if quantity != value.quantity:
                self.refuse(operator, f"reads integers of {value.quantity} as {quantity}")
        elif isinstance(value, Constant):
            scale, zero = self._scale(operator, value.values.dtype)
            integers = value.values
            if integers.dtype == np.uint8:
                integers = (integers ^ np.uint8(128)).view(np.int8)
            value = Fixed(integers, scale, zero, self._axis(operator, integers, scale))
        elif not isinstance(value, Fixed):
            self.refuse(operator, "takes real numbers")
        self.values[operator.outputs[0]] = value

    def begin(self, name: str, quantity: Quantity) -> None:
        """The network's input is known: tensor `name` with its quantity."""
        assert self.start is not None
        source, layout = self.start
        if self.draft is None:
            self.draft = Draft(layout.shape, quantity, name)
        elif self.draft.quantities[INPUT] != quantity:
            raise UserError(f"its input {source!r} is quantised in two ways; one is needed.")
        self.values[name] = Activation(INPUT, quantity, layout)

    def materialise(self, operator: Operator, value: Pending, quantity: Quantity) -> Activation:
        """The node that makes `value`, its output quantised."""
        assert self.draft is not None
        name = f"{operator.kind.lower()}_{operator.index}"
        fields = {"name": name, "inputs": tuple(given.name for given in value.inputs),
                  "output_zero": quantity.zero, "output_scale": quantity.scale,
                  "clamp": at(operator.place, lambda: clamp(quantity, value.low, value.high))}
        node = at(operator.place, lambda: value.node(fields))
        self.draft.add(node, value.layout.shape, operator.outputs[0])
        return Activation(name, quantity, value.layout)

    def quantity(self, operator: Operator, scale: Array, zero: Array) -> Quantity:
        """What one scale and zero point say; uint8 is shifted by 128."""
        if scale.size != 1:
            self.refuse(operator, f"has {scale.size} scales for an activation; one is needed")
        return at(operator.place, lambda: Quantity(float(scale.ravel()[0]),
                                                   int(zero.ravel()[0])))

    def _named(self, operator: Operator) -> None:
        """A node is known by the first quantiser that gives its integers."""
        value = self.values[operator.outputs[0]]
        assert self.draft is not None and isinstance(value, Activation)
        if value.name not in self.quantised:
            self.quantised.add(value.name)
            self.draft.sources[value.name] = operator.outputs[0]

    def _rescaled(self, operator: Operator, value: Activation, quantity: Quantity) -> Activation:
        """The same values by another scale and zero point; nothing where they are the same."""
        if quantity == value.quantity:
            return value
        assert self.draft is not None
        finer = value.quantity.scale / quantity.scale
        if finer >= 2 and any(node.name == value.name and isinstance(node, AveragePool)
                              for node in self.draft.nodes):
            self.refuse(operator, f"makes the scale of an average {finer:.3g} times finer after "
                                  "it is rounded; give it the scale of the pool's input")
        multiplier, shift = quantise_multiplier([finer])
        node = at(operator.place, lambda: Requantise(
            f"scale_{operator.index}", (value.name,), quantity.zero, quantity.scale,
            input_zero=value.quantity.zero, multiplier=int(multiplier[0]), shift=int(shift[0])))
        self.draft.add(node, value.layout.shape, operator.outputs[0])
        return Activation(node.name, quantity, value.layout)

    def _scale(self, operator: Operator, kind: Any = np.uint8) -> tuple[Array, Array]:
        """Scale and zero point of a Quantize- or DequantizeLinear, as for int8 or int32.

        kind: the type of the integers where no zero point tells it.
        """
        scale = self.numbers(operator, 1, "scale").astype(np.float32).astype(np.float64).ravel()
        zero = self.numbers(operator, 2, "zero point") if self.given(operator, 2) else \
            np.zeros(1, kind)
        if zero.dtype not in (np.int8, np.uint8, np.int32):
            self.refuse(operator, f"is of type {zero.dtype}; int8 and uint8 are known")
        if not (np.isfinite(scale).all() and (scale > 0).all() and zero.size in (1, scale.size)):
            self.refuse(operator, "has scales that are no numbers above 0, or other than its "
                                  "zero points")
        shifted = zero.astype(np.int64).ravel() - (128 if zero.dtype == np.uint8 else 0)
        return scale, np.broadcast_to(shifted, scale.shape)

    def _fixed(self, operator: Operator, values: Array) -> Fixed:
        """A constant as QuantizeLinear quantises it, to int8."""
        scale, zero = self._scale(operator)
        axis = self._axis(operator, values, scale)
        shape = [1] * values.ndim
        if scale.size > 1:
            shape[axis] = -1
        with np.errstate(all="ignore"):
            integers = np.rint(values / scale.reshape(shape)) + zero.reshape(shape)
        return Fixed(np.clip(np.nan_to_num(integers), -128, 127).astype(np.int8), scale, zero, axis)

    def _axis(self, operator: Operator, values: Array, scale: Array) -> int:
        """The axis of one scale an entry."""
        if scale.size == 1:
            return 0
        axis = int(operator.attributes.get("axis", 1)) % max(values.ndim, 1)
        if values.ndim == 0 or values.shape[axis] != scale.size:
            self.refuse(operator, f"has {scale.size} scales for axis {axis} of {values.shape}")
        return axis


def finite(value: float | None) -> float | None:
    """A bound, or None where it bounds nothing."""
    return None if value is None or not math.isfinite(value) or abs(value) > 1e30 else float(value)
