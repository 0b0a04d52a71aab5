"""The ONNX operators that reduce: pools, means, sums, extremes, and the softmax."""

from collections.abc import Callable
from typing import Any

from dscim.host.network import (
    AveragePool,
    Extreme,
    LogSoftmax,
    MaxPool,
    Mean,
    Node,
    Softmax,
    Sum,
)
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_layouts import turned
from dscim.host.network.importers.onnx_values import (
    Activation,
    Average,
    Layout,
    Pending,
    Simple,
    Value,
    image_layout,
)
from dscim.host.network.importers.onnx_windows import sides, window
from dscim.host.network.importers.views import Dims, product
from dscim.host.network.scaling import quantise_factor, softmax_table


def max_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """MaxPool: keeps the input's scale."""
    operand = importer.image(operator)
    geometry, layout = _pool(importer, operator, operand)
    return Simple(
        (operand,), layout, make=lambda fields: MaxPool(**fields, **geometry), own=operand.quantity
    )


def average_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """AveragePool: does not count padding; a Mean if it covers the whole image."""
    operand = importer.image(operator)
    geometry, layout = _pool(importer, operator, operand)
    padded = geometry["padding"] != ((0, 0), (0, 0))
    if padded and operator.attributes.get("count_include_pad", 0):
        importer.refuse(operator, "counts padding; set count_include_pad to 0")
    if not padded and layout.shape[:2] == (1, 1) and geometry["kernel"] == operand.layout.shape[:2]:
        return _mean(operand, layout)
    return Average(
        (operand,),
        layout,
        make=lambda fields: AveragePool(**fields, **geometry),
        own=operand.quantity,
        geometry=geometry,
    )


def global_pool(importer: OnnxImporter, operator: Operator) -> Value:
    """GlobalAveragePool and GlobalMaxPool."""
    operand = importer.image(operator)
    rank = len(operand.layout.dims)
    layout = image_layout((1, operand.layout.shape[2], *(1,) * (rank - 2)))
    if operator.kind == "GlobalMaxPool":
        return _extreme(operand, layout, (0, 1), False)
    return _mean(operand, layout)


def reduce(importer: OnnxImporter, operator: Operator) -> Value:
    """ReduceMean, ReduceSum, ReduceMax, ReduceMin: over any axes."""
    operand = importer.activation(operator)
    dims = operand.layout.dims
    found = importer.integers(operator, 1, "axes")
    if not found and operator.attributes.get("noop_with_empty_axes", 0):
        return operand
    axes = importer.axes(operator, found or list(range(len(dims))), len(dims))
    keep = bool(operator.attributes.get("keepdims", 1))
    made = tuple(1 if i in axes else size for i, size in enumerate(dims))
    left = made if keep else tuple(size for i, size in enumerate(dims) if i not in axes)
    inner = [operand.layout.axis(axis) for axis in axes if dims[axis] != 1]
    if any(axis is None for axis in inner):
        operand, inner = _grouped(importer, operator, operand, axes)
    places = tuple(sorted(axis for axis in inner if axis is not None))
    sizes = tuple(1 if i in places else size for i, size in enumerate(operand.layout.shape))
    layout = Layout((sizes[0], sizes[1], sizes[2]), operand.layout.order, left)
    if operator.kind in ("ReduceMax", "ReduceMin"):
        return _extreme(operand, layout, places, operator.kind == "ReduceMin")
    if operator.kind == "ReduceMean" and set(places) <= {0, 1} and sizes[:2] == (1, 1):
        return _mean(operand, layout)
    count = product(tuple(operand.layout.shape[axis] for axis in places))
    return _sum(operand, layout, places, count if operator.kind == "ReduceMean" else 1)


def _grouped(
    importer: OnnxImporter, operator: Operator, operand: Activation, axes: list[int]
) -> tuple[Activation, list[int | None]]:
    """The activation as (1, kept values, reduced values), and its axis to reduce."""
    dims = operand.layout.dims
    kept = [axis for axis in range(len(dims)) if axis not in axes]
    plain = importer.plain(operator, operand)
    moved = importer.plain(operator, turned(importer, operator, plain, tuple(kept + sorted(axes))))
    counts = product(tuple(dims[a] for a in kept)), product(tuple(dims[a] for a in axes))
    return importer.viewed(operator, moved, (1, *counts)), [2]


