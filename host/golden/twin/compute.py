"""The numpy twin of the engine: runs a descriptor on the memories of a device."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int32, Int64, UInt8, Words
from dscim.gateware.descriptor import VECTOR, Operation
from dscim.gateware.kernels import kernel_rows, unpack_kernels
from dscim.gateware.layout import (
    PARAMETER_WORDS,
    ColumnTile,
    ceil_div,
    column_tiles,
    depthwise_rows,
    pixel_words,
    product_rows,
    unit_depth,
    unpack_depthwise,
    unpack_product,
    window_places,
)
from dscim.gateware.specs import MAX_DEPTH, MacroSpec, ProductSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.golden.reference import (
    PreparedWeights,
    multiply_by_quantized_multiplier,
    requantise,
)
from dscim.host.golden.reference.operands import column_corrections

Fields = dict[str, int]
Memories = dict[str, Words]


def compute(spec: SocSpec, memories: Memories, f: Fields) -> int:
    """Runs the accepted descriptor `f`; returns the number of products of the macro."""
    operation = Operation(f["operation"])
    if operation is Operation.ADD:
        x, y = (
            _tensor(spec, memories, f, f[f"{name}_base"]).reshape(-1, f["inputs"])
            for name in ("input", "second")
        )
        _write(spec, memories, f, _sum(f, x, y))
        return 0
    if operation in VECTOR:
        sums = _pool(operation, spec, memories, f) << f["decode_shift"]
        multiplier, shift = np.array(f["output_multiplier"]), np.array(f["output_shift"])
        products = 0
    else:
        bias, multiplier, shift = _parameters(memories, f)
        sums = _product(spec, operation, memories, f) + bias
        products = (
            0
            if operation is Operation.CHANNELWISE
            else len(sums)
            * ceil_div(f["units"], spec.macro.units)
            * column_tiles(spec, operation, f["outputs"])
        )
    values: Int32 | Int8 = sums.astype(np.int32)
    if not f["raw"]:
        values = requantise(
            sums,
            multiplier,
            shift,
            f["output_zero"],
            (f["clamp_low"], f["clamp_high"]),
            bool(f["single_rounding"]),
        )
    if f["residual"]:
        values = _sum(f, values, _residual(spec, memories, f))
    _write(spec, memories, f, values)
    return products


def _product(spec: SocSpec, operation: Operation, memories: Memories, f: Fields) -> Int64:
    """(pixels, outputs): sums in product units, without bias."""
    macro = spec.macros[f["macro"]]
    product = ProductSpec(
        macro.or_width,
        macro.or_width << f["samples_log2"],
        macro.sequence,
        "offset" if f["offset"] else "split",
        f["activation_shift"],
        macro.form == "exact",
    )
    windows, _ = _windows(spec, memories, f)
    if operation is Operation.CHANNELWISE:
        return _channelwise(spec, memories, f, windows, product)
    parts = []
    for tile in range(column_tiles(spec, operation, f["outputs"])):
        x = windows
        if operation is Operation.DEPTHWISE:
            x = windows[:, :, tile * WORD_BYTES : (tile + 1) * WORD_BYTES]
        matrix, odd = _weights(spec, operation, memories, f, tile, x.shape[2])
        rows = _rows(macro, x.shape[2], odd)
        unrolled = x.reshape(len(x), -1)[:, : len(rows)]
        parts.append(_sums(unrolled, matrix, rows, product, f["input_zero"]))
    return np.concatenate(parts, axis=1)[:, : f["outputs"]]


def _channelwise(
    spec: SocSpec, memories: Memories, f: Fields, windows: Int8, product: ProductSpec
) -> Int64:
    """(pixels, outputs): sums in product units of the depthwise unit, without bias."""
    memory = memories["weights"].view(np.int8).reshape(-1, spec.macro.columns)
    wide, parts = WORD_BYTES * spec.banks, []
    for tile in range(column_tiles(spec, Operation.CHANNELWISE, f["outputs"])):
        x = windows[:, :, tile * wide : (tile + 1) * wide]
        first = f["weight_base"] + tile * f["weight_rows"]
        rows = np.arange(first, first + kernel_rows(spec, f["inputs"], f["units"])) % len(memory)
        weights, odd = unpack_kernels(spec, memory[rows], f["inputs"], x.shape[2], f["units"])
        for channel in range(x.shape[2]):
            parts.append(
                _sums(
                    np.ascontiguousarray(x[:, :, channel]),
                    weights[:, channel, None],
                    odd[:, channel].astype(np.int64),
                    product,
                    f["input_zero"],
                )
            )
    return np.concatenate(parts, axis=1)


def _weights(
    spec: SocSpec, operation: Operation, memories: Memories, f: Fields, tile: int, channels: int
) -> ColumnTile:
    """The weights of a column tile, whose windows have `channels` channels per tap."""
    memory = memories["weights"].view(np.int8).reshape(-1, spec.macro.columns)
    first = f["weight_base"] + tile * f["weight_rows"]
    if operation is Operation.DEPTHWISE:
        rows = np.arange(first, first + depthwise_rows(spec, f["units"]))
        return unpack_depthwise(spec, memory[rows % len(memory)], channels, f["units"])
    depth = unit_depth(channels, f["units"])
    rows = np.arange(first, first + product_rows(spec, channels, depth))
    return unpack_product(spec, memory[rows % len(memory)], channels, f["units"])


def _rows(macro: MacroSpec, channels: int, odd: npt.NDArray[np.bool_]) -> Int64:
    """A row of the contract that has the bits of each row of a window.

    It is the row's place if that decides the region, else one whose region is as odd.
    """
    return window_places(channels, len(odd)) if macro.ordered else odd.astype(np.int64)


def _sums(x: Int8, matrix: Int8, rows: Int64, product: ProductSpec, zero_point: int) -> Int64:
    """(pixels, columns): sums in product units without the columns' constants."""
    total = np.zeros((len(x), matrix.shape[1]), np.int64)
    for start in range(0, len(rows), MAX_DEPTH):
        part = slice(start, start + MAX_DEPTH)
        weights = PreparedWeights(matrix[part], product, zero_point, rows[part])
        total += weights.product(x[:, part])
    if not product.exact:  # the host adds the columns' constants to the bias
        total -= column_corrections(matrix, product, zero_point)
    return total


