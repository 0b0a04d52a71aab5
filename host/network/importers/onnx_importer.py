"""Imports an ONNX QDQ graph into a draft: tensors by name, and their quantisation."""

import math
from typing import NoReturn

from dscim.arrays import Array
from dscim.errors import UserError
from dscim.host.network import INPUT
from dscim.host.network.importers.draft import Draft, at
from dscim.host.network.importers.onnx_file import Graph, Operator
from dscim.host.network.importers.onnx_values import (
    Activation,
    Constant,
    Fixed,
    Layout,
    Pending,
    Simple,
    Value,
)
from dscim.host.network.importers.scales import Quantity, clamp


class OnnxImporter:
    """Reads the graph of a file operator by operator.

    values: the tensors so far, by name. draft: the network so far; None before its input is known.
    start: the name and layout of the input, which is real numbers until it is quantised.
    quantised: the nodes that have the tensor name of a quantiser.
    averages: the nodes whose integers are rounded averages. notes: as in Imported.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {
            name: Constant(values) for name, values in graph.constants.items()
        }
        self.start: tuple[str, Layout] | None = None
        self.draft: Draft | None = None
        self.quantised: set[str] = set()
        self.averages: set[str] = set()
        self.notes: list[str] = []

    def refuse(self, operator: Operator, why: str) -> NoReturn:
        """Raises UserError: the operator's place, then `why`."""
        raise UserError(f"{operator.place} {why}.")

    def value(self, operator: Operator, position: int, what: str = "input") -> Value:
        """Input `position`; UserError if it is absent or not computed so far."""
        name = operator.inputs[position] if position < len(operator.inputs) else ""
        if name not in self.values:
            self.refuse(
                operator,
                f"has no {what}"
                if not name
                else f"takes {name!r}, which no operator before it computes as integers",
            )
        return self.values[name]

    def has_input(self, operator: Operator, position: int) -> bool:
        """Whether the optional input `position` is present."""
        return position < len(operator.inputs) and bool(operator.inputs[position])

    def activation(self, operator: Operator, position: int = 0) -> Activation:
        """Input `position` as the integers of a node."""
        value = self.value(operator, position)
        if isinstance(value, Activation):
            return value
        if isinstance(value, Pending):
            self.refuse(
                operator,
                f"takes {operator.inputs[position]!r} in real numbers; "
                "put a QuantizeLinear and a DequantizeLinear in between",
            )
        self.refuse(
            operator,
            f"takes the constant {operator.inputs[position]!r} where an "
            "activation is needed; fold constants first",
        )

    def image(self, operator: Operator) -> Activation:
        """The first input, which must be an image N, C, H, W."""
        value = self.activation(operator)
        if value.layout.order != "chw" or value.layout.flat:
            self.refuse(operator, "takes a tensor that is not N, C, H, W; transpose it first")
        return value

    def numbers(self, operator: Operator, position: int, what: str) -> Array:
        """A constant input, quantised or not, as real numbers."""
        value = self.value(operator, position, what)
        if isinstance(value, Constant):
            return value.values
        if isinstance(value, Fixed):
            return value.real()
        self.refuse(operator, f"has a {what} that is not a constant")

    def is_start(self, operator: Operator) -> bool:
        """Whether the operator reads the file's input directly."""
        return self.start is not None and operator.inputs[0] == self.start[0]

    def begin(self, name: str, quantity: Quantity) -> None:
        """Sets the network's input: the tensor `name` with its quantity."""
        assert self.start is not None
        source, layout = self.start
        if self.draft is None:
            self.draft = Draft(layout.shape, quantity, name)
        elif self.draft.quantities[INPUT] != quantity:
            raise UserError(
                f"its input {source!r} is quantised in two ways; only one is supported."
            )
        self.values[name] = Activation(INPUT, quantity, layout)

    def name_tensor(self, value: Activation, source: str) -> None:
        """Sets the tensor name of a node, once: `source`, the output of its first quantiser."""
        assert self.draft is not None
        if value.name not in self.quantised:
            self.quantised.add(value.name)
            self.draft.sources[value.name] = source

    def materialise(self, operator: Operator, value: Pending, quantity: Quantity) -> Activation:
        """Adds the node that computes `value`, with a quantised output."""
        assert self.draft is not None
        taken = value.title in self.draft.shapes  # another quantiser of the same value
        name = f"{value.title}_{operator.index}" if taken else value.title
        fields = {
            "name": name,
            "inputs": tuple(operand.name for operand in value.inputs),
            "output_zero": quantity.zero,
            "output_scale": quantity.scale,
            "clamp": at(operator.place, lambda: clamp(quantity, value.low, value.high)),
        }
        node = at(operator.place, lambda: value.node(fields))
        self.draft.add(node, value.layout.shape, operator.outputs[0])
        if isinstance(value, Simple) and value.average:
            self.averages.add(name)
        return Activation(name, quantity, value.layout)


def finite(value: float | None) -> float | None:
    """A bound of an activation; None if it has no effect."""
    return None if value is None or not math.isfinite(value) or abs(value) > 1e30 else float(value)
