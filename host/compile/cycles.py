"""The engine's cycle model: predicts `cycles_busy` of a layer from its sizes alone.

A layer takes one or more descriptors; a descriptor consists of column tiles, strips of pixels and
row tiles, in the order of `dscim.gateware.engine`. A row tile waits for its weights and its first
window, and then yields products at the rate of the slowest of macro, fetch and drain. The link is
not part of the model. `tests/test_prune_cycles.py` compares it with the simulator's counters.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dscim.errors import UserError
from dscim.gateware.descriptor import Operation
from dscim.gateware.layout import ceil_div, pixel_words
from dscim.gateware.specs import LayerSpec, MacroSpec, SocSpec
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.packing import best_packing, packed_layer
from dscim.host.compile.products import column_groups, depthwise_groups

DESCRIPTOR = 52
"""Cycles outside a descriptor's row tiles: reading and checking it, writing the last outputs."""

ADDITION = 12
"""Additional cycles that an addition takes to write its last outputs."""

FETCH = 9
"""Cycles from a row tile's start to its first product, without its beats and the macro's stages."""

ADD_FETCH, POOL_FETCH = 3, 4
"""Cycles to the first output of an add and of a pool, without their beats."""

DIVISION = 9
"""Cycles in which an average is divided."""


@dataclass(frozen=True)
class RowTile:
    """The timing of a row tile.

    rows: rows of the weight memory. beats: cycles to fetch a window.
    """

    rows: int
    beats: int


def product_cycles(spec: SocSpec, layer: LayerSpec, residual: bool = False) -> int:
    """Busy cycles per image of a convolution, depthwise or not, or a fully connected layer.

    residual: whether its outputs are added to a tensor, whose words are read before the windows;
    the cycles are then only an estimate if windows take longer to fetch than to multiply. The
    whole layer is in the device's memories, except that weights may be loaded in column groups.
    UserError if not even one column tile's weights fit.
    """
    layer = packed_layer(layer, best_packing(spec, layer))
    macro = spec.macros[spec.macro_for(layer.product)]
    cycles = [
        _descriptor(spec, layer, macro, tiles, columns, residual)
        for tiles, columns in _descriptors(spec, layer)
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
    spec: SocSpec, layer: LayerSpec
) -> Iterator[tuple[tuple[RowTile, ...], tuple[int, ...]]]:
    """Row tiles of each descriptor of a layer, and the outputs of its column tiles."""
    taps, columns = layer.kernel[0] * layer.kernel[1], spec.macro.columns
    if layer.depthwise:
        for group in depthwise_groups(spec, layer):
            compact = group.operation is Operation.DEPTHWISE
            tiles = _tiles(spec, taps, min(len(group.inputs), UNIT_ROWS), compact)
            yield tiles, tuple(_cut(len(group.outputs), UNIT_ROWS if compact else columns))
        return
    groups = column_groups(spec, layer)
    if not groups:
        raise UserError(
            f"a layer of {layer.depth} inputs per product does not fit the device's "
            f"{spec.weight_rows} rows of weight memory; build a device with more."
        )
    for outputs in groups:
        yield _tiles(spec, taps, layer.input[2], False), tuple(_cut(len(outputs), columns))


def _tiles(spec: SocSpec, taps: int, inputs: int, compact: bool) -> tuple[RowTile, ...]:
    """The row tiles of a window of `inputs` channels per tap.

    A beat brings a word of every bank at most.
    """
    units = taps * pixel_words(inputs)
    return tuple(
        RowTile(
            spec.header_rows
            + (
                ceil_div(UNIT_ROWS * size, spec.macro.columns)
                if compact
                else ceil_div(taps * inputs * size, units)
            ),
            ceil_div(size, spec.banks),
        )
        for size in _cut(units, spec.macro.units)
    )


def _descriptor(
    spec: SocSpec,
    layer: LayerSpec,
    macro: MacroSpec,
    tiles: tuple[RowTile, ...],
    column_sizes: tuple[int, ...],
    residual: bool,
) -> int:
    """Busy cycles of one descriptor of products; column_sizes: the outputs of each column tile."""
    product = macro.cycles(layer.product)
    fetch = 2 + FETCH + _stages(macro) + product
    clock = _Clock()
    for columns in column_sizes:
        drain = ceil_div(columns, spec.requant_lanes)
        for pixels in _cut(layer.output[0] * layer.output[1], spec.strip):
            for index, tile in enumerate(tiles):
                final = index == len(tiles) - 1
                words = ceil_div(columns, WORD_BYTES) if final and residual else 0
                clock.row_tile(
                    tile.rows,
                    fetch + tile.beats,
                    pixels,
                    max(product, tile.beats + words),
                    drain if final else 0,
                )
    return clock.now + ADDITION * residual + ceil_div(column_sizes[-1], spec.requant_lanes)


def _vector(spec: SocSpec, layer: LayerSpec, period: int, first: int) -> int:
    """Busy cycles of an add or a pool: eight channels per column tile, one row tile."""
    clock, drain = _Clock(), 0
    for channels in _cut(layer.outputs, min(WORD_BYTES, spec.macro.columns)):
        drain = ceil_div(channels, spec.requant_lanes)
        for pixels in _cut(layer.output[0] * layer.output[1], spec.strip):
            clock.row_tile(0, 2 + first, pixels, period, drain)
    return clock.now + drain


class _Clock:
    """Counts the cycles of a descriptor in `now`."""

    def __init__(self) -> None:
        self.now, self._drained, self._free = DESCRIPTOR, 0, DESCRIPTOR

    def row_tile(self, rows: int, first: int, pixels: int, period: int, drain: int) -> None:
        """Adds a row tile: the first result after `first` cycles, then one every `period`.

        rows: rows of weights, which are loaded while the previous row tile computes. drain: cycles
        per result in the requantiser, 0 if the sums stay in the accumulator. The requantiser may
        still be busy with the results of the previous tile.
        """
        start, others = max(self.now, self._free + rows), (pixels - 1) * max(period, drain)
        self._free = start
        self.now = start + first + others
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
