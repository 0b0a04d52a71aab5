"""Layout of tensors and numbers in the device's memories.

activations: lines over banks. Line y*planes + p of a tensor holds the words of plane p (channels
             8p to 8p+7) of row y; it lies in the bank of its number modulo the banks, one word per
             pixel. A row of the memory is a word of every bank.
weights:     for each column tile and each of its row tiles: a header with a bit per row of the
             macro (`odd`: its region (i, j) has an odd sum), zero padded to rows of the memory.
             PRODUCT: then a row of `columns` bytes for each input, in the order of the window,
             tail columns zero. DEPTHWISE: a column tile is a plane; then eight bytes for each tap,
             one for each channel of the plane, zero padded to rows of the memory. CHANNELWISE:
             see `dscim.gateware.kernels`.
parameters:  four words of 32 bits per channel: bias, multiplier, shift, zero.
descriptors: see `dscim.gateware.descriptor`; `dscim.host.compile.descriptors` makes them.
All 32-bit words are little-endian.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Words
from dscim.gateware import descriptor, registers
from dscim.gateware.descriptor import Operation
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.gateware.specs.soc import WORD_BYTES

PARAMETER_WORDS = 4

ColumnTile = tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]
"""The weights of a column tile, row by row of the window, and the bit `odd` of each row."""

Outputs = npt.NDArray[np.signedinteger[Any]]
"""The output of a layer in memory: int8 outputs, or 32-bit sums when raw."""


def memory_sizes(spec: SocSpec) -> dict[str, int]:
    """Bytes of each memory window of a device."""
    return {
        "descriptors": 4 * spec.descriptors * descriptor.WORDS,
        "parameters": 4 * spec.channels * PARAMETER_WORDS,
        "weights": spec.weight_rows * spec.macro.columns,
        "activations": spec.activation_words * WORD_BYTES,
    }


def memory_ranges(spec: SocSpec) -> list[range]:
    """The bus addresses of each memory window of a device."""
    return [
        range(registers.MEMORY_BASES[name], registers.MEMORY_BASES[name] + size)
        for name, size in memory_sizes(spec).items()
    ]


def ceil_div(value: int, divisor: int) -> int:
    """value / divisor, rounded up."""
    return -(-value // divisor)


def pixel_words(channels: int, raw: bool = False) -> int:
    """Words of 8 bytes per pixel, its planes: int8 channels, or 32-bit sums when raw."""
    return ceil_div(channels * (4 if raw else 1), WORD_BYTES)


def tensor_rows(shape: tuple[int, int, int], banks: int, raw: bool = False) -> int:
    """Rows of the activation memory of an (H, W, C) tensor: int8, or 32-bit sums when raw."""
    return ceil_div(shape[0] * pixel_words(shape[2], raw), banks) * shape[1]


def pack_activations(x: npt.NDArray[np.int8], banks: int) -> Words:
    """uint32 words of an (H, W, C) int8 tensor: whole rows of the activation memory."""
    height, width, channels = x.shape
    planes = pixel_words(channels)
    padded = np.zeros((height, width, planes * WORD_BYTES), np.int8)
    padded[:, :, :channels] = x
    pixels = padded.reshape(height, width, planes, WORD_BYTES).transpose(0, 2, 1, 3)
    lines = pixels.reshape(height * planes, width, WORD_BYTES)
    lines = np.pad(lines, ((0, -len(lines) % banks), (0, 0), (0, 0)))
    rows = lines.reshape(-1, banks, width, WORD_BYTES).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(rows).reshape(-1).view(np.uint32)


def unpack_activations(
    words: Words, shape: tuple[int, int, int], banks: int, raw: bool = False
) -> Outputs:
    """The (H, W, C) tensor in uint32 `words`, whole rows of the memory: int8, or int32 when raw."""
    height, width, channels = shape
    planes = pixel_words(channels, raw)
    rows = words.view(np.uint8).reshape(-1, width, banks, WORD_BYTES).transpose(0, 2, 1, 3)
    lines = rows.reshape(-1, width, WORD_BYTES)[: height * planes]
    pixels = lines.reshape(height, planes, width, WORD_BYTES).transpose(0, 2, 1, 3)
    octets = np.ascontiguousarray(pixels).reshape(height, width, planes * WORD_BYTES)
    values: Outputs = octets.view(np.int32 if raw else np.int8)
    return values[:, :, :channels].copy()


def odd_rows(rows: npt.NDArray[np.int64], or_width: int) -> npt.NDArray[np.bool_]:
    """Whether the contract's rows `rows` own a region (i, j) with i + j odd."""
    i, j = np.divmod(rows % or_width, int(or_width**0.5))
    return (i + j) % 2 == 1


