"""Imports a TensorFlow Lite graph into a draft: tensors as images, quantities, places."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import tflite

from dscim.arrays import Array, Int64
from dscim.errors import UserError
from dscim.host.network import Node, Reshape, Shape
from dscim.host.network.importers.draft import Draft, Origin, at
from dscim.host.network.importers.scales import Quantity, clamp
from dscim.host.network.importers.tflite_file import Graph, Operator, Tensor
from dscim.host.network.importers.views import MAX_DIMENSION, Dims, finished, folded
from dscim.host.network.node import Padding, same_padding

ACTIVATIONS: dict[int, tuple[float | None, float | None]] = {
    tflite.ActivationFunctionType.NONE: (None, None),
    tflite.ActivationFunctionType.RELU: (0, None),
    tflite.ActivationFunctionType.RELU6: (0, 6),
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1, 1),
}
"""The bounds of real values for each fused activation."""

INTEGERS = ("INT32", "INT64")
"""The types of axes, sizes and paddings."""

BYTES = ("INT8", "UINT8")
"""The types of activations; uint8 is shifted by 128."""


class TfliteImporter:
    """Reads the graph of a file operator by operator.

    draft: the network so far. batch: the first dimension of every activation, if it is not 1; an
    activation then has that dimension and `dims`. names: the node of each tensor, by its index.
    """

    def __init__(self, graph: Graph, draft: Draft, batch: int) -> None:
        self.graph, self.draft, self.batch = graph, draft, batch
        self.names: dict[int, str] = {}

    def place(self, operator: Operator) -> str:
        """The operator as the subject of a sentence."""
        known = [index for index in operator.outputs if index >= 0]
        made = self.graph.tensors[known[0]].name if known else ""
        return f"operator {operator.index} ({operator.name}, output {made!r})"

    def refuse(self, operator: Operator, why: str) -> NoReturn:
        """Raises UserError: the operator's place, then `why`."""
        raise UserError(f"{self.place(operator)} {why}.")

    def tensor(self, operator: Operator, position: int, what: str = "input") -> Tensor:
        """Input `position` of the operator; UserError if it is absent."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            self.refuse(operator, f"has no {what}")
        return self.graph.tensors[operator.inputs[position]]

    def constant(
        self, operator: Operator, position: int, what: str, kinds: Sequence[str] = ("INT32",)
    ) -> Tensor:
        """A constant input of one of the types `kinds`."""
        tensor = self.tensor(operator, position, what)
        if tensor.values is None or tensor.kind not in kinds:
            constant = "a constant" if tensor.values is not None else "not a constant"
            self.refuse(
                operator,
                f"has a {what} {tensor.name!r} that is {constant} of type "
                f"{tensor.kind}; a constant of type {' or '.join(kinds)} is "
                "needed",
            )
        return tensor

    def integers(self, operator: Operator, position: int, what: str) -> list[int]:
        """A constant list of at most 64 integers."""
        values = self.constant(operator, position, what, INTEGERS).values
        assert values is not None
        return [int(value) for value in values.ravel()[:64]]

    def is_constant(self, operator: Operator, position: int) -> bool:
        """Whether input `position` is a constant, not an activation."""
        return self.tensor(operator, position).values is not None

    def quantised(self, operator: Operator, position: int) -> tuple[Int64, Quantity]:
        """The integers and the quantity of a constant of 8 bits; uint8 is shifted by 128."""
        tensor = self.constant(operator, position, "operand", BYTES)
        assert tensor.values is not None
        values: Array = tensor.values.astype(np.int64)
        quantity = self.quantity(operator, tensor)
        return values - (128 if tensor.kind == "UINT8" else 0), quantity

    def source(self, operator: Operator, position: int = 0) -> str:
        """The node whose output is input `position`."""
        tensor = self.tensor(operator, position, "input")
        name = self.names.get(operator.inputs[position])
        if name is None:
            hint = (
                "fold the constant into a bias"
                if tensor.values is not None
                else "operators must come in order"
            )
            self.refuse(
                operator, f"takes {tensor.name!r}, which no operator before it computes ({hint})"
            )
        self.quantity(operator, tensor)
        return name

    def quantity(self, operator: Operator, tensor: Tensor) -> Quantity:
        """The scale and zero point of an activation; uint8 is shifted by 128."""
        if tensor.kind not in BYTES or len(tensor.scale) != 1:
            scales = f"{len(tensor.scale)} scales" if tensor.kind in BYTES else "no INT8"
            hint = (
                "16 bits do not fit the macro's 8 bits; convert with int8 activations"
                if tensor.kind == "INT16"
                else "convert the network to full-integer INT8 with one scale per activation"
            )
            self.refuse(
                operator,
                f"has the tensor {tensor.name!r} of type {tensor.kind} with {scales}; {hint}",
            )
        zero = int(tensor.zero[0]) - (128 if tensor.kind == "UINT8" else 0)
        return at(self.place(operator), lambda: Quantity(float(tensor.scale[0]), zero))

    def dims(self, operator: Operator, tensor: Tensor) -> Dims:
        """The dimensions of an activation; without the first one if it is a batch of several.

        Refuses a dimension of more than MAX_DIMENSION.
        """
        if max(tensor.shape, default=1) > MAX_DIMENSION:
            self.refuse(
                operator,
                f"has a tensor of shape {tensor.shape}; the limit of a dimension is "
                f"{MAX_DIMENSION}",
            )
        return activation_dims(self.place(operator), tensor, self.batch)

    def axis(self, operator: Operator, dims: Dims, axis: int) -> int:
        """An axis of a tensor in the file, counted from either end, as an axis of its `dims`."""
        rank = len(dims) + (self.batch > 1)
        place = (axis + rank if axis < 0 else axis) - (self.batch > 1)
        if not -rank <= axis < rank:
            self.refuse(operator, f"has the axis {axis}, outside {-rank}..{rank - 1}")
        if place < 0:
            self.refuse(operator, f"is along the batch of {self.batch}, which is not supported")
        return place

    def output(self, operator: Operator, position: int = 0) -> tuple[Tensor, Quantity, Shape]:
        """An output of the operator: tensor, quantity and shape."""
        if position >= len(operator.outputs) or operator.outputs[position] < 0:
            self.refuse(operator, f"has {len(operator.outputs)} outputs, and misses {position + 1}")
        tensor = self.graph.tensors[operator.outputs[position]]
        return tensor, self.quantity(operator, tensor), folded(self.dims(operator, tensor))

    def title(self, operator: Operator) -> str:
        """The name of the operator's node."""
        return f"{operator.name.lower()}_{operator.index}"

    def fields(self, operator: Operator, activation: int = 0, inputs: int = 1) -> dict[str, Any]:
        """Name, inputs, output quantity and clamp of the node for an operator."""
        return {
            **self.made(operator, activation),
            "inputs": tuple(self.source(operator, i) for i in range(inputs)),
        }

    def made(self, operator: Operator, activation: int = 0) -> dict[str, Any]:
        """The same without the inputs."""
        if len(operator.outputs) != 1:
            self.refuse(operator, f"has {len(operator.outputs)} outputs, not 1")
        _, quantity, _ = self.output(operator)
        if activation not in ACTIVATIONS:
            self.refuse(
                operator,
                f"has the fused activation {activation}, which is not supported; "
                "NONE, RELU, RELU6 and RELU_N1_TO_1 are supported",
            )
        bounds = at(self.place(operator), lambda: clamp(quantity, *ACTIVATIONS[activation]))
        return {
            "name": self.title(operator),
            "output_zero": quantity.zero,
            "output_scale": quantity.scale,
            "clamp": bounds,
        }

    def add(self, operator: Operator, node: Node, position: int = 0) -> None:
        """Adds the node that computes an output of the operator, with a Reshape if needed."""
        tensor, _, shape = self.output(operator, position)
        place, index = self.place(operator), operator.outputs[position]
        last, _ = at(place, lambda: finished(self.draft, node, shape, place))
        self.names[index] = self.draft.add(last, shape, Origin(tensor.name, index), place)

    def keep(self, operator: Operator, source: str, position: int = 0) -> None:
        """The tensor `source` is an output of the operator, in another shape perhaps."""
        tensor, quantity, shape = self.output(operator, position)
        index = operator.outputs[position]
        if self.draft.shapes[source] == shape:
            self.names[index] = source
            return
        name = self.title(operator) + (f"_{position}" if position else "")
        node = Reshape(name, (source,), quantity.zero, quantity.scale, shape=shape)
        self.names[index] = self.draft.add(
            node, shape, Origin(tensor.name, index), self.place(operator)
        )

    def adopt(self, operator: Operator, name: str) -> None:
        """The node `name` computes the output of the operator."""
        index = operator.outputs[0]
        self.names[index] = name
        origin = Origin(self.graph.tensors[index].name, index)
        self.draft.sources.setdefault(name, origin)

    def check_same_quantity(self, operator: Operator, position: int = 0) -> None:
        """UserError unless an output has the scale and zero point of the input."""
        before = self.draft.quantities[self.source(operator)]
        after = self.output(operator, position)[1]
        if after != before:
            self.refuse(
                operator,
                f"changes scale or zero point ({before} to {after}), although it only moves "
                "integers",
            )