def softmax(importer: OnnxImporter, operator: Operator) -> Value:
    """Softmax and LogSoftmax over an axis; before opset 13 over it and all axes after it."""
    operand = importer.activation(operator)
    dims = operand.layout.dims
    old = importer.graph.opset < 13
    axis = int(operator.attributes.get("axis", 1 if old else -1))
    axis = importer.axes(operator, [axis], len(dims))[0]
    if operand.layout.axis(axis) == 2 and (not old or product(dims[axis + 1 :]) == 1):
        return _softmax(operator, operand, operand.layout)
    if old or product(dims[axis + 1 :]) == 1:
        plain = importer.plain(operator, operand)
        shape = 1, product(dims[:axis]), product(dims[axis:])
        view = importer.viewed(operator, plain, shape)
        return _softmax(operator, view, Layout(view.layout.shape, "hwc", dims))
    order = (*(i for i in range(len(dims)) if i != axis), axis)
    moved = importer.plain(operator, turned(importer, operator, operand, order))
    # (before, after, axis): the axis is last here, and second in the file's tensor
    shape = product(dims[:axis]), product(dims[axis + 1 :]), dims[axis]
    seen = importer.viewed(operator, moved, shape)
    return _softmax(operator, seen, Layout(seen.layout.shape, "hcw", dims))


def _softmax(operator: Operator, operand: Activation, layout: Layout) -> Pending:
    """The softmax over the channels of each position."""
    scale = operand.quantity.scale
    table = softmax_table(scale)
    if operator.kind == "LogSoftmax":
        return Simple(
            (operand,),
            layout,
            make=lambda fields: LogSoftmax(**fields, table=table, input_scale=scale),
        )
    return Simple((operand,), layout, make=lambda fields: Softmax(**fields, table=table))


def _pool(
    importer: OnnxImporter, operator: Operator, operand: Activation
) -> tuple[dict[str, Any], Layout]:
    """Kernel, stride and padding of a pool, and the layout of its output."""
    height, width, channels = operand.layout.shape
    rank = len(operand.layout.dims)
    kernel = [int(size) for size in operator.attributes.get("kernel_shape", ())]
    kernel = [1, *kernel] if len(kernel) == 1 else kernel
    if len(kernel) != 2 or min(kernel) < 1 or len(operator.outputs) != 1:
        importer.refuse(
            operator,
            f"has the kernel {kernel} and {len(operator.outputs)} outputs; only a "
            "pool over an image is supported",
        )
    geometry = window(importer, operator, (kernel[0], kernel[1]), (height, width))
    if geometry.pop("dilation") != (1, 1):
        importer.refuse(operator, f"is dilated by {operator.attributes['dilations']}")
    if operator.attributes.get("ceil_mode", 0):
        spare = [
            (size + sum(pad) - k) % s
            for size, pad, k, s in zip(
                (height, width), geometry["padding"], kernel, geometry["stride"], strict=True
            )
        ]
        if any(spare):
            importer.refuse(operator, "rounds its size up (ceil_mode); pad before it instead")
    high, wide = sides((height, width), (kernel[0], kernel[1]), geometry)
    dims: Dims = (1, channels, wide) if rank == 3 else (1, channels, high, wide)
    return geometry, image_layout(dims)


def _mean(operand: Activation, layout: Layout) -> Pending:
    """The mean over height and width."""
    height, width, _ = operand.layout.shape
    return _scaled(operand, layout, height * width, lambda fields: Mean(**fields))


def _sum(operand: Activation, layout: Layout, axes: Dims, count: int) -> Pending:
    """The sum over axes of the node, divided by `count`."""
    return _scaled(operand, layout, count, lambda fields: Sum(**fields, axes=axes))


def _scaled(
    operand: Activation, layout: Layout, count: int, make: Callable[[dict[str, Any]], Node]
) -> Pending:
    """A sum, divided by `count`, in the scale of the output."""

    def made(fields: dict[str, Any]) -> Node:
        multiplier, shift = quantise_factor(operand.quantity.scale / fields["output_scale"] / count)
        scaling = {"multiplier": multiplier, "shift": shift, "single_rounding": True}
        return make({**fields, "input_zero": operand.quantity.zero, **scaling})

    return Simple((operand,), layout, make=made)


def _extreme(operand: Activation, layout: Layout, axes: Dims, least: bool) -> Pending:
    """The greatest or least value over axes of the node."""
    return Simple(
        (operand,),
        layout,
        make=lambda fields: Extreme(**fields, axes=axes, least=least),
        own=operand.quantity,
    )
