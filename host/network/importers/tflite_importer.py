"""What the operators of a .tflite file are read with: tensors as images, integers, places."""

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
from dscim.host.network.node import Padding, Pair

ACTIVATIONS: dict[int, tuple[float | None, float | None]] = {
    tflite.ActivationFunctionType.NONE: (None, None),
    tflite.ActivationFunctionType.RELU: (0, None),
    tflite.ActivationFunctionType.RELU6: (0, 6),
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1, 1),
}
"""The fused activations and the bounds that they keep real values within."""


class TfliteImporter:
    """The graph of a file on its way into a draft.

    draft: the network so far. names: the node that makes each tensor, by the tensor's index.
    """

    def __init__(self, graph: Graph, draft: Draft, batch: int) -> None:
        self.graph, self.draft, self.batch = graph, draft, batch
        self.names: dict[int, str] = {}

    def place(self, operator: Operator) -> str:
        """The operator as a sentence begins with it."""
        made = self.graph.tensors[operator.outputs[0]].name if operator.outputs else ""
        return f"operator {operator.index} ({operator.name}, which makes {made!r})"

    def refuse(self, operator: Operator, why: str) -> NoReturn:
        """Raises UserError with the operator's place."""
        raise UserError(f"{self.place(operator)} {why}.")

    def tensor(self, operator: Operator, position: int, what: str) -> Tensor:
        """Input `position` of the operator; UserError where it is left out."""
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
        """The node that makes input `position`."""
        tensor = self.tensor(operator, position, "input")
        name = self.names.get(operator.inputs[position])
        if name is None:
            hint = (
                "fold the constant into a bias"
                if tensor.values is not None
                else "operators must come in order"
            )
            self.refuse(
                operator, f"takes {tensor.name!r}, which no operator before it makes ({hint})"
            )
        self.quantity(operator, tensor)
        return name

    def quantity(
        self, operator: Operator, tensor: Tensor, kinds: Sequence[str] = ("INT8",)
    ) -> Quantity:
        """What the integers of an activation stand for; uint8 is shifted by 128."""
        if tensor.kind not in kinds or len(tensor.scale) != 1:
            scales = f"{len(tensor.scale)} scales" if tensor.kind in kinds else "no INT8"
            self.refuse(
                operator,
                f"has the tensor {tensor.name!r} of type {tensor.kind} with "
                f"{scales}; convert the network to full-integer INT8 with one "
                "scale an activation",
            )
        zero = int(tensor.zero[0]) - (128 if tensor.kind == "UINT8" else 0)
        return at(self.place(operator), lambda: Quantity(float(tensor.scale[0]), zero))

    def shape(self, operator: Operator, tensor: Tensor) -> Shape:
        """(height, width, channels) of an activation: N, H, W, C with H, then W, left out."""
        return image_shape(self.place(operator), tensor, self.batch)

    def output(self, operator: Operator) -> tuple[Tensor, Quantity, Shape]:
        """The operator's one output."""
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
                f"has the fused activation {activation}, which is not known; "
                "NONE, RELU, RELU6 and RELU_N1_TO_1 are",
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
        """Takes in the node that makes the operator's output."""
        tensor, _, shape = self.output(operator)
        self.names[operator.outputs[0]] = self.draft.add(node, shape, tensor.name)

    def kept(self, operator: Operator) -> None:
        """UserError unless the output has the scale and zero point of the input."""
        given = self.draft.quantities[self.source(operator)]
        if self.output(operator)[1] != given:
            self.refuse(
                operator,
                f"changes scale or zero point ({given} to "
                f"{self.output(operator)[1]}); it only moves integers",
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
    """Stride and padding of a window, as the scheme SAME or VALID has it."""
    stride = (int(options.StrideH()), int(options.StrideW()))
    if min(stride) < 1 or min(kernel) < 1:
        importer.refuse(
            operator, f"has the kernel {kernel} and the stride {stride}; both begin at 1"
        )
    if options.Padding() == tflite.Padding.VALID:
        return {"stride": stride, "padding": ((0, 0), (0, 0))}
    if options.Padding() != tflite.Padding.SAME:
        importer.refuse(
            operator, f"has the padding scheme {options.Padding()}, neither SAME nor VALID"
        )
    shape = importer.draft.shapes[importer.source(operator)]
    pads = [_same(size, k, s) for size, k, s in zip(shape, kernel, stride, strict=False)]
    padding: Padding = (pads[0], pads[1])
    return {"stride": stride, "padding": padding}


def _same(size: int, kernel: int, stride: int) -> Pair:
    """Positions before and after; the odd one comes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def foldable(shape: Shape) -> Shape:
    """A shape of as many values as `shape` whose sides all fit a layer, where there is one."""
    count = int(np.prod(shape, dtype=object))
    if max(shape) <= MAX_SIDE:
        return shape
    width = next(
        (side for side in range(-(-count // MAX_SIDE), MAX_SIDE + 1) if count % side == 0), 1
    )
    return 1, width, count // width
