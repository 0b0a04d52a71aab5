"""Layout of the weights of the depthwise unit in the weight memory.

A column tile has the channels of as many planes as the activation memory has banks. Its weights
lie in rows, tap after tap, a byte for each channel, zero padded to whole rows. Before every eight
of these rows is a header: bit k says whether the region of byte k of the eight rows is odd.

If a pixel's planes are a power of two and fewer than those of a row, they repeat in the row: the
unit reads several pixels of a column at once, and each gets the same weights.
"""

import numpy as np
import numpy.typing as npt

from dscim.arrays import Words
from dscim.gateware.layout import ceil_div, odd_rows, pixel_words
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

HEADED = 8
"""Rows that share a header."""

Kernels = tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]
"""(taps, channels): weights, and whether the region of each is odd."""


def tap_parts(spec: SocSpec, channels: int) -> int:
    """Rows of the weight memory of a tap, in a column tile of a layer of `channels` channels."""
    planes = min(spec.banks, pixel_words(channels))
    return ceil_div(WORD_BYTES * planes, spec.macro.columns)


def kernel_rows(spec: SocSpec, channels: int, taps: int) -> int:
    """Rows of the weight memory of a column tile, headers included."""
    rows = taps * tap_parts(spec, channels)
    return rows + ceil_div(rows, HEADED)


def pack_kernels(
    spec: SocSpec,
    weights: npt.NDArray[np.int8],
    rows: npt.NDArray[np.int64],
    planes: int,
) -> Words:
    """uint32 words of the weights of a layer's channels.

    weights: (taps, channels) int8. rows: (taps, channels), the contract's row of each.
    planes: of a pixel of the input, at least those of the channels.
    """
    taps, channels = weights.shape
    columns, parts = spec.macro.columns, tap_parts(spec, channels)
    wide = WORD_BYTES * spec.banks
    tiles = ceil_div(channels, wide)
    values = np.zeros((2, taps, tiles * wide), np.int8)
    values[0, :, :channels] = weights
    values[1, :, :channels] = odd_rows(rows, spec.macro.or_width)
    body = values.reshape(2, taps, tiles, wide).transpose(2, 0, 1, 3)
    size = columns * parts
    body = np.pad(body, ((0, 0), (0, 0), (0, 0), (0, max(0, size - wide))))[..., :size]
    repeats = columns // WORD_BYTES // planes
    if repeats > 1 and planes & (planes - 1) == 0:
        body = np.tile(body[..., : WORD_BYTES * planes], repeats)
    return np.concatenate([_with_headers(*tile) for tile in body.reshape(tiles, 2, -1, columns)])


def _with_headers(rows: npt.NDArray[np.int8], odd: npt.NDArray[np.int8]) -> Words:
    """uint32 words of a column tile's rows (n, columns), with headers of the bits `odd`."""
    parts = []
    for first in range(0, len(rows), HEADED):
        bits = np.zeros((HEADED, rows.shape[1]), np.int8)
        held = odd[first : first + HEADED]
        bits[: len(held)] = held
        parts += [np.packbits(bits.reshape(-1), bitorder="little").view(np.int8)]
        parts += [rows[first : first + HEADED].reshape(-1)]
    return np.concatenate(parts).view(np.uint32)


def unpack_kernels(
    spec: SocSpec, memory: npt.NDArray[np.int8], layer: int, channels: int, taps: int
) -> Kernels:
    """The weights of a column tile.

    memory: (n, columns), the weight memory from the column tile's first row on. layer: channels of
    the layer. channels: of the column tile. taps: of the kernel.
    """
    parts = tap_parts(spec, layer)
    count = taps * parts
    places = np.arange(count)
    body = memory[places + places // HEADED + 1]
    headers = memory[np.arange(ceil_div(count, HEADED)) * (HEADED + 1)]
    bits = np.unpackbits(headers.reshape(-1).view(np.uint8), bitorder="little")
    odd = bits.reshape(-1, spec.macro.columns)[:count] == 1
    return (
        body.reshape(taps, -1)[:, :channels].astype(np.int8),
        odd.reshape(taps, -1)[:, :channels],
    )
