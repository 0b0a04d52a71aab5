"""The ONNX operators that only move numbers: padding, reshapes, transposes, slices, joins."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from dscim.arrays import Array, Int32
from dscim.host.network import Concat, Pad, Select
from dscim.host.network.importers.draft import Origin
from dscim.host.network.importers.integers import VALUES, saturated
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_values import (
    Activation,
    Constant,
    Fixed,
    Layout,
    Simple,
    Value,
    image_layout,
    plain_layout,
)
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.importers.views import MAX_DIMENSION, Dims, image_axis, product, transposed
from dscim.host.network.node import Padding, Pair


def pad(importer: OnnxImporter, operator: Operator) -> Value:
    """Pad: with 0, along any axes."""
    operand = importer.activation(operator)
    dims = operand.layout.dims
    rank = len(dims)
    pads = importer.integers(operator, 1, "pads")
    value = (
        importer.numbers(operator, 2, "value")
        if importer.has_input(operator, 2)
        else np.array(operator.attributes.get("value", 0.0))
    )
    mode = operator.attributes.get("mode", b"constant")
    axes = importer.integers(operator, 3, "axes")
    axes = list(range(rank)) if axes is None else importer.axes(operator, axes, rank)
    if (
        pads is None
        or len(pads) != 2 * len(axes)
        or not all(0 <= size < MAX_DIMENSION for size in pads)
        or mode != b"constant"
        or value.any()
    ):
        importer.refuse(
            operator,
            f"pads by {pads} along the axes {axes} of {dims} in mode {mode.decode()!r}; only "
            "constant padding with 0 is supported",
        )
    pairs: list[Pair] = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        pairs[axis] = (pads[place], pads[place + len(axes)])
    bordered = rank == 4 and pairs[:2] == [(0, 0), (0, 0)]
    if bordered and operand.layout == image_layout(dims):
        return _image_pad(operand, (pairs[2], pairs[3]))
    places = {
        axis: np.concatenate([np.full(a, -1), np.arange(dims[axis]), np.full(b, -1)])
        for axis, (a, b) in enumerate(pairs)
        if a or b
    }
    return selected(importer, operator, operand, places)


def _image_pad(operand: Activation, padding: Padding) -> Value:
    """An image with a border of zeros."""
    height, width, channels = operand.layout.shape
    sides = height + sum(padding[0]), width + sum(padding[1])
    return Simple(
        (operand,),
        image_layout((1, channels, *sides)),
        make=lambda fields: Pad(**fields, padding=padding),
        own=operand.quantity,
    )


def reshape(importer: OnnxImporter, operator: Operator) -> Value:
    """Reshape, Flatten, Squeeze and Unsqueeze: the numbers stay in their order."""
    value = importer.value(operator, 0)
    if isinstance(value, Constant | Fixed):
        numbers = importer.numbers(operator, 0, "input")
        return Constant(numbers.reshape(reshaped_dims(importer, operator, numbers.shape)))
    operand = importer.activation(operator)
    dims = reshaped_dims(importer, operator, operand.layout.dims)
    return replace(operand, layout=replace(operand.layout, dims=dims))


def reshaped_dims(importer: OnnxImporter, operator: Operator, dims: Dims) -> Dims:
    """The dimensions after the operator."""
    sizes = SHAPES[operator.kind](importer, operator, dims)
    if product(sizes) != product(dims) or min(sizes, default=1) < 1:
        importer.refuse(operator, f"is from {dims} to {sizes}, which hold other numbers of values")
    return sizes


def _reshaped(importer: OnnxImporter, operator: Operator, dims: Dims) -> Dims:
    if importer.has_input(operator, 1) and operator.inputs[1] not in importer.constants:
        importer.refuse(
            operator,
            f"has a computed shape {operator.inputs[1]!r}; export "
            "with fixed sizes, or simplify the graph first",
        )
    sizes = importer.integers(operator, 1, "shape") or []
    if not operator.attributes.get("allowzero", 0):
        sizes = [dims[i] if size == 0 and i < len(dims) else size for i, size in enumerate(sizes)]
    batch = importer.graph.input[2][0]
    if sizes and sizes[0] == batch > 1 and -1 not in sizes[1:]:
        sizes[0] = 1
    known = product(tuple(size for size in sizes if size > 0))
    if sizes.count(-1) == 1 and known and product(dims) % known == 0:
        sizes[sizes.index(-1)] = product(dims) // known
    return tuple(sizes)


def _flattened(importer: OnnxImporter, operator: Operator, dims: Dims) -> Dims:
    axis = int(operator.attributes.get("axis", 1))
    if not -len(dims) <= axis <= len(dims):
        importer.refuse(operator, f"has the axis {axis} of {len(dims)} dimensions")
    axis = axis + len(dims) if axis < 0 else axis
    return product(dims[:axis]), product(dims[axis:])


def _squeezed(importer: OnnxImporter, operator: Operator, dims: Dims) -> Dims:
    axes = importer.integers(operator, 1, "axes")
    chosen = (
        [axis for axis, size in enumerate(dims) if size == 1]
        if axes is None
        else importer.axes(operator, axes, len(dims))
    )
    if any(dims[axis] != 1 for axis in chosen):
        importer.refuse(operator, f"removes the axes {axes} of {dims}, which are not all 1")
    return tuple(size for axis, size in enumerate(dims) if axis not in chosen)


def _unsqueezed(importer: OnnxImporter, operator: Operator, dims: Dims) -> Dims:
    axes = importer.integers(operator, 1, "axes") or []
    rank = len(dims) + len(axes)
    chosen, left = importer.axes(operator, axes, rank), iter(dims)
    if len(set(chosen)) != len(chosen):
        importer.refuse(operator, f"has the axes {axes}, one of them twice")
    return tuple(1 if axis in chosen else next(left) for axis in range(rank))


SHAPES: dict[str, Callable[[OnnxImporter, Operator, Dims], Dims]] = {
    "Reshape": _reshaped,
    "Flatten": _flattened,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
}
"""The dimensions after each operator that only regroups numbers."""


def transpose(importer: OnnxImporter, operator: Operator) -> Value:
    """Transpose: another order of a tensor's dimensions."""
    value = importer.value(operator, 0)
    rank = (
        value.values.ndim
        if isinstance(value, Constant | Fixed)
        else len(importer.activation(operator).layout.dims)
    )
    order = tuple(int(axis) for axis in operator.attributes.get("perm", range(rank)[::-1]))
    if sorted(order) != list(range(rank)):
        importer.refuse(operator, f"has the order {order} of {rank} dimensions")
    if isinstance(value, Fixed):
        return value.transposed(order)
    if isinstance(value, Constant):
        return Constant(value.values.transpose(order))
    return turned(importer, operator, importer.activation(operator), order)