def window_units(channels: int, depth: int) -> int:
    """Units of a window's first `depth` inputs, of `channels` channels per tap."""
    return int(window_places(channels, depth)[-1]) // UNIT_ROWS + 1


def unit_depth(channels: int, units: int) -> int:
    """Inputs in a window's first `units` units, of `channels` channels per tap."""
    taps, planes = divmod(units, pixel_words(channels))
    return taps * channels + min(UNIT_ROWS * planes, channels)


def window_places(channels: int, depth: int) -> npt.NDArray[np.int64]:
    """(depth,): 8*unit + lane of each input of a window, of `channels` channels per tap.

    Divided by the macro's rows, it is the row tile and the row.
    """
    tap, channel = np.divmod(np.arange(depth), channels)
    return tap * pixel_words(channels) * UNIT_ROWS + channel


def column_tiles(spec: SocSpec, operation: Operation, outputs: int) -> int:
    """Column tiles of an operation with weights."""
    wide = {
        Operation.PRODUCT: spec.macro.columns,
        Operation.DEPTHWISE: UNIT_ROWS,
        Operation.CHANNELWISE: UNIT_ROWS * spec.banks,
    }
    return ceil_div(outputs, wide[operation])


def product_rows(spec: SocSpec, channels: int, depth: int) -> int:
    """Rows of the weight memory of a column tile of a PRODUCT; arguments: see `window_places`."""
    tiles = ceil_div(window_units(channels, depth), spec.macro.units)
    return tiles * spec.header_rows + depth


def depthwise_rows(spec: SocSpec, taps: int) -> int:
    """Rows of the weight memory of a plane of a DEPTHWISE."""
    whole, rest = divmod(taps, spec.macro.units)
    return whole * _compact_rows(spec, spec.macro.units) + bool(rest) * _compact_rows(spec, rest)


def _compact_rows(spec: SocSpec, taps: int) -> int:
    """Rows of the weight memory of a row tile of a DEPTHWISE, with its header."""
    return spec.header_rows + ceil_div(UNIT_ROWS * taps, spec.macro.columns)


