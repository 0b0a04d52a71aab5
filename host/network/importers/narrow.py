"""Weights of 9 bits, of uint8 tensors with a zero point, as int8 weights of repeated channels."""

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.host.network import Select
from dscim.host.network.importers.draft import Draft
from dscim.host.network.importers.expand import within_int8

INT8 = (-128, 127)


def is_int8(weights: Int64) -> bool:
    """Whether all weights fit int8."""
    return bool(weights.min() >= INT8[0] and weights.max() <= INT8[1])


def narrowed(draft: Draft, name: str, source: str, weights: Int64, place: str) -> tuple[str, Int8]:
    """The input and the int8 weights OHWI of a convolution with `weights` on `source`.

    Where weights exceed int8, the input's channel is repeated, and the rest is the weight of its
    copy: the sums are equal integers.
    """
    if is_int8(weights):
        return source, weights.astype(np.int8)
    small, channels = within_int8(weights)
    quantity, (height, width, _) = draft.quantities[source], draft.shapes[source]
    node = Select(
        name,
        (source,),
        quantity.zero,
        quantity.scale,
        rows=np.arange(height, dtype=np.int32),
        columns=np.arange(width, dtype=np.int32),
        channels=np.array(channels, np.int32),
    )
    return draft.add(node, (height, width, len(channels)), None, place), small
