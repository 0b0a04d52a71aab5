"""The TensorFlow Lite operators that only move integers: joining, cutting, reordering."""

from collections.abc import Sequence

import numpy as np
import tflite

from dscim.arrays import Int8, Int32
from dscim.host.network import Concat, Pad, Select
from dscim.host.network.importers.integers import VALUES, saturated
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.importers.tflite_file import Operator
from dscim.host.network.importers.tflite_importer import INTEGERS, TfliteImporter, image
from dscim.host.network.importers.views import Dims, along, folded, transposed


def pad(importer: TfliteImporter, operator: Operator) -> None:
    """PAD and PADV2 with the zero point: a Pad of height and width, or a Select of any axis."""
    importer.check_same_quantity(operator)
    tensor = importer.tensor(operator, 0)
    dims = importer.dims(operator, tensor)
    values = importer.constant(operator, 1, "padding", INTEGERS).values
    assert values is not None
    rank = len(tensor.shape)
    if values.shape != (rank, 2) or values.min() < 0 or values.max() > 1 << 20:
        importer.refuse(
            operator, f"has the padding {values.tolist()}; a pair of sizes per axis is needed"
        )
    if importer.batch > 1 and values[0].any():
        importer.refuse(operator, f"pads the batch of {importer.batch}")
    if operator.name == "PADV2":
        value = importer.quantised(operator, 2)[0]
        if value.size != 1 or value.item() != importer.output(operator)[1].zero:
            importer.refuse(operator, "pads with a value that is not the zero point")
    pairs = [(int(a), int(b)) for a, b in values[rank - len(dims) :]]
    if pad_image(dims, pairs):
        rows, columns, _ = [(0, 0)] * (3 - len(pairs)) + pairs[-3:]
        importer.add(operator, Pad(**importer.fields(operator), padding=(rows, columns)))
        return
    places = {
        axis: np.concatenate([np.full(a, -1), np.arange(size), np.full(b, -1)]).astype(np.int32)
        for axis, (size, (a, b)) in enumerate(zip(dims, pairs, strict=True))
        if a or b
    }
    select_axes(importer, operator, dims, places)


