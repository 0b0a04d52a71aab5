"""Tensors of any number of dimensions as images (height, width, channels), in the same order.

A tensor's values are never moved: the last two dimensions are the width and the channels, and all
dimensions before them are together the height.
"""

from dataclasses import replace

from dscim.host.network import Node, Reshape, Shape, Transpose
from dscim.host.network.importers.draft import Draft

Dims = tuple[int, ...]

MAX_DIMENSION = 1 << 20
"""The largest dimension of an activation: far more than a layer takes, so that a damaged file is
refused before anything of that size is made."""


def product(sizes: Dims) -> int:
    """The product of the sizes, exactly."""
    total = 1
    for size in sizes:
        total *= size
    return total


def folded(dims: Dims) -> Shape:
    """The image of a tensor of `dims`."""
    width, channels = (1, 1, *dims)[-2:]
    return product(dims[:-2]), width, channels


def image_axis(dims: Dims, axis: int) -> int | None:
    """The axis of the image that is exactly the tensor's `axis`; None if there is none."""
    place = axis - len(dims) + 3
    if place >= 1:
        return place
    others = product(dims[:axis] + dims[axis + 1 : max(len(dims) - 2, 0)])
    return 0 if others == 1 else None


def reshaped(draft: Draft, name: str, source: str, shape: Shape, place: str) -> str:
    """The tensor `source` in another shape: a Reshape, or `source` itself."""
    if draft.shapes[source] == shape:
        return source
    quantity = draft.quantities[source]
    named = draft.unique(name)
    node = Reshape(named, (source,), quantity.zero, quantity.scale, shape=shape)
    return draft.add(node, shape, None, place)


def transposed(
    draft: Draft, name: str, source: str, dims: Dims, order: Dims, shape: Shape, place: str
) -> str:
    """The tensor `source` of `dims`, its dimensions in `order`, as an image of `shape`.

    A Reshape is enough if only dimensions of size 1 move.
    """
    moved = [axis for axis in order if dims[axis] != 1]
    if moved == sorted(moved):
        return reshaped(draft, name, source, shape, place)
    quantity = draft.quantities[source]
    kept = [axis for axis in range(len(dims)) if dims[axis] != 1]
    node = Transpose(
        draft.unique(name),
        (source,),
        quantity.zero,
        quantity.scale,
        sizes=tuple(dims[axis] for axis in kept),
        order=tuple(kept.index(axis) for axis in moved),
        shape=shape,
    )
    return draft.add(node, shape, None, place)


def along(
    draft: Draft, name: str, source: str, dims: Dims, axis: int, place: str
) -> tuple[str, int]:
    """The tensor in a shape in which `axis` is an axis of the image, and that axis."""
    direct = image_axis(dims, axis)
    if direct is not None:
        return reshaped(draft, name, source, folded(dims), place), direct
    shape = product(dims[:axis]), dims[axis], product(dims[axis + 1 :])
    return reshaped(draft, name, source, shape, place), 1


def grouped(
    draft: Draft, name: str, source: str, dims: Dims, axes: Dims, place: str
) -> tuple[str, Dims]:
    """The tensor in a shape in which the `axes` are axes of the image, and those axes."""
    axes = tuple(axis for axis in axes if dims[axis] != 1)
    if len(dims) <= 3 or all(size == 1 for size in dims[:-3]):
        source = reshaped(draft, name, source, folded(dims), place)
        return source, tuple(axis - len(dims) + 3 for axis in axes)
    kept = tuple(axis for axis in range(len(dims)) if axis not in axes)
    counts = product(tuple(dims[axis] for axis in kept)), product(tuple(dims[a] for a in axes))
    return transposed(draft, name, source, dims, kept + axes, (1, *counts), place), (2,)


def finished(draft: Draft, node: Node, shape: Shape, place: str) -> tuple[Node, str | None]:
    """The operator's last node, whose output has `shape`.

    If that of `node` is another one, it is added under a longer name, and a Reshape is last.
    """
    made = node.output_shape([draft.shapes[name] for name in node.inputs])
    if made == shape or product(made) != product(shape):
        return node, None
    name = draft.add(replace(node, name=f"{node.name}_value"), made, None, place)
    return Reshape(node.name, (name,), node.output_zero, node.output_scale, shape=shape), name
