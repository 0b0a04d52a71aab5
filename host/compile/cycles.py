"""The engine's cycle model: predicts `cycles_busy` of a layer from its sizes alone.

A layer takes one or more descriptors; a descriptor consists of column tiles, strips of pixels and
row tiles, in the order of `dscim.gateware.engine`. A row tile loads its weights, waits for its
first window, and then yields products at the rate of the slowest of macro, fetch and drain. The
link is not part of the model. `tests/test_prune_cycles.py` compares it with the simulator's
counters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dscim.errors import UserError
from dscim.gateware.layout import ceil_div
from dscim.gateware.specs import LayerSpec, MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.packing import Packing, packed_layer, packings, stacked_rows
from dscim.host.compile.products import column_groups, depthwise_outputs, depthwise_tiles

DESCRIPTOR = 52
"""Cycles outside a descriptor's row tiles: reading and checking it, writing the last outputs."""

ADDITION = 12
"""Additional cycles that an addition takes to write its last outputs."""

FETCH = 9
"""Cycles from a row tile's start to its first product, without its beats and the macro's stages."""

TRANSPOSE = 2
"""Cycles that transposing a window adds to its beats."""

ADD_FETCH, POOL_FETCH = 3, 4
"""Cycles to the first output of an add and of a pool, without their beats."""

DIVISION = 9
"""Cycles in which an average is divided."""

MIN_PERIOD = 2
"""Minimum cycles between products, because of the accumulator."""


@dataclass(frozen=True)
class RowTile:
    """The timing of a row tile.

    rows: rows of weights. beats: cycles to fetch a window. period: minimum cycles between windows,
    as far as the fetch limits them. first: additional cycles of the first window.
    """

    rows: int
    beats: int
    period: int
    first: int


def product_cycles(spec: SocSpec, layer: LayerSpec, residual: bool = False) -> int:
    """Busy cycles per image of a convolution, depthwise or not, or a fully connected layer.

    residual: whether its outputs are added to a tensor, whose words are read before the windows;
    the cycles are then only an estimate if windows take longer to fetch than to multiply. The
    whole layer is in the device's memories, except that weights may be loaded in column groups.
    UserError if not even one column tile's weights fit.
    """
    return _cycles(spec, layer, best_packing(spec, layer), residual)


@lru_cache(maxsize=4096)
def best_packing(spec: SocSpec, layer: LayerSpec) -> Packing:
    """The packing among `packings` with which the layer takes the fewest cycles."""
    return min(packings(spec, layer), key=lambda packing: _cycles(spec, layer, packing))


def _cycles(spec: SocSpec, layer: LayerSpec, packing: Packing, residual: bool = False) -> int:
    """Busy cycles with this packing."""
    layer = packed_layer(layer, packing)
    macro = spec.macros[spec.macro_for(layer.product)]
    cycles = [
        _descriptor(spec, layer, macro, tiles, outputs, residual)
        for tiles, outputs in _descriptors(spec, layer, packing.windows)
    ]
    return sum(cycles) + len(cycles) - 1


def add_cycles(spec: SocSpec, layer: LayerSpec) -> int:
    """Busy cycles of an add of two tensors of `layer.input`."""
    return _vector(spec, layer, 2, 2 + ADD_FETCH) + ADDITION


def pool_cycles(spec: SocSpec, layer: LayerSpec, averages: bool = False) -> int:
    """Busy cycles of a pool with the window of `layer`, depthwise.

    averages: whether each window's sum is divided by its positions.
    """
    taps = layer.kernel[0] * layer.kernel[1] + (DIVISION if averages else 0)
    return _vector(spec, layer, taps + 1, taps + POOL_FETCH)


def _descriptors(
    spec: SocSpec, layer: LayerSpec, windows: int
) -> Iterator[tuple[tuple[RowTile, ...], range]]:
    """Row tiles and output channels of each descriptor of a layer.

    windows: number of the layer's windows that are stacked in a row tile.
    """
    taps = layer.kernel[0] * layer.kernel[1]
    if layer.depthwise:
        for channels in depthwise_tiles(spec, layer):
            inputs = (channels.start % WORD_BYTES, len(channels))
            tiles = (
                _transposed(*inputs, taps)
                if taps * len(channels) <= spec.macro.rows
                else _straight(*inputs, taps, spec.macro.rows)
            )
            yield tiles, depthwise_outputs(layer, channels)
        return
    groups = column_groups(layer.depth, layer.outputs, spec)
    if not groups:
        raise UserError(
            f"a layer of {layer.depth} inputs per product does not fit the device's "
            f"{spec.weight_rows} rows of weight memory; build a device with more."
        )
    tiles = _straight(0, layer.input[2], taps, spec.macro.rows)
    if windows > 1:
        rows = stacked_rows(layer.depth, windows, spec.macro.or_width)
        beats = windows * tiles[0].beats
        tiles = (RowTile(rows, beats, beats, 0),)
    for outputs in groups:
        yield tiles, outputs


