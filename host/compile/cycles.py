"""The engine's cycle model: predicts `cycles_busy` of a layer from its sizes alone.

A layer takes one or more descriptors; a descriptor consists of column tiles, strips of pixels and
row tiles, in the order of `dscim.gateware.engine`; `timeline` follows its pipelines. The link is
not part of the model. `tests/test_prune_cycles.py` compares it with the simulator's counters.
"""

from collections.abc import Iterator
from functools import lru_cache

from dscim.errors import UserError
from dscim.gateware.descriptor import Operation
from dscim.gateware.layout import ceil_div, pixel_words, unit_depth
from dscim.gateware.specs import LayerSpec, MacroSpec, SocSpec
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.channelwise import channelwise_end
from dscim.host.compile.packing import best_packing, packed_layer
from dscim.host.compile.products import ChannelGroup, column_groups, depthwise_groups
from dscim.host.compile.timeline import Pace, Tile, Timeline

SETUP = 35
"""Cycles before a layer begins: its descriptor is read and checked."""

SCALING, ADDITION = 7, 5
"""Cycles from the last outputs until they are written; what an addition adds to that."""

FILLED = 267
"""The cycle of a layer with additions from which its outputs are accepted: tables are filled."""

TAPS = 5
"""Cycles from the beginning of an add or a pool to its first tap at the unit."""

GAP, PAIR = 1, 1
"""Cycles between the row tiles of an add; how much earlier than a pool its first output leaves."""

DIVISION = 9
"""Cycles in which an average is divided."""

POOLING = 1
"""Cycles of a word on the way to the pool."""

MAX_MOVE = 8
"""Units by which a window moves in one beat at most."""


def product_cycles(spec: SocSpec, layer: LayerSpec, residual: bool = False) -> int:
    """Busy cycles per image of a convolution, depthwise or not, or a fully connected layer.

    residual: whether its outputs are added to a tensor, whose words are read before the windows;
    the cycles are then only an estimate if windows take longer to fetch than to multiply. The
    whole layer is in the device's memories, except that weights may be loaded in column groups.
    UserError if not even one column tile's weights fit.
    """
    return _product_cycles(spec, packed_layer(layer, best_packing(spec, layer)), residual)


@lru_cache(maxsize=4096)
def _product_cycles(spec: SocSpec, layer: LayerSpec, residual: bool) -> int:
    macro = spec.macros[spec.macro_for(layer.product)]
    groups = depthwise_groups(spec, layer) if layer.depthwise else []
    if groups and groups[0].operation is Operation.CHANNELWISE:
        return sum(_channelwise(spec, layer, group, residual) for group in groups)
    per_row = (
        1 if macro.ordered or layer.product.exact else ceil_div(layer.product.samples, macro.lanes)
    )
    pace = Pace(
        4 if macro.ordered or layer.product.exact else 4 + per_row,
        per_row,
        macro.cycles(layer.product),
        _latency(macro),
        _room(macro),
        layer.stride[1],
        layer.output[1],
        residual and spec.read_ports == 1,
    )
    cycles = [
        _descriptor(spec, layer, pace, residual, tiles, columns)
        for tiles, columns in _descriptors(spec, layer)
    ]
    return sum(cycles)


def add_cycles(spec: SocSpec, layer: LayerSpec) -> int:
    """Busy cycles of an add of two tensors of `layer.input`."""
    return _vector(spec, layer, 2, 2 + GAP, SETUP + FILLED + PAIR) + ADDITION - PAIR


def pool_cycles(spec: SocSpec, layer: LayerSpec, averages: bool = False) -> int:
    """Busy cycles of a pool with the window of `layer`, depthwise.

    averages: whether each window's sum is divided by its positions.
    """
    taps = layer.kernel[0] * layer.kernel[1] + (DIVISION if averages else 0)
    return _vector(spec, layer, taps + 1, taps + 1) + POOLING


def _channelwise(spec: SocSpec, layer: LayerSpec, group: ChannelGroup, residual: bool) -> int:
    """Busy cycles of a descriptor of the depthwise unit."""
    end, drain = channelwise_end(spec, layer, len(group.inputs))
    return SETUP + end + drain + SCALING + ADDITION * residual


def _descriptors(
    spec: SocSpec, layer: LayerSpec
) -> Iterator[tuple[tuple[Tile, ...], tuple[int, ...]]]:
    """Row tiles of each descriptor of a layer, and the outputs of its column tiles."""
    columns, planes = spec.macro.columns, pixel_words(layer.input[2])
    if layer.depthwise:
        for group in depthwise_groups(spec, layer):
            compact = group.operation is Operation.DEPTHWISE
            lanes = UNIT_ROWS if compact else len(group.inputs)
            tiles = _tiles(spec, layer.kernel, lanes, planes)
            yield tiles, tuple(_cut(len(group.outputs), UNIT_ROWS if compact else columns))
        return
    groups = column_groups(spec, layer)
    if not groups:
        raise UserError(
            f"a layer of {layer.depth} inputs per product does not fit the device's "
            f"{spec.weight_rows} rows of weight memory; build a device with more."
        )
    tiles = _tiles(spec, layer.kernel, layer.input[2], planes)
    for outputs in groups:
        yield tiles, tuple(_cut(len(outputs), columns))


