"""The ONNX operators that move numbers: padding, reshapes, transposes."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from dscim.host.network import Pad, Reshape, Shape
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_values import Activation, Fixed, Layout, Simple, Value
from dscim.host.network.node import Padding


def pad(importer: OnnxImporter, operator: Operator) -> Value:
    """Pad: of height and width only, with 0."""
    operand = importer.image(operator)
    pads = operator.attributes.get("pads")
    if importer.has_input(operator, 1):
        pads = importer.numbers(operator, 1, "pads").ravel().tolist()
    value = (
        importer.numbers(operator, 2, "value")
        if importer.has_input(operator, 2)
        else np.array(operator.attributes.get("value", 0.0))
    )
    mode = operator.attributes.get("mode", b"constant")
    if (
        pads is None
        or len(pads) != 8
        or any(pads[i] for i in (0, 1, 4, 5))
        or min(pads) < 0
        or mode != b"constant"
        or value.any()
        or importer.has_input(operator, 3)
    ):
        importer.refuse(
            operator,
            f"pads by {pads} in mode {mode.decode()!r}; only height and "
            "width can be padded, with 0",
        )
    padding: Padding = ((int(pads[2]), int(pads[6])), (int(pads[3]), int(pads[7])))
    height, width, channels = operand.layout.shape
    shape = (height + sum(padding[0]), width + sum(padding[1]), channels)
    return Simple(
        (operand,),
        Layout(shape),
        make=lambda fields: Pad(**fields, padding=padding),
        own=operand.quantity,
    )


def flatten(importer: OnnxImporter, operator: Operator) -> Value:
    """Flatten: all dimensions after the batch."""
    if operator.attributes.get("axis", 1) != 1:
        importer.refuse(operator, f"has axis {operator.attributes['axis']}; only 1 is supported")
    return _moved(importer, operator, lambda layout: Layout(layout.shape, layout.order, True))


def reshape(importer: OnnxImporter, operator: Operator) -> Value:
    """Reshape, Squeeze and Unsqueeze: from an image to one dimension or another image, and back."""
    if operator.kind == "Reshape":
        if importer.has_input(operator, 1) and operator.inputs[1] not in importer.values:
            importer.refuse(
                operator,
                f"has a computed shape {operator.inputs[1]!r}; export "
                "with fixed sizes, or simplify the graph first",
            )
        sizes = importer.numbers(operator, 1, "shape").ravel().tolist()
        return _moved(
            importer, operator, lambda layout: _reshaped(importer, operator, layout, sizes)
        )
    return _moved(importer, operator, lambda layout: _squeezed(importer, operator, layout))


def transpose(importer: OnnxImporter, operator: Operator) -> Value:
    """Transpose: another order of an activation's dimensions; the integers do not move."""
    value = importer.value(operator, 0)
    order = tuple(int(axis) for axis in operator.attributes.get("perm", ()))
    if isinstance(value, Fixed) and sorted(order) == list(range(value.values.ndim)):
        return value.transposed(order)
    if sorted(order) != [0, 1, 2, 3] or order[0] != 0:
        importer.refuse(
            operator,
            f"has the order {order}; an order of 4 dimensions with the batch first is needed",
        )

    def turned(layout: Layout) -> Layout:
        if layout.flat:
            importer.refuse(operator, "transposes a flat tensor")
        return Layout(layout.shape, "".join(layout.order[axis - 1] for axis in order[1:]))

    return _moved(importer, operator, turned)


def _moved(importer: OnnxImporter, operator: Operator, change: Callable[[Layout], Layout]) -> Value:
    """An activation in another layout, through a Reshape if its shape changes."""
    operand = importer.activation(operator)
    layout = change(operand.layout)
    if layout.shape == operand.layout.shape:
        return Activation(operand.name, operand.quantity, layout)
    return Simple(
        (operand,),
        layout,
        own=operand.quantity,
        make=lambda fields: Reshape(**fields, shape=layout.shape),
    )


def _reshaped(
    importer: OnnxImporter, operator: Operator, layout: Layout, sizes: Sequence[int]
) -> Layout:
    """The layout after Reshape to `sizes`."""
    count = math.prod(layout.shape)
    if operator.attributes.get("allowzero", 0) or not sizes or sizes[0] not in (0, 1, -1):
        importer.refuse(operator, f"has the sizes {list(sizes)}; the batch of 1 must stay first")
    rest = [int(size) for size in sizes[1:]]
    known = math.prod(size for size in rest if size > 0)
    if rest.count(-1) == 1 and known and count % known == 0:
        rest[rest.index(-1)] = count // known
    if len(rest) not in (1, 3) or min(rest) < 1 or math.prod(rest) != count:
        importer.refuse(
            operator,
            f"is from {layout.shape} to {list(sizes)}; only one dimension or an image is supported",
        )
    if len(rest) == 1:
        return Layout(layout.shape, layout.order, True)
    shape = (rest[1], rest[2], rest[0])
    if shape == layout.shape and layout.order == "chw":
        return Layout(shape)
    return Layout(_unmoved(importer, operator, layout, shape))


def _squeezed(importer: OnnxImporter, operator: Operator, layout: Layout) -> Layout:
    """The layout after Squeeze or Unsqueeze of height and width."""
    axes = operator.attributes.get("axes")
    if importer.has_input(operator, 1):
        axes = importer.numbers(operator, 1, "axes").ravel().tolist()
    if layout.shape[:2] != (1, 1) or sorted(int(axis) % 4 for axis in axes or ()) != [2, 3]:
        importer.refuse(
            operator,
            f"is over the axes {axes} of {layout.shape}; only a height and width of 1 "
            "are supported",
        )
    return Layout(layout.shape, flat=operator.kind == "Squeeze")


def _unmoved(importer: OnnxImporter, operator: Operator, layout: Layout, shape: Shape) -> Shape:
    """`shape`; UserError unless the integers keep their places."""
    in_order = layout.shape[:2] == (1, 1) or layout.order == "hwc" or layout.shape[2] == 1
    if not in_order or (shape[2] != 1 and shape[:2] != (1, 1)):
        importer.refuse(
            operator,
            f"is from {layout.shape} to an image of {shape}, which would move "
            "its channels; reshape before the network",
        )
    return shape
