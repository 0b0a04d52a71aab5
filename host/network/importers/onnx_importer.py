"""Imports an ONNX graph into a draft: tensors by name, their quantisation, and their layouts."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from dscim.arrays import Array
from dscim.errors import UserError
from dscim.host.network import INPUT, Requantise
from dscim.host.network.importers.draft import Draft, Origin, at
from dscim.host.network.importers.onnx_file import Graph, Operator
from dscim.host.network.importers.onnx_values import (
    Activation,
    Average,
    Constant,
    Fixed,
    Layout,
    Pending,
    Value,
    image_layout,
    plain_layout,
)
from dscim.host.network.importers.scales import Quantity, clamp
from dscim.host.network.importers.views import Dims, folded, reshaped, transposed
from dscim.host.network.scaling import quantise_factor


class OnnxImporter:
    """Reads the graph of a file operator by operator.

    values: the tensors so far, by name. draft: the network so far; None before its input is known.
    start: the name and layout of the input, which is real numbers until it is quantised.
    quantised: the nodes that have the tensor name of a quantiser. notes: as in Imported.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {}
        self.start: tuple[str, Layout] | None = None
        self.draft: Draft | None = None
        self.quantised: set[str] = set()
        self.notes: list[str] = []

    @property
    def constants(self) -> Mapping[str, Array]:
        """The file's constants by name."""
        return self.graph.constants

    @property
    def network(self) -> Draft:
        """The draft, once the input is quantised."""
        assert self.draft is not None
        return self.draft

    def refuse(self, operator: Operator, why: str) -> NoReturn:
        """Raises UserError: the operator's place, then `why`."""
        raise UserError(f"{operator.place} {why}.")

    def value(self, operator: Operator, position: int, what: str = "input") -> Value:
        """Input `position`; UserError if it is absent or not computed so far."""
        name = operator.inputs[position] if position < len(operator.inputs) else ""
        if name in self.values:
            return self.values[name]
        if name and name in self.constants:
            return Constant(self.constants[name])
        self.refuse(
            operator,
            f"has no {what}"
            if not name
            else f"takes {name!r}, which no operator before it computes as integers",
        )

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
        """The first input as an image (1, C, H, W) or (1, C, W); its values move if needed."""
        value = self.activation(operator)
        dims = value.layout.dims
        if len(dims) not in (3, 4) or dims[0] != 1:
            self.refuse(
                operator,
                f"takes {operator.inputs[0]!r} of the dimensions {dims}; an image (1, channels, "
                "height, width) is needed",
            )
        layout = image_layout(dims)
        if value.layout.shape == layout.shape and value.layout.letters == layout.letters:
            return replace(value, layout=layout)
        value = self.plain(operator, value)
        sizes = layout.shape[2], layout.shape[0], layout.shape[1]
        name = transposed(
            self.network,
            f"{value.name}_image_{operator.index}",
            value.name,
            sizes,
            (1, 2, 0),
            layout.shape,
            operator.place,
        )
        return replace(value, name=name, layout=layout)

    def plain(self, operator: Operator, value: Activation) -> Activation:
        """The activation with its values in the order of the file's tensor."""
        layout = plain_layout(value.layout.dims)
        title, shape = f"{value.name}_plain_{operator.index}", layout.shape
        if value.layout.plain:
            name = reshaped(self.network, title, value.name, shape, operator.place)
        else:
            order = tuple("hwc".index(letter) for letter in value.layout.order)
            name = transposed(
                self.network, title, value.name, value.layout.shape, order, shape, operator.place
            )
        return replace(value, name=name, layout=layout)

    def viewed(self, operator: Operator, value: Activation, shape: Dims) -> Activation:
        """A plain activation, seen in another shape of three sizes; its layout is that shape."""
        assert value.layout.plain and len(shape) == 3
        title = f"{value.name}_view_{operator.index}"
        name = reshaped(self.network, title, value.name, folded(shape), operator.place)
        return replace(value, name=name, layout=plain_layout(shape))

    def axes(self, operator: Operator, values: list[int], rank: int) -> list[int]:
        """Axes counted from either end, as axes from 0 on."""
        for axis in values:
            if not -rank <= axis < rank:
                self.refuse(operator, f"has the axis {axis}, outside {-rank}..{rank - 1}")
        return [axis % rank for axis in values]

    def numbers(self, operator: Operator, position: int, what: str) -> Array:
        """A constant input, quantised or not, as real numbers."""
        value = self.value(operator, position, what)
        if isinstance(value, Constant):
            return value.values
        if isinstance(value, Fixed):
            return value.real()
        self.refuse(operator, f"has a {what} that is not a constant")

    def integers(self, operator: Operator, position: int, name: str) -> list[int] | None:
        """Integers in an input, or in older opsets in the attribute `name`; None if absent."""
        if self.has_input(operator, position):
            return [int(each) for each in self.numbers(operator, position, name).ravel()[:64]]
        found = operator.attributes.get(name)
        return None if found is None else [int(each) for each in found][:64]

    def is_start(self, operator: Operator) -> bool:
        """Whether the operator reads the file's input directly."""
        return self.start is not None and operator.inputs[0] == self.start[0]

    def begin(self, name: str, quantity: Quantity, stored: str) -> None:
        """Sets the network's input: the tensor `name` with its quantity."""
        assert self.start is not None
        source, layout = self.start
        if self.draft is None:
            self.draft = Draft(layout.shape, quantity, Origin(name, order=layout.order))
        elif self.draft.quantities[INPUT] != quantity:
            raise UserError(
                f"its input {source!r} is quantised in two ways; only one is supported."
            )
        self.values[name] = Activation(INPUT, quantity, layout, stored)

    def name_tensor(self, value: Activation, source: str) -> None:
        """Sets the tensor name of a node, once: `source`, the output of its first quantiser."""
        if value.name not in self.quantised:
            self.quantised.add(value.name)
            self.network.sources[value.name] = Origin(source, order=value.layout.order)

    def materialise(
        self, operator: Operator, value: Pending, quantity: Quantity, stored: str
    ) -> Activation:
        """Adds the node that computes `value`, with a quantised output."""
        if isinstance(value, Average) and quantity != value.own:
            return self._requantised(operator, value, quantity, stored)
        taken = value.title in self.network.shapes  # another quantiser of the same value
        name = f"{value.title}_{operator.index}" if taken else value.title
        fields = {
            "name": name,
            "inputs": tuple(operand.name for operand in value.inputs),
            "output_zero": quantity.zero,
            "output_scale": quantity.scale,
            "clamp": at(operator.place, lambda: clamp(quantity, value.low, value.high)),
        }
        node = at(operator.place, lambda: value.node(fields))
        origin = Origin(operator.outputs[0], order=value.layout.order)
        self.network.add(node, value.layout.shape, origin, operator.place)
        return Activation(name, quantity, value.layout, stored)

    def _requantised(
        self, operator: Operator, value: Average, quantity: Quantity, stored: str
    ) -> Activation:
        """An average at the input's scale, then at that of `quantity`, with the bounds."""
        assert value.own is not None
        finer = value.own.scale / quantity.scale
        if finer >= 2:
            bounds = at(operator.place, lambda: clamp(quantity, value.low, value.high))
            name = f"{value.title}_{operator.index}"
            node = value.unrounded(quantity, bounds, name)
            if node is None:
                self.refuse(
                    operator,
                    f"makes the scale of an average with padding {finer:.3g} times finer after it "
                    "is rounded; use the scale of the pool's input",
                )
            origin = Origin(operator.outputs[0], order=value.layout.order)
            self.network.add(node, value.layout.shape, origin, operator.place)
            return Activation(node.name, quantity, value.layout, stored)
        free = replace(value, low=None, high=None)
        before = self.materialise(operator, free, value.own, stored)
        multiplier, shift = quantise_factor(finer)
        node = Requantise(
            f"{before.name}_scale_{operator.index}",
            (before.name,),
            quantity.zero,
            quantity.scale,
            at(operator.place, lambda: clamp(quantity, value.low, value.high)),
            input_zero=before.quantity.zero,
            multiplier=multiplier,
            shift=shift,
            single_rounding=True,
        )
        del self.network.sources[before.name]
        origin = Origin(operator.outputs[0], order=value.layout.order)
        self.network.add(node, value.layout.shape, origin, operator.place)
        return Activation(node.name, quantity, value.layout, stored)


def finite(value: float | None) -> float | None:
    """A bound of an activation; None if it has no effect."""
    return None if value is None or not math.isfinite(value) or abs(value) > 1e30 else float(value)