def turned(
    importer: OnnxImporter, operator: Operator, value: Activation, order: Dims
) -> Activation:
    """The activation with its dimensions in another order, without a node if it is an image."""
    layout = value.layout
    dims = tuple(layout.dims[axis] for axis in order)
    if layout.direct and order[0] == 0:
        letters = "".join(layout.order[axis - 1] for axis in order[1:])
        return replace(value, layout=Layout(layout.shape, letters, dims))
    value = importer.plain(operator, value)
    made = plain_layout(dims)
    name = transposed(
        importer.network,
        f"{operator.kind.lower()}_{operator.index}_{len(importer.network.nodes)}",
        value.name,
        layout.dims,
        order,
        made.shape,
        operator.place,
    )
    return replace(value, name=name, layout=made)


def split(importer: OnnxImporter, operator: Operator) -> list[Value]:
    """Split: parts along an axis."""
    operand = importer.activation(operator)
    dims = operand.layout.dims
    axis = importer.axes(operator, [int(operator.attributes.get("axis", 0))], len(dims))[0]
    count = len(operator.outputs)
    sizes = importer.integers(operator, 1, "split")
    if sizes is None:
        each = -(-dims[axis] // count)
        sizes = [each] * (count - 1) + [dims[axis] - each * (count - 1)]
    if len(sizes) != count or sum(sizes) != dims[axis] or min(sizes) < 1:
        importer.refuse(operator, f"splits {dims[axis]} values into the sizes {sizes}")
    starts = np.cumsum([0, *sizes[:-1]])
    return [
        selected(importer, operator, operand, {axis: np.arange(start, start + size)}, place)
        for place, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]


def cut(importer: OnnxImporter, operator: Operator) -> Value:
    """Slice: with steps of any sign."""
    operand = importer.activation(operator)
    dims = operand.layout.dims
    first, last = importer.integers(operator, 1, "starts"), importer.integers(operator, 2, "ends")
    if first is None or last is None:
        importer.refuse(operator, "has no starts or ends")
    axes = importer.integers(operator, 3, "axes")
    axes = list(range(len(first))) if axes is None else axes
    axes = importer.axes(operator, axes, len(dims))
    steps = importer.integers(operator, 4, "steps") or [1] * len(axes)
    if not len(first) == len(last) == len(axes) == len(steps) or 0 in steps:
        importer.refuse(operator, f"has the bounds {first}, {last}, axes {axes} and steps {steps}")
    places = {}
    for axis, begin, end, step in zip(axes, first, last, steps, strict=True):
        stop = None if step < 0 and end < -dims[axis] else end
        chosen = range(dims[axis])[slice(begin, stop, step)]
        if not len(chosen):
            importer.refuse(operator, f"leaves no values along axis {axis}")
        places[axis] = np.array(chosen)
    return selected(importer, operator, operand, places)


def gather(importer: OnnxImporter, operator: Operator) -> Value:
    """Gather: constant places along an axis."""
    operand = importer.activation(operator)
    dims = operand.layout.dims
    axis = importer.axes(operator, [int(operator.attributes.get("axis", 0))], len(dims))[0]
    places = importer.numbers(operator, 1, "indices")
    size = dims[axis]
    if places.dtype.kind not in "iu" or places.ndim > 1 or not places.size:
        importer.refuse(operator, f"has indices of shape {places.shape}; a list is needed")
    if places.min() < -size or places.max() >= size:
        importer.refuse(operator, f"has indices outside {-size}..{size - 1}")
    made = selected(importer, operator, operand, {axis: places.ravel() % size})
    if places.ndim == 0:
        dims = made.layout.dims
        layout = replace(made.layout, dims=dims[:axis] + dims[axis + 1 :])
        return replace(made, layout=layout)
    return made


def concat(importer: OnnxImporter, operator: Operator) -> Value:
    """Concat: activations of any scales along any axis."""
    values = [importer.activation(operator, i) for i in range(len(operator.inputs))]
    rank = len(values[0].layout.dims)
    axis = importer.axes(operator, [int(operator.attributes.get("axis", 0))], rank)[0]
    rest = {value.layout.dims[:axis] + value.layout.dims[axis + 1 :] for value in values}
    if len(rest) != 1 or any(len(value.layout.dims) != rank for value in values):
        importer.refuse(
            operator, f"joins tensors of {[value.layout.dims for value in values]} along {axis}"
        )
    dims = list(values[0].layout.dims)
    dims[axis] = sum(value.layout.dims[axis] for value in values)
    orders = {value.layout.order for value in values}
    direct = values[0].layout.axis(axis)
    if len(orders) == 1 and all(value.layout.direct for value in values) and direct is not None:
        height, width, channels = (dims[1 + orders.copy().pop().index(a)] for a in "hwc")
        layout = Layout((height, width, channels), orders.pop(), tuple(dims))
        place = direct
    else:
        views = [
            importer.viewed(operator, importer.plain(operator, value), _around(value, axis))
            for value in values
        ]
        values, place = views, 1
        shape = (product(tuple(dims[:axis])), dims[axis], product(tuple(dims[axis + 1 :])))
        layout = Layout(shape, "hwc", tuple(dims))
    chosen = tuple(values)

    def make(fields: dict[str, Any]) -> Concat:
        after = Quantity(fields["output_scale"], fields["output_zero"])
        tables = np.stack([_brought(value.quantity, after) for value in chosen])
        return Concat(**fields, axis=place, tables=tables)

    return Simple(chosen, layout, make=make)


def _around(value: Activation, axis: int) -> Dims:
    """The sizes before, along and after an axis."""
    dims = value.layout.dims
    return product(dims[:axis]), dims[axis], product(dims[axis + 1 :])


def _brought(before: Quantity, after: Quantity) -> Array:
    """The table that brings a tensor to another scale, in single precision, ties to even."""
    real = (VALUES - before.zero).astype(np.float32) * np.float32(before.scale)
    steps = np.rint(real / np.float32(after.scale)).astype(np.int64) + after.zero
    return saturated(steps, (-128, 127))


def depth_and_space(importer: OnnxImporter, operator: Operator) -> Value:
    """DepthToSpace in both modes, and SpaceToDepth."""
    operand = importer.activation(operator)
    dims, block = operand.layout.dims, int(operator.attributes.get("blocksize", 0))
    if len(dims) != 4 or block < 1:
        importer.refuse(operator, f"has blocks of {block} in the dimensions {dims}")
    batch, channels, height, width = dims
    if operator.kind == "SpaceToDepth":
        inner = (batch, channels, height // block, block, width // block, block)
        order: Dims = (0, 3, 5, 1, 2, 4)
        made = (batch, channels * block * block, height // block, width // block)
    else:
        depth = channels // block // block
        crd = operator.attributes.get("mode", b"DCR") == b"CRD"
        inner = (batch, depth, block, block, height, width)
        order = (0, 1, 4, 2, 5, 3)
        if not crd:
            inner, order = (batch, block, block, depth, height, width), (0, 3, 4, 1, 5, 2)
        made = (batch, depth, height * block, width * block)
    if product(inner) != product(dims):
        importer.refuse(operator, f"has blocks of {block}, which do not divide {dims}")
    plain = importer.plain(operator, operand)
    seen = replace(plain, layout=replace(plain.layout, dims=inner))
    moved = turned(importer, operator, seen, order)
    return replace(moved, layout=replace(moved.layout, dims=made))


def resize(importer: OnnxImporter, operator: Operator) -> Value:
    """Resize and Upsample to the nearest value, along any axes but the batch."""
    operand = importer.activation(operator)
    dims, attributes = operand.layout.dims, operator.attributes
    mode = attributes.get("mode", b"nearest").decode()
    where = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    nearest = attributes.get("nearest_mode", b"round_prefer_floor").decode()
    old = operator.kind == "Upsample" or importer.graph.opset < 11
    if old:
        where, nearest = "asymmetric", "floor"
    axes = attributes.get("axes")
    kinds = ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel")
    if mode != "nearest" or where not in kinds or axes is not None:
        importer.refuse(
            operator, f"is of the mode {mode!r} at {where!r}; only the nearest value is supported"
        )
    sizes = None if old else importer.integers(operator, 3, "sizes")
    found = importer.numbers(operator, 1 if old else 2, "scales") if sizes is None else None
    scales = (
        [float(a) / b for a, b in zip(sizes or [], dims, strict=False)]
        if found is None
        else [float(scale) for scale in found.ravel()]
    )
    if sizes is None:
        sizes = [int(np.floor(scale * size)) for scale, size in zip(scales, dims, strict=False)]
    if len(scales) != len(dims) or not all(1 <= size <= 1 << 16 for size in sizes) or sizes[0] != 1:
        importer.refuse(operator, f"makes the sizes {sizes} of {dims}")
    places = {
        axis: _nearest(dims[axis], size, scales[axis], where, nearest)
        for axis, size in enumerate(sizes)
        if size != dims[axis]
    }
    return selected(importer, operator, operand, places) if places else operand


def _nearest(size: int, target: int, scale: float, mode: str, nearest: str) -> Array:
    """The place in the input of each of `target` values, as onnxruntime chooses them."""
    x = np.arange(target, dtype=np.float32)
    factor = np.float32(scale)
    if mode == "asymmetric":
        exact = x / factor
    elif mode == "align_corners":
        exact = x * np.float32(size - 1) / np.float32(target - 1) if target > 1 else x * 0
    elif mode == "pytorch_half_pixel" and target == 1:
        exact = x * 0
    else:
        exact = (x + np.float32(0.5)) / factor - np.float32(0.5)
    if nearest == "floor":
        places = np.floor(exact)
    elif nearest == "ceil":
        places = np.ceil(exact)
    elif nearest == "round_prefer_ceil":
        places = np.floor(exact + np.float32(0.5))
    else:
        places = np.ceil(exact - np.float32(0.5))
    return np.clip(places.astype(np.int64), 0, size - 1)


def selected(
    importer: OnnxImporter,
    operator: Operator,
    value: Activation,
    places: dict[int, Array],
    output: int = 0,
) -> Activation:
    """The activation with chosen places along some axes of its tensor; -1 is a zero."""
    title = f"{operator.kind.lower()}_{operator.index}" + (f"_{output}" if output else "")
    layout, quantity = value.layout, value.quantity
    if max(*layout.shape, *(each.size for each in places.values())) > MAX_DIMENSION:
        importer.refuse(operator, f"chooses among more than {MAX_DIMENSION} values of an axis")
    for number, (axis, chosen) in enumerate(sorted(places.items())):
        dims = layout.dims
        made = (*dims[:axis], len(chosen), *dims[axis + 1 :])
        inner = layout.axis(axis)
        if inner is None:
            value = importer.plain(operator, value)
            inner = image_axis(dims, axis)
            if inner is None:
                value = importer.viewed(operator, value, _around(value, axis))
                inner = 1
        shape = list(value.layout.shape)
        every: list[Int32] = [np.arange(size, dtype=np.int32) for size in shape]
        every[inner] = chosen.astype(np.int32)
        shape[inner] = len(chosen)
        node = Select(
            title if number == len(places) - 1 else f"{title}_axis{axis}",
            (value.name,),
            quantity.zero,
            quantity.scale,
            rows=every[0],
            columns=every[1],
            channels=every[2],
        )
        layout = Layout((shape[0], shape[1], shape[2]), value.layout.order, made)
        last = number == len(places) - 1
        origin = Origin(operator.outputs[output], order=layout.order) if last else None
        name = importer.network.add(node, layout.shape, origin, operator.place)
        value = replace(value, name=name, layout=layout)
    return value