def activation_dims(place: str, tensor: Tensor, batch: int) -> Dims:
    """The dimensions of an activation, without a batch of more than 1."""
    if min(tensor.shape, default=1) < 1 or len(tensor.shape) > 8:
        raise UserError(
            f"{place} has the tensor {tensor.name!r} of shape {tensor.shape}; an activation has at "
            "most 8 dimensions, each at least 1."
        )
    if batch == 1:
        return tensor.shape
    if len(tensor.shape) < 2 or tensor.shape[0] != batch:
        raise UserError(
            f"{place} has the tensor {tensor.name!r} of shape {tensor.shape}; the first dimension "
            f"of every activation must be the batch of {batch}, which the file's input has."
        )
    return tensor.shape[1:]


def window(
    importer: TfliteImporter, operator: Operator, kernel: tuple[int, ...], options: Any
) -> dict[str, Any]:
    """Stride and padding of a window with the scheme SAME or VALID."""
    stride = (int(options.StrideH()), int(options.StrideW()))
    if min(stride) < 1 or min(kernel) < 1:
        importer.refuse(
            operator, f"has the kernel {kernel} and the stride {stride}; both must be at least 1"
        )
    if options.Padding() == tflite.Padding.VALID:
        return {"stride": stride, "padding": ((0, 0), (0, 0))}
    if options.Padding() != tflite.Padding.SAME:
        importer.refuse(
            operator, f"has the padding scheme {options.Padding()}, neither SAME nor VALID"
        )
    shape = importer.draft.shapes[importer.source(operator)]
    pads = [same_padding(*side) for side in zip(shape, kernel, stride, strict=False)]
    padding: Padding = (pads[0], pads[1])
    return {"stride": stride, "padding": padding}


def image(importer: TfliteImporter, operator: Operator, position: int = 0) -> Shape:
    """(height, width, channels) of an input (N, H, W, C), with N the batch of the file."""
    tensor = importer.tensor(operator, position)
    dims = importer.dims(operator, tensor)
    plain = dims if importer.batch > 1 else dims[1:]
    if len(plain) != 3 or (importer.batch == 1 and dims[0] != 1):
        importer.refuse(
            operator,
            f"takes the tensor {tensor.name!r} of shape {tensor.shape}, which is not "
            f"({importer.batch}, height, width, channels)",
        )
    return importer.draft.shapes[importer.source(operator, position)]
