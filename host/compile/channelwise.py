"""When the depthwise unit works on a layer, in cycles: see `dscim.gateware.engine.depthwise`.

The steps of a window follow each other; the sums of a window wait until those before it have left
to the requantiser, which for a column tile waits for its parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dscim.gateware.kernels import kernel_rows, tap_parts
from dscim.gateware.layout import ceil_div, pixel_words
from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

LOADING = 4
"""Cycles of a column tile's weights beyond those of their rows."""

FOUND = 2
"""Cycles until the row of the first window is known, beyond the rows that it lies above."""

FIRST = 10
"""Cycles from the beginning of a column tile to its first sums, beyond those of its steps."""

PARAMETERS = 2
"""Cycles of a column tile's parameters beyond one for each channel."""

NEXT = 2
"""Cycles from the last sums of a column tile to the next column tile."""


@dataclass(frozen=True)
class Window:
    """The beats of a window, and the output rows that it has: one or two."""

    beats: int
    rows: int


def channelwise_end(spec: SocSpec, layer: LayerSpec, channels: int) -> tuple[int, int]:
    """The cycle in which the requantiser accepts the last sums, and how long they take.

    Cycle 0 is that in which the layer begins. channels: those of the descriptor.
    """
    wide = WORD_BYTES * spec.banks
    steps = max(1, layer.product.samples // spec.depthwise)
    body = layer.depth * tap_parts(spec, channels)
    loading = LOADING + body * steps + kernel_rows(spec, channels, layer.depth) - body
    windows = list(_windows(spec, layer))
    begin, left, busy = 0, 0, 0
    ready = min(wide, channels) + PARAMETERS
    found = FOUND + max(0, layer.padding[0][0])
    for first in range(0, channels, wide):
        parts = [ceil_div(part, spec.requant_lanes) for part in _parts(spec, channels - first)]
        begin = max(begin + loading, found)
        summed, opens = begin + FIRST, True
        for window in windows:
            summed = max(summed + window.beats * steps, left)
            for place, part in enumerate(parts * window.rows):
                accepted = max(left + busy, 0 if place else summed + 1, ready if opens else 0)
                if opens:
                    ready = accepted + min(wide, channels - first - wide) + PARAMETERS
                left, busy, opens = accepted, part, False
        begin = summed + NEXT
    return left, busy


def _parts(spec: SocSpec, channels: int) -> Iterator[int]:
    """The channels of each part in which the sums of a pixel leave. channels: those that are left
    in the layer."""
    wide = WORD_BYTES * spec.banks
    lanes = WORD_BYTES * max(1, min(spec.requant_lanes // WORD_BYTES, spec.banks))
    size = min(max(spec.macro.columns, lanes), wide)
    for first in range(0, min(wide, channels), size):
        yield min(size, channels - first)


def _windows(spec: SocSpec, layer: LayerSpec) -> Iterator[Window]:
    """The windows of a column tile: of two output rows, without what lies outside the input."""
    planes = pixel_words(layer.input[2])
    together = spec.banks // planes if planes & (planes - 1) == 0 else 1
    together = max(1, together)
    height, width = layer.output[:2]
    columns = [
        _inside(place, layer.kernel[1], layer.stride[1], layer.padding[1][0], layer.input[1])
        for place in range(width)
    ]
    for row in range(0, height, 2):
        count = min(2, height - row)
        size = layer.kernel[0] + (layer.stride[0] if count == 2 else 0)
        rows = _inside(row, size, layer.stride[0], layer.padding[0][0], layer.input[0])
        for inside in columns:
            yield Window(max(1, inside * ceil_div(rows, together)), count)


def _inside(place: int, size: int, stride: int, before: int, limit: int) -> int:
    """The positions of a window of `size` that are inside the input, along one axis."""
    start = place * stride - before
    return max(0, min(start + size, limit) - max(start, 0))