@lru_cache(maxsize=4096)
def _tiles(spec: SocSpec, kernel: tuple[int, int], inputs: int, planes: int) -> tuple[Tile, ...]:
    """The row tiles of a window of `inputs` channels per tap, of pixels of `planes` planes."""
    read, tiles = pixel_words(inputs), []
    units, first = kernel[0] * kernel[1] * read, 0
    moves = read // MAX_MOVE + (read % MAX_MOVE).bit_count()
    while first < units:
        size = min(spec.macro.units, units - first)
        rows = unit_depth(inputs, first + size) - (unit_depth(inputs, first) if first else 0)
        beats, reach = _search(spec, kernel, read, read == planes, first, size)
        tiles.append(Tile(rows, spec.header_rows, size, beats + (moves - 1 if reach else 0), reach))
        first += size
    return tuple(tiles)


def _search(
    spec: SocSpec, kernel: tuple[int, int], planes: int, whole: bool, first: int, size: int
) -> tuple[int, int]:
    """The beats of a move in a row tile, and the moves that fill it.

    As `dscim.gateware.engine.table`: a beat reads lines that follow each other. whole: windows have
    all planes of their pixels.
    """
    places = [
        (*divmod(tap, kernel[1]), plane)
        for tap, plane in (divmod(unit, planes) for unit in range(first, first + size))
    ]
    begins = places[0]
    pitch = planes if whole else ceil_div(planes, spec.banks) * spec.banks
    beats, reach, last = 0, 0, None
    for unit, (ky, kx, plane) in enumerate(places):
        begun = begins[1] + (plane < begins[2]) if ky == begins[0] else 0
        reach = max(reach, kx - begun)
        if kx == kernel[1] - 1 or size - unit <= planes:
            beat = ((ky - begins[0]) * pitch + plane) // spec.banks
            beats += beat != last
            last = beat
    return beats, reach


def _descriptor(
    spec: SocSpec,
    layer: LayerSpec,
    pace: Pace,
    residual: bool,
    tiles: tuple[Tile, ...],
    column_sizes: tuple[int, ...],
) -> int:
    """Busy cycles of one descriptor of products; column_sizes: the outputs of each column tile."""
    timeline, drain = Timeline(pace, FILLED if residual else 0), 0
    for columns in column_sizes:
        drain = ceil_div(columns, spec.requant_lanes)
        first = 0
        for pixels in _cut(layer.output[0] * layer.output[1], spec.strip):
            for tile in tiles:
                final = tile is tiles[-1]
                timeline.run(tile, pixels, first % pace.width, drain if final else 0)
            first += pixels
    return SETUP + timeline.end + drain + SCALING + ADDITION * residual


def _vector(spec: SocSpec, layer: LayerSpec, period: int, first: int, ready: int = 0) -> int:
    """Busy cycles of an add or a pool: the channels of a step per column tile, one row tile.

    ready: the first cycle in which an output is accepted.
    """
    now, free, drain = max(SETUP + TAPS, ready - first), 0, 0
    wide = WORD_BYTES * max(1, min(spec.requant_lanes // WORD_BYTES, spec.banks))
    for channels in _cut(layer.outputs, wide):
        drain = ceil_div(channels, spec.requant_lanes)
        for pixels in _cut(layer.output[0] * layer.output[1], spec.strip):
            now += first + (pixels - 1) * max(period, drain)
            now = max(now, free)
            free = now + drain
    return now + drain + SCALING


def _cut(size: int, step: int) -> Iterator[int]:
    """The sizes of the parts when `size` is cut every `step`; the last may be smaller."""
    for start in range(0, size, step):
        yield min(step, size - start)


def _latency(macro: MacroSpec) -> int:
    """Cycles from the issue of a product's last step until it is finished."""
    if macro.form == "exact":
        return 4
    if macro.ordered:
        return 3 if macro.form == "array" else 4
    several = macro.or_width * macro.max_samples > macro.lanes
    granules, wide = macro.groups * min(macro.lanes, macro.or_width), macro.lanes > macro.or_width
    numbers = granules if wide else _single_numbers(macro, granules)
    counted = wide and macro.signed != ("offset",)  # granules have a register of their own
    return 2 * several + counted + (numbers - 1).bit_length() + 1


def _single_numbers(macro: MacroSpec, granules: int) -> int:
    """Numbers that the adders of a column begin with, if a granule is one slot."""
    if macro.signed == ("offset",):
        return ceil_div(granules, 4)
    pairs = granules // 2
    return pairs + granules % 2


def _room(macro: MacroSpec) -> int:
    """Products that a macro's buffer holds."""
    if macro.form == "exact":
        fastest = macro.or_width // macro.lanes
    else:
        fastest = max(1, macro.or_width // macro.lanes)
    return 1 + ceil_div(_latency(macro) + 2, fastest)