def pad_image(dims: Dims, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether only the height and the width of one image are padded."""
    return set(dims[:-3]) <= {1} and not any(map(any, pairs[:-3])) and not any(pairs[-1])


def reshape(importer: TfliteImporter, operator: Operator) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the integers stay in their order."""
    importer.check_same_quantity(operator)
    importer.keep(operator, importer.source(operator))


def transpose(importer: TfliteImporter, operator: Operator) -> None:
    """TRANSPOSE: the dimensions in another order."""
    importer.check_same_quantity(operator)
    dims = importer.dims(operator, importer.tensor(operator, 0))
    order = importer.integers(operator, 1, "order")
    rank = len(dims) + (importer.batch > 1)
    order = [axis % rank for axis in order if -rank <= axis < rank]
    if sorted(order) != list(range(rank)) or (importer.batch > 1 and order[0] != 0):
        importer.refuse(
            operator,
            f"has the order {order} of {rank} dimensions; each is needed once, a batch "
            "of several first",
        )
    inner = tuple(axis - (importer.batch > 1) for axis in order[importer.batch > 1 :])
    _transposed(importer, operator, dims, inner)


def space_to_depth(importer: TfliteImporter, operator: Operator) -> None:
    """SPACE_TO_DEPTH: blocks of pixels become channels."""
    importer.check_same_quantity(operator)
    block = int(operator.options(tflite.SpaceToDepthOptions).BlockSize())
    height, width, channels = image(importer, operator)
    if block < 1 or height % block or width % block:
        importer.refuse(operator, f"has blocks of {block} in an image of {height}x{width}")
    dims = (height // block, block, width // block, block, channels)
    _transposed(importer, operator, dims, (0, 2, 1, 3, 4))


def depth_to_space(importer: TfliteImporter, operator: Operator) -> None:
    """DEPTH_TO_SPACE: channels become blocks of pixels."""
    importer.check_same_quantity(operator)
    block = int(operator.options(tflite.DepthToSpaceOptions).BlockSize())
    height, width, channels = image(importer, operator)
    if block < 1 or channels % (block * block):
        importer.refuse(operator, f"makes blocks of {block} from {channels} channels")
    dims = (height, width, block, block, channels // block // block)
    _transposed(importer, operator, dims, (0, 2, 1, 3, 4))


def strided_slice(importer: TfliteImporter, operator: Operator) -> None:
    """STRIDED_SLICE: with begin and end masks and steps of any sign; shrunk axes have size 1."""
    importer.check_same_quantity(operator)
    options = operator.options(tflite.StridedSliceOptions)
    if options.EllipsisMask() or options.NewAxisMask():
        importer.refuse(operator, "has an ellipsis or a new axis, which is not supported")
    first, last, step = (importer.integers(operator, position, "bound") for position in (1, 2, 3))
    sizes = importer.tensor(operator, 0).shape
    if not len(first) == len(last) == len(step) <= len(sizes) or 0 in step:
        importer.refuse(operator, f"has the bounds {first}, {last} and the steps {step} of {sizes}")
    ranges = []
    for axis, size in enumerate(sizes):
        if axis >= len(first):
            ranges.append(range(size))
            continue
        begin = None if options.BeginMask() >> axis & 1 else first[axis]
        end = None if options.EndMask() >> axis & 1 else last[axis]
        if options.ShrinkAxisMask() >> axis & 1:
            at = first[axis] % size if -size <= first[axis] < size else -1
            ranges.append(range(at, at + 1) if at >= 0 else range(0))
        else:
            ranges.append(range(size)[slice(begin, end, step[axis])])
    _cut(importer, operator, ranges)


def cut(importer: TfliteImporter, operator: Operator) -> None:
    """SLICE: from a place on, as many values as stated, or all of them for -1."""
    importer.check_same_quantity(operator)
    first, count = (importer.integers(operator, position, "bound") for position in (1, 2))
    sizes = importer.tensor(operator, 0).shape
    if not len(first) == len(count) == len(sizes):
        importer.refuse(operator, f"has the bounds {first} and {count} for {sizes}")
    _cut(
        importer,
        operator,
        [
            range(size)[begin : size if many == -1 else begin + many]
            for size, begin, many in zip(sizes, first, count, strict=True)
        ],
    )


def split(importer: TfliteImporter, operator: Operator) -> None:
    """SPLIT and SPLIT_V: parts along an axis, of equal or of given sizes."""
    data, where = (0, 2) if operator.name == "SPLIT_V" else (1, 0)
    tensor = importer.tensor(operator, data)
    dims = importer.dims(operator, tensor)
    axis = importer.axis(operator, dims, importer.integers(operator, where, "axis")[0])
    count, size = len(operator.outputs), dims[axis]
    if operator.name == "SPLIT_V":
        sizes = importer.integers(operator, 1, "sizes")
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = size - sum(sizes) - 1
    else:
        sizes = [size // max(count, 1)] * count
    if len(sizes) != count or sum(sizes) != size or min(sizes, default=0) < 1:
        importer.refuse(operator, f"splits {size} values into the sizes {sizes}")
    quantity = importer.draft.quantities[importer.source(operator, data)]
    start = 0
    for position, each in enumerate(sizes):
        if importer.output(operator, position)[1] != quantity:
            importer.refuse(operator, "changes scale or zero point, although it only cuts")
        places = np.arange(start, start + each, dtype=np.int32)
        select_axes(importer, operator, dims, {axis: places}, position, data)
        start += each


def resize_nearest(importer: TfliteImporter, operator: Operator) -> None:
    """RESIZE_NEAREST_NEIGHBOR: the nearest row and column, in single precision as in LiteRT."""
    importer.check_same_quantity(operator)
    options = operator.options(tflite.ResizeNearestNeighborOptions)
    shape = image(importer, operator)
    sizes = importer.integers(operator, 1, "size")
    if len(sizes) != 2 or not all(1 <= size <= 1 << 16 for size in sizes):
        importer.refuse(operator, f"has the size {sizes}; two of at least 1 are needed")
    align, half = bool(options.AlignCorners()), bool(options.HalfPixelCenters())
    places = [_nearest(a, b, align, half) for a, b in zip(shape, sizes, strict=False)]
    dims = importer.dims(operator, importer.tensor(operator, 0))
    select_axes(importer, operator, dims, {len(dims) - 3: places[0], len(dims) - 2: places[1]})


def _nearest(size: int, target: int, align: bool, half: bool) -> Int32:
    """The place in the input of each of `target` values."""
    one = np.float32(1)
    scale = (
        np.float32(size - 1) * one / np.float32(target - 1)
        if align and target > 1
        else np.float32(size) * one / np.float32(target)
    )
    exact = (np.arange(target, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    places = np.floor(exact + np.float32(0.5)) if align else np.floor(exact)
    return np.clip(places.astype(np.int64), 0, size - 1).astype(np.int32)


def concatenation(importer: TfliteImporter, operator: Operator) -> None:
    """CONCATENATION: along any axis; uint8 tensors may have different scales."""
    options = operator.options(tflite.ConcatenationOptions)
    fields = importer.fields(operator, options.FusedActivationFunction(), len(operator.inputs))
    if options.FusedActivationFunction():
        importer.refuse(operator, "has a fused activation, which LiteRT's kernel does not compute")
    after = importer.output(operator)[1]
    dims = [
        importer.dims(operator, importer.tensor(operator, i)) for i in range(len(operator.inputs))
    ]
    axis = importer.axis(operator, dims[0], int(options.Axis()))
    unsigned = importer.output(operator)[0].kind == "UINT8"
    tables, names = [], []
    for position, source in enumerate(fields["inputs"]):
        before = importer.draft.quantities[source]
        if before != after and not unsigned:
            importer.refuse(
                operator,
                f"joins {importer.tensor(operator, position).name!r} of {before} to {after}; "
                "LiteRT's kernel needs the same scale and zero point of all int8 tensors",
            )
        if len(dims[position]) != len(dims[0]):
            importer.refuse(operator, f"joins tensors of {dims}; they need as many dimensions")
        tables.append(_brought(before, after))
        title = f"{fields['name']}_{position}"
        name, place = along(
            importer.draft, title, source, dims[position], axis, importer.place(operator)
        )
        names.append((name, place))
    places = {place for _, place in names}
    if len(places) != 1:  # sizes of 1 before the axis in some tensors only
        importer.refuse(operator, f"joins tensors of {dims} along axis {axis}")
    fields["inputs"] = tuple(name for name, _ in names)
    importer.add(operator, Concat(**fields, axis=places.pop(), tables=np.array(tables, np.int8)))


def _brought(before: Quantity, after: Quantity) -> Int8:
    """The table that brings a tensor to another scale, in single precision as in LiteRT."""
    if before == after:
        return VALUES.astype(np.int8)
    inverse = np.float32(1) / np.float32(after.scale)
    scale = np.float32(before.scale) * inverse
    bias = np.float32(-(before.zero + 128)) * scale
    made = (VALUES + 128).astype(np.float32) * scale + bias
    rounded = np.copysign(np.floor(np.abs(made) + np.float32(0.5)), made).astype(np.int64)
    return saturated(rounded + after.zero, (-128, 127))


def _cut(importer: TfliteImporter, operator: Operator, ranges: Sequence[range]) -> None:
    """The values of a tensor at the places `ranges` of its axes, the batch included."""
    dims = importer.dims(operator, importer.tensor(operator, 0))
    skip = len(ranges) - len(dims)
    if skip and list(ranges[0]) != list(range(importer.batch)):
        importer.refuse(operator, f"cuts the batch of {importer.batch}")
    if any(not len(each) for each in ranges):
        importer.refuse(operator, "leaves no values")
    places = {
        axis: np.array(each, np.int32)
        for axis, each in enumerate(ranges[skip:])
        if list(each) != list(range(dims[axis]))
    }
    if places:
        select_axes(importer, operator, dims, places)
    else:
        importer.keep(operator, importer.source(operator))


def select_axes(
    importer: TfliteImporter,
    operator: Operator,
    dims: Dims,
    places: dict[int, Int32],
    position: int = 0,
    data: int = 0,
) -> None:
    """The operator's output `position`: chosen places along some axes of input `data`."""
    draft, place = importer.draft, importer.place(operator)
    source = importer.source(operator, data)
    title = importer.title(operator) + (f"_{position}" if position else "")
    quantity = draft.quantities[source]
    items = [item for item in sorted(places.items()) if item[0] >= 0]
    fits = set(dims[:-3]) <= {1} and items[0][0] >= len(dims) - 3
    steps = [dict(items)] if fits else [{axis: chosen} for axis, chosen in items]
    for number, step in enumerate(steps):
        chosen = [np.arange(size, dtype=np.int32) for size in folded(dims)]
        if fits:
            for axis, values in step.items():
                chosen[axis - len(dims) + 3] = values
        else:
            (axis, values) = next(iter(step.items()))
            source, axis3 = along(draft, f"{title}_from{number}", source, dims, axis, place)
            chosen = [np.arange(size, dtype=np.int32) for size in draft.shapes[source]]
            chosen[axis3] = values
            dims = (*dims[:axis], len(values), *dims[axis + 1 :])
        node = Select(
            title if number == len(steps) - 1 else f"{title}_cut{number}",
            (source,),
            quantity.zero,
            quantity.scale,
            rows=chosen[0],
            columns=chosen[1],
            channels=chosen[2],
        )
        if number == len(steps) - 1:
            importer.add(operator, node, position)
        else:
            shape = len(chosen[0]), len(chosen[1]), len(chosen[2])
            source = draft.add(node, shape, None, place)


def _transposed(importer: TfliteImporter, operator: Operator, dims: Dims, order: Dims) -> None:
    """The operator's output: its input, seen as `dims`, in another order."""
    _, _, shape = importer.output(operator)
    name = transposed(
        importer.draft,
        f"{importer.title(operator)}",
        importer.source(operator),
        dims,
        order,
        shape,
        importer.place(operator),
    )
    importer.adopt(operator, name)