def pack_product(
    spec: SocSpec,
    matrix: npt.NDArray[np.int8],
    channels: int,
    rows: npt.NDArray[np.int64] | None = None,
) -> Words:
    """uint32 words of the weights of a PRODUCT.

    matrix: (K, outputs) int8, row tap*channels + channel; K may end before the window does, after a
    whole unit. rows: (K,) the contract's row of each, by default 0, 1 ... K-1.
    """
    depth, outputs = matrix.shape
    columns, height = spec.macro.columns, spec.macro.rows
    padded = np.zeros((depth, ceil_div(outputs, columns) * columns), np.int8)
    padded[:, :outputs] = matrix
    tiled = padded.reshape(depth, -1, columns).transpose(1, 0, 2)
    places = window_places(channels, depth)
    odd = odd_rows(np.arange(depth) if rows is None else rows, spec.macro.or_width)
    parts = []
    for tile in range(places[-1] // height + 1):
        held = places // height == tile
        header = _header(spec, places[held] % height, odd[held])
        parts += [np.broadcast_to(header, (len(tiled), *header.shape)), tiled[:, held]]
    return np.concatenate(parts, axis=1).reshape(-1).view(np.uint32)


def pack_depthwise(
    spec: SocSpec, weights: npt.NDArray[np.int8], rows: npt.NDArray[np.int64]
) -> Words:
    """uint32 words of the weights of a DEPTHWISE, plane by plane.

    weights: (taps, channels) int8. rows: (taps, channels), the contract's row of each.
    """
    taps, channels = weights.shape
    units = spec.macro.units
    pad = ((0, 0), (0, -channels % UNIT_ROWS))
    odd = np.pad(odd_rows(rows, spec.macro.or_width), pad)
    weights = np.pad(weights, pad)
    parts = []
    for lane in range(0, channels, UNIT_ROWS):
        for tap in range(0, taps, units):
            chosen = slice(tap, tap + units), slice(lane, lane + UNIT_ROWS)
            octets = weights[chosen].reshape(-1)
            size = (_compact_rows(spec, len(octets) // UNIT_ROWS) - spec.header_rows) * (
                spec.macro.columns
            )
            bits = odd[chosen].reshape(-1)
            parts += [_header(spec, np.arange(len(bits)), bits).reshape(-1)]
            parts += [np.pad(octets, (0, size - len(octets)))]
    return np.concatenate(parts).view(np.uint32)


def unpack_product(
    spec: SocSpec, memory: npt.NDArray[np.int8], channels: int, units: int
) -> ColumnTile:
    """A column tile of a PRODUCT: (K, columns) int8 and (K,) its bits `odd`.

    memory: (n, columns), the weight memory from the column tile's first row on. units: those of the
    window that are used.
    """
    places = window_places(channels, unit_depth(channels, units))
    matrix, odd, start = [], [], 0
    for tile in range(ceil_div(units, spec.macro.units)):
        held = places[places // spec.macro.rows == tile] % spec.macro.rows
        odd.append(_header_bits(spec, memory[start:])[held])
        start += spec.header_rows + len(held)
        matrix.append(memory[start - len(held) : start])
    return np.concatenate(matrix), np.concatenate(odd)


def unpack_depthwise(
    spec: SocSpec, memory: npt.NDArray[np.int8], channels: int, taps: int
) -> ColumnTile:
    """A plane of a DEPTHWISE as `unpack_product` returns it, with a column for each channel.

    Off the diagonal the weights are zero.
    memory: see `unpack_product`. channels: of the plane, up to 8. taps: those that are used.
    """
    octets, odd, start = [], [], 0
    for tap in range(0, taps, spec.macro.units):
        size = UNIT_ROWS * min(spec.macro.units, taps - tap)
        odd.append(_header_bits(spec, memory[start:])[:size])
        after = start + _compact_rows(spec, size // UNIT_ROWS)
        octets.append(memory[start + spec.header_rows : after].reshape(-1)[:size])
        start = after
    own, lane = np.concatenate(octets).reshape(taps, UNIT_ROWS), np.arange(channels)
    matrix = np.zeros((taps, channels, channels), np.int8)
    matrix[:, lane, lane] = own[:, :channels]
    bits = np.concatenate(odd).reshape(taps, UNIT_ROWS)[:, :channels]
    return matrix.reshape(-1, channels), bits.reshape(-1)


def _header(
    spec: SocSpec, places: npt.NDArray[np.int64], odd: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int8]:
    """(header rows, columns): the bit `odd` of the rows `places` of a row tile."""
    bits = np.zeros(8 * spec.header_rows * spec.macro.columns, np.bool_)
    bits[places] = odd
    return np.packbits(bits, bitorder="little").view(np.int8).reshape(-1, spec.macro.columns)


def _header_bits(spec: SocSpec, memory: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """The bit `odd` of each row of a row tile, whose header is at the start of `memory`."""
    octets = np.ascontiguousarray(memory[: spec.header_rows]).view(np.uint8).reshape(-1)
    return np.unpackbits(octets, bitorder="little") == 1


def pack_parameters(bias: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Words:
    """uint32 words of the channels' bias, Q31 multiplier and shift (left when positive)."""
    columns = [np.asarray(values, np.int64) for values in (bias, multiplier, shift)]
    words = np.zeros((len(columns[0]), PARAMETER_WORDS), np.int64)
    words[:, :3] = np.stack(columns, axis=1)
    return (words & 0xFFFF_FFFF).astype(np.uint32).reshape(-1)