def _pool(operation: Operation, spec: SocSpec, memories: Memories, f: Fields) -> Int64:
    """(pixels, outputs): the result of a pool before scaling."""
    windows, inside = _windows(spec, memories, f)
    if operation is Operation.MAX_POOL:
        greatest = np.where(inside[..., None], windows, -128).max(axis=1)
        return greatest.astype(np.int64) - f["input_zero"]
    zero = f["input_zero"] if operation is Operation.SUM_POOL else 0
    total = np.where(inside[..., None], windows.astype(np.int64) - zero, 0).sum(axis=1)
    if operation is Operation.SUM_POOL:
        return total
    count = np.maximum(inside.sum(axis=1), 1)[:, None]
    mean: Int64 = np.sign(total) * ((np.abs(total) + count // 2) // count) - f["input_zero"]
    return mean


def _sum(f: Fields, *inputs: npt.NDArray[np.signedinteger[Any]]) -> Int8:
    """The sum of two int8 inputs: brings both to a common scale, adds them, scales the sum."""
    total = sum(
        multiply_by_quantized_multiplier(
            (x.astype(np.int64) - f[f"{name}_zero"]) << f["left_shift"],
            np.array(f[f"{name}_multiplier"]),
            np.array(f[f"{name}_shift"]),
        )
        for name, x in zip(("first", "second"), inputs, strict=True)
    )
    return requantise(
        np.asarray(total),
        np.array(f["output_multiplier"]),
        np.array(f["output_shift"]),
        f["sum_zero"],
        (f["sum_low"], f["sum_high"]),
    )


def _residual(spec: SocSpec, memories: Memories, f: Fields) -> Int8:
    """(pixels, outputs): the tensor at `second_base`, laid out like the output."""
    words = _words(spec, f, "output", f["second_base"], pixel_words(f["output_channels"]))
    first = f["output_channel"]
    held = _octets(memories)[words].view(np.int8).reshape(words.shape[0] * words.shape[1], -1)
    return held[:, first : first + f["outputs"]]


def _tensor(spec: SocSpec, memories: Memories, f: Fields, base: int) -> Int8:
    """(height, width, inputs): the channels that the operation reads of the input at `base`."""
    words = _words(spec, f, "input", base, pixel_words(f["input_channels"]))
    first = f["input_plane"] * WORD_BYTES
    held = _octets(memories)[words].view(np.int8).reshape(*words.shape[:2], -1)
    return held[:, :, first : first + f["inputs"]]


def _octets(memories: Memories) -> UInt8:
    """The words of the activation memory, (words, 8)."""
    return memories["activations"].view(np.uint8).reshape(-1, WORD_BYTES)


def _words(spec: SocSpec, f: Fields, side: str, base: int, planes: int) -> Int64:
    """(height, width, planes): the word of each plane of the tensor whose first row is `base`.

    side: "input" or "output", which has the height and width.
    """
    height, width = f[f"{side}_height"], f[f"{side}_width"]
    line = np.arange(height)[:, None, None] * planes + np.arange(planes)
    row = base + line // spec.banks * width + np.arange(width)[:, None]
    words: Int64 = row * spec.banks + line % spec.banks
    return words


def _windows(spec: SocSpec, memories: Memories, f: Fields) -> tuple[Int8, npt.NDArray[np.bool_]]:
    """(pixels, taps, inputs) with the zero point as padding, and (pixels, taps): not padding."""
    places, insides = [], []
    for side, axis in (("height", "y"), ("width", "x")):
        place = f[f"origin_{axis}"] + f[f"stride_{axis}"] * np.arange(f[f"output_{side}"])[:, None]
        place = place + np.arange(f[f"kernel_{side}"])
        insides.append((place >= 0) & (place < f[f"input_{side}"]))
        places.append(place.clip(0, f[f"input_{side}"] - 1))
    x = _tensor(spec, memories, f, f["input_base"])
    windows = x[places[0][:, None, :, None], places[1][None, :, None, :]]
    inside = insides[0][:, None, :, None] & insides[1][None, :, None, :]
    filled = np.where(inside[..., None], windows, np.int8(f["input_zero"]))
    pixels = f["output_height"] * f["output_width"]
    return filled.reshape(pixels, -1, f["inputs"]), inside.reshape(pixels, -1)


def _parameters(memories: Memories, f: Fields) -> Int64:
    """(3, outputs): bias, multiplier, shift."""
    table = memories["parameters"].view(np.int32).reshape(-1, PARAMETER_WORDS)
    return table[f["parameter_base"] :][: f["outputs"], :3].T.astype(np.int64)


def _write(spec: SocSpec, memories: Memories, f: Fields, values: Int32 | Int8) -> None:
    """Writes (pixels, outputs) to their channels of the output and leaves other bytes unchanged."""
    planes = pixel_words(f["output_channels"], bool(f["raw"]))
    words = _words(spec, f, "output", f["output_base"], planes)
    memory = _octets(memories)
    tensor = memory[words].reshape(len(values), -1)
    octets = np.ascontiguousarray(values).view(np.uint8)
    first = f["output_channel"] * values.itemsize
    tensor[:, first : first + octets.shape[1]] = octets
    memory[words] = tensor.reshape(*words.shape, WORD_BYTES)
