"""Weights of dilated, grouped and transposed convolutions as those of plain ones.

The macro has plain convolutions only. Weights of zero in between compute the same sums: they add
nothing to an exact product, and in the signed mode split they never fire.
"""

import numpy as np

from dscim.arrays import Int8, Int32, Int64
from dscim.gateware.specs.base import require
from dscim.gateware.specs.layer import MAX_CHANNELS, MAX_SIDE
from dscim.gateware.specs.product import MAX_DEPTH
from dscim.host.network.node import Pair, Shape


def spread(weights: Int64, axes: Pair, factors: Pair) -> Int64:
    """The weights with factor-1 zeros between neighbours along the two `axes`."""
    sizes = list(weights.shape)
    places = [slice(None)] * weights.ndim
    for axis, factor in zip(axes, factors, strict=True):
        sizes[axis] = (sizes[axis] - 1) * factor + 1
        places[axis] = slice(None, None, factor)
    wide = np.zeros(sizes, np.int64)
    wide[tuple(places)] = weights
    return wide


def ungrouped(weights: Int64, groups: int) -> Int64:
    """The weights OHWI of a convolution in groups, for all channels: (O, H, W, groups * I)."""
    outputs, height, width, depth = weights.shape
    each = outputs // groups
    full = np.zeros((outputs, height, width, groups * depth), np.int64)
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        full[rows, :, :, group * depth : (group + 1) * depth] = weights[rows]
    return full


def within_int8(weights: Int64) -> tuple[Int8, list[int]]:
    """Weights OHWI of up to 9 bits as int8 weights of more channels, which sum to them.

    Returns (O, H, W, channels) and the input's channel of each; a channel is repeated for what its
    weights exceed int8 by. Equal sums of integers, so an exact product is the same.
    """
    parts, channels = [np.clip(weights, -128, 127)], list(range(weights.shape[3]))
    rest = weights - parts[0]
    while rest.any():
        more = [int(c) for c in np.nonzero(rest.any(axis=(0, 1, 2)))[0]]
        parts.append(np.clip(rest[..., more], -128, 127))
        rest[..., more] -= parts[-1]
        channels += more
    return np.concatenate(parts, axis=3).astype(np.int8), channels


def stuffed(size: int, stride: int, before: int, after: int) -> Int32:
    """Places of a Select that puts stride-1 zeros between `size` values.

    before, after: zeros at the ends; values are cut where they are negative. SpecError for more
    places than a side of a tensor may have.
    """
    length = (size - 1) * stride + 1 + max(before, 0) + max(after, 0)
    require(
        length <= MAX_SIDE,
        f"A side of {size} values is spread over {length} places; the limit is {MAX_SIDE}.",
    )
    places = np.full((size - 1) * stride + 1, -1, np.int32)
    places[::stride] = np.arange(size)
    places = np.concatenate(
        [np.full(max(before, 0), -1, np.int32), places, np.full(max(after, 0), -1, np.int32)]
    )
    return places[max(-before, 0) : len(places) - max(-after, 0)]


def fits_layer(shape: Shape) -> bool:
    """Whether a layer may have this input."""
    return max(shape[:2]) <= MAX_SIDE and shape[2] <= MAX_CHANNELS


def too_deep(depth: int) -> str:
    """Why a product has too many inputs, as the end of a sentence; "" if it has not."""
    if depth <= MAX_DEPTH:
        return ""
    return (
        f"has products of {depth} inputs; more than {MAX_DEPTH} could leave 32 bits: split it into "
        "two whose outputs are added"
    )


MAX_WEIGHTS = 1 << 26
"""The most weights that one operator may expand to."""


def too_large(shape: tuple[int, ...], factors: Pair, channels: int) -> str:
    """Why weights OHWI of `shape`, dilated by `factors`, for `channels` are too many, or "".

    The text is the end of a sentence.
    """
    sides = [(size - 1) * factor + 1 for size, factor in zip(shape[1:3], factors, strict=True)]
    depth = sides[0] * sides[1] * channels
    if depth * shape[0] > MAX_WEIGHTS:
        return (
            f"becomes {depth * shape[0]} weights with the zeros of its dilation and groups; the "
            f"limit is {MAX_WEIGHTS}"
        )
    return too_deep(depth)