@lru_cache(maxsize=4096)
def _straight(first: int, inputs: int, taps: int, rows: int) -> tuple[RowTile, ...]:
    """The row tiles of windows in memory order: `inputs` channels of each tap.

    A beat ends at the end of a word, of a pixel's channels or of the tile. first: the position
    of the first channel in its word.
    """
    row = np.arange(inputs * taps)
    word = row // inputs * inputs + (first + row % inputs) // WORD_BYTES
    begins = (row % rows == 0) | (np.diff(word, prepend=-1) != 0)
    starts = row[::rows]
    beats = np.add.reduceat(begins.astype(np.int64), starts)
    return tuple(
        RowTile(min(rows, inputs * taps - int(start)), int(count), int(count), 0)
        for start, count in zip(starts, beats, strict=True)
    )


@lru_cache(maxsize=4096)
def _transposed(first: int, inputs: int, taps: int) -> tuple[RowTile, ...]:
    """The only row tile of windows that are transposed to channel order.

    first: as for `_straight`. With an odd number of taps all channels of a beat are stored at once,
    otherwise 4, 2 or 1.
    """
    divisor = min(WORD_BYTES, taps & -taps)
    channel = first + np.arange(inputs)
    sizes = np.unique(channel // WORD_BYTES, return_counts=True)[1]
    cycles = taps * sum(ceil_div(int(size) * divisor, WORD_BYTES) for size in sizes)
    out = ceil_div(inputs * taps, WORD_BYTES)
    return (RowTile(inputs * taps, cycles, max(cycles, out), out + TRANSPOSE),)


def _descriptor(
    spec: SocSpec,
    layer: LayerSpec,
    macro: MacroSpec,
    tiles: tuple[RowTile, ...],
    outputs: range,
    residual: bool,
) -> int:
    """Busy cycles of one descriptor of products."""
    product = macro.cycles(layer.product)
    fetch = 2 + FETCH + _stages(macro) + product
    clock = _Clock()
    for columns in _cut(len(outputs), spec.macro.columns):
        drain = ceil_div(columns, spec.requant_lanes)
        for pixels in _cut(layer.output[0] * layer.output[1], spec.strip):
            for index, tile in enumerate(tiles):
                final = index == len(tiles) - 1
                words = ceil_div(columns, WORD_BYTES) if final and residual else 0
                clock.row_tile(
                    fetch + tile.rows + tile.beats + tile.first,
                    pixels,
                    max(product, tile.period + words, MIN_PERIOD),
                    drain if final else 0,
                )
    last = (len(outputs) - 1) % spec.macro.columns + 1
    return (
        clock.now
        + ADDITION * residual
        + ceil_div(outputs.start % spec.requant_lanes + last, spec.requant_lanes)
    )


def _vector(spec: SocSpec, layer: LayerSpec, period: int, first: int) -> int:
    """Busy cycles of an add or a pool: eight channels per column tile, one row tile."""
    clock, drain = _Clock(), 0
    for channels in _cut(layer.outputs, min(WORD_BYTES, spec.macro.columns)):
        drain = ceil_div(channels, spec.requant_lanes)
        for pixels in _cut(layer.output[0] * layer.output[1], spec.strip):
            clock.row_tile(2 + first, pixels, period, drain)
    return clock.now + drain


class _Clock:
    """Counts the cycles of a descriptor in `now`."""

    def __init__(self) -> None:
        self.now, self._drained = DESCRIPTOR, 0

    def row_tile(self, first: int, pixels: int, period: int, drain: int) -> None:
        """Adds a row tile: the first result after `first` cycles, then one every `period`.

        drain: cycles per result in the requantiser, 0 if the sums stay in the accumulator. The
        requantiser may still be busy with the results of the previous tile.
        """
        start, others = self.now, (pixels - 1) * max(period, drain)
        self.now += first + others
        if drain:
            self.now = max(self.now, max(self._drained, start) + others)
            self._drained = self.now + drain


def _cut(size: int, step: int) -> Iterator[int]:
    """The sizes of the parts when `size` is cut every `step`; the last may be smaller."""
    for start in range(0, size, step):
        yield min(step, size - start)


def _stages(macro: MacroSpec) -> int:
    """Cycles from the issue of a product's last step until the column counters are final."""
    if macro.form == "array":
        return 1
    return 4 if macro.form == "selected" and macro.lanes > 1 else 2
