"""Layout of tensors and numbers in the device's memories.

activations: lines over banks. Line y*planes + p of a tensor holds the words of plane p (channels
             8p to 8p+7) of row y; it lies in the bank of its number modulo the banks, one word per
             pixel. A row of the memory is a word of every bank.
weights:     for each column tile and each of its row tiles: a header with a bit per row of the
             macro (`odd`), then the rows of `columns` bytes, tail columns zero; see `weight_tiles`.
parameters:  four words of 32 bits per channel: bias, multiplier, shift, zero.
descriptors: see `dscim.gateware.descriptor`; `dscim.host.compile.descriptors` makes them.
All 32-bit words are little-endian.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Words
from dscim.gateware import descriptor, registers
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

PARAMETER_WORDS = 4

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
    lines = padded.reshape(height, width, planes, WORD_BYTES).transpose(0, 2, 1, 3)
    lines = lines.reshape(height * planes, width, WORD_BYTES)
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


def pack_weights(matrix: npt.NDArray[np.int8], columns: int) -> Words:
    """uint32 words of a (K, N) int8 matrix for a macro of `columns` columns."""
    depth, outputs = matrix.shape
    tiles = ceil_div(outputs, columns)
    padded = np.zeros((depth, tiles * columns), np.int8)
    padded[:, :outputs] = matrix
    tiled = padded.reshape(depth, tiles, columns).transpose(1, 0, 2)
    return np.ascontiguousarray(tiled).reshape(-1).view(np.uint32)


def pack_parameters(bias: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Words:
    """uint32 words of the channels' bias, Q31 multiplier and shift (left when positive)."""
    columns = [np.asarray(values, np.int64) for values in (bias, multiplier, shift)]
    words = np.zeros((len(columns[0]), PARAMETER_WORDS), np.int64)
    words[:, :3] = np.stack(columns, axis=1)
    return (words & 0xFFFF_FFFF).astype(np.uint32).reshape(-1)
