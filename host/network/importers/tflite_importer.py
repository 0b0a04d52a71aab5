"""Imports a TensorFlow Lite graph into a draft: tensors as images, quantities, places."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import tflite

from dscim.errors import UserError
from dscim.gateware.specs.layer import MAX_SIDE
from dscim.host.network import Node, Shape
from dscim.host.network.importers.draft import Draft, at
from dscim.host.network.importers.scales import Quantity, clamp
from dscim.host.network.importers.tflite_file import Graph, Operator, Tensor
from dscim.host.network.node import Padding, same_padding

ACTIVATIONS: dict[int, tuple[float | None, float | None]] = {
    tflite.ActivationFunctionType.NONE: (None, None),
    tflite.ActivationFunctionType.RELU: (0, None),
    tflite.ActivationFunctionType.RELU6: (0, 6),
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1, 1),
}
"""The bounds of real values for each fused activation."""


class TfliteImporter:
    """Reads the graph of a file operator by operator.

    draft: the network so far. batch: the first dimension of every activation. names: the node of
    each tensor, by the tensor's index.
    """

    def __init__(self, graph: Graph, draft: Draft, batch: int) -> None:
        self.graph, self.draft, self.batch = graph, draft, batch
        self.names: dict[int, str] = {}

    def place(self, operator: Operator) -> str:
        """The operator as the subject of a sentence."""
        made = self.graph.tensors[operator.outputs[0]].name if operator.outputs else ""
        return f"operator {operator.index} ({operator.name}, output {made!r})"

    def refuse(self, operator: Operator, why: str) -> NoReturn:
        """Raises UserError: the operator's place, then `why`."""
        raise UserError(f"{self.place(operator)} {why}.")

    def tensor(self, operator: Operator, position: int, what: str) -> Tensor:
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

    def quantity(
        self, operator: Operator, tensor: Tensor, kinds: Sequence[str] = ("INT8",)
    ) -> Quantity:
        """The scale and zero point of an activation; uint8 is shifted by 128."""
        if tensor.kind not in kinds or len(tensor.scale) != 1:
            scales = f"{len(tensor.scale)} scales" if tensor.kind in kinds else "no INT8"
            self.refuse(
                operator,
                f"has the tensor {tensor.name!r} of type {tensor.kind} with "
                f"{scales}; convert the network to full-integer INT8 with one "
                "scale per activation",
            )
        zero = int(tensor.zero[0]) - (128 if tensor.kind == "UINT8" else 0)
        return at(self.place(operator), lambda: Quantity(float(tensor.scale[0]), zero))

    def shape(self, operator: Operator, tensor: Tensor) -> Shape:
        """(height, width, channels) of an activation (N, H, W, C), (N, W, C) or (N, C)."""
        return image_shape(self.place(operator), tensor, self.batch)

    def output(self, operator: Operator) -> tuple[Tensor, Quantity, Shape]:
        """The operator's only output: tensor, quantity and shape."""
        if len(operator.outputs) != 1 or operator.outputs[0] < 0:
            self.refuse(operator, f"has {len(operator.outputs)} outputs, not 1")
        tensor = self.graph.tensors[operator.outputs[0]]
        return tensor, self.quantity(operator, tensor), self.shape(operator, tensor)

    def fields(self, operator: Operator, activation: int = 0, inputs: int = 1) -> dict[str, Any]:
        """Name, inputs, output quantity and clamp of the node for an operator."""
        _, quantity, _ = self.output(operator)
        if activation not in ACTIVATIONS:
            self.refuse(
                operator,
                f"has the fused activation {activation}, which is not supported; "
                "NONE, RELU, RELU6 and RELU_N1_TO_1 are supported",
            )
        bounds = at(self.place(operator), lambda: clamp(quantity, *ACTIVATIONS[activation]))
        return {
            "name": f"{operator.name.lower()}_{operator.index}",
            "inputs": tuple(self.source(operator, i) for i in range(inputs)),
            "output_zero": quantity.zero,
            "output_scale": quantity.scale,
            "clamp": bounds,
        }

    def add(self, operator: Operator, node: Node) -> None:
        """Adds the node that computes the operator's output."""
        tensor, _, shape = self.output(operator)
        self.names[operator.outputs[0]] = self.draft.add(node, shape, tensor.name)

    def check_same_quantity(self, operator: Operator) -> None:
        """UserError unless the output has the scale and zero point of the input."""
        before = self.draft.quantities[self.source(operator)]
        if self.output(operator)[1] != before:
            self.refuse(
                operator,
                f"changes scale or zero point ({before} to "
                f"{self.output(operator)[1]}), although it only moves integers",
            )


def image_shape(place: str, tensor: Tensor, batch: int) -> Shape:
    """(height, width, channels) of a tensor (N, C), (N, W, C) or (N, H, W, C)."""
    rank = len(tensor.shape)
    if not 2 <= rank <= 4 or tensor.shape[0] != batch or min(tensor.shape) < 1:
        raise UserError(
            f"{place} has the tensor {tensor.name!r} of shape {tensor.shape}; an "
            f"activation has 2 to 4 dimensions, the first is the batch of {batch}."
        )
    height, width, channels = (*(1,) * (4 - rank), *tensor.shape[1:])
    return height, width, channels


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


def foldable(shape: Shape) -> Shape:
    """A shape with as many values as `shape` whose sides fit a layer, if there is one."""
    count = int(np.prod(shape, dtype=object))
    if max(shape) <= MAX_SIDE:
        return shape
    width = next(
        (side for side in range(-(-count // MAX_SIDE), MAX_SIDE + 1) if count % side == 0), 1
    )
    return 1, width, count // width
