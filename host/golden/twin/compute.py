"""The numpy twin of the engine: runs a descriptor on the memories of a device."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int32, Int64, Words
from dscim.gateware.descriptor import VECTOR, Operation
from dscim.gateware.layout import PARAMETER_WORDS, ceil_div, pixel_words
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
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
            _tensor(memories, f, f[f"{name}_base"]).reshape(-1, f["inputs"])
            for name in ("input", "second")
        )
        _write(memories, f, _sum(f, x, y))
        return 0
    if operation in VECTOR:
        sums = _pool(operation, memories, f) << f["decode_shift"]
        multiplier, shift = np.array(f["output_multiplier"]), np.array(f["output_shift"])
        products = 0
    else:
        bias, multiplier, shift = _parameters(memories, f)
        sums = _product(spec, operation, memories, f) + bias
        products = (
            len(sums)
            * ceil_div(f["depth"], spec.macro.rows)
            * ceil_div(f["outputs"], spec.macro.columns)
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
        values = _sum(f, values, _residual(memories, f))
    _write(memories, f, values)
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
    windows, _ = _windows(memories, f)
    if operation is Operation.DEPTHWISE:
        windows = windows.transpose(0, 2, 1)
    matrix = _weights(spec, memories, f)
    unrolled = _together(macro, f, windows.reshape(len(windows), -1))[:, : f["depth"]]
    sums = PreparedWeights(matrix, product, f["input_zero"]).product(unrolled)
    if not product.exact:  # the host adds the columns' constants to the bias
        sums -= column_corrections(matrix, product, f["input_zero"])
    return sums


def _together(macro: MacroSpec, f: Fields, windows: Int8) -> Int8:
    """Windows (pixels, K) as rows that each hold the windows of 1 << windows_log2 pixels.

    Each pixel's window starts at an OR group. The unused rows in between hold the input's zero
    point, which adds nothing.
    """
    if not f["windows_log2"]:
        return windows
    gap = -windows.shape[1] % macro.or_width
    padded = np.pad(windows, ((0, 0), (0, gap)), constant_values=f["input_zero"])
    return padded.reshape(len(windows) >> f["windows_log2"], -1)


def _pool(operation: Operation, memories: Memories, f: Fields) -> Int64:
    """(pixels, outputs): the result of a pool before scaling."""
    windows, inside = _windows(memories, f)
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


def _residual(memories: Memories, f: Fields) -> Int8:
    """(pixels, outputs): the tensor at `second_base`, laid out like the output."""
    pixel = pixel_words(f["output_channels"]) * WORD_BYTES
    pixels = f["output_height"] * f["output_width"]
    held = memories["activations"].view(np.int8)[f["second_base"] * WORD_BYTES :][: pixels * pixel]
    first = f["output_channel"]
    return held.reshape(pixels, pixel)[:, first : first + f["outputs"]]


def _tensor(memories: Memories, f: Fields, base: int) -> Int8:
    """(height, width, inputs): the channels that the operation reads of the input at `base`."""
    height, width = f["input_height"], f["input_width"]
    pixel = pixel_words(f["input_channels"]) * WORD_BYTES
    held = memories["activations"].view(np.int8)[base * WORD_BYTES :][: height * width * pixel]
    first = f["input_channel"]
    return held.reshape(height, width, pixel)[:, :, first : first + f["inputs"]]


def _windows(memories: Memories, f: Fields) -> tuple[Int8, npt.NDArray[np.bool_]]:
    """(pixels, taps, inputs) with the zero point as padding, and (pixels, taps): not padding."""
    places, insides = [], []
    sizes = {"height": f["output_height"], "width": f["output_width"] << f["windows_log2"]}
    for side, axis in (("height", "y"), ("width", "x")):
        place = f[f"origin_{axis}"] + f[f"stride_{axis}"] * np.arange(sizes[side])[:, None]
        place = place + np.arange(f[f"kernel_{side}"])
        insides.append((place >= 0) & (place < f[f"input_{side}"]))
        places.append(place.clip(0, f[f"input_{side}"] - 1))
    x = _tensor(memories, f, f["input_base"])
    windows = x[places[0][:, None, :, None], places[1][None, :, None, :]]
    inside = insides[0][:, None, :, None] & insides[1][None, :, None, :]
    filled = np.where(inside[..., None], windows, np.int8(f["input_zero"]))
    pixels = sizes["height"] * sizes["width"]
    return filled.reshape(pixels, -1, f["inputs"]), inside.reshape(pixels, -1)


def _weights(spec: SocSpec, memories: Memories, f: Fields) -> Int8:
    """(depth, outputs)."""
    columns = spec.macro.columns
    tiles = ceil_div(f["outputs"], columns)
    rows = memories["weights"].view(np.int8).reshape(-1, columns)
    tiled = rows[f["weight_base"] :][: tiles * f["depth"]].reshape(tiles, f["depth"], columns)
    return tiled.transpose(1, 0, 2).reshape(f["depth"], -1)[:, : f["outputs"]]


def _parameters(memories: Memories, f: Fields) -> Int64:
    """(3, outputs): bias, multiplier, shift."""
    table = memories["parameters"].view(np.int32).reshape(-1, PARAMETER_WORDS)
    return table[f["parameter_base"] :][: f["outputs"], :3].T.astype(np.int64)


def _write(memories: Memories, f: Fields, values: Int32 | Int8) -> None:
    """Writes (pixels, outputs) to their channels of the output and leaves other bytes unchanged."""
    pixel = pixel_words(f["output_channels"], bool(f["raw"])) * WORD_BYTES
    start = f["output_base"] * WORD_BYTES
    room = memories["activations"].view(np.uint8)[start : start + len(values) * pixel]
    first = f["output_channel"] * values.itemsize
    octets = np.ascontiguousarray(values).view(np.uint8)
    room.reshape(len(values), pixel)[:, first : first + octets.shape[1]] = octets
