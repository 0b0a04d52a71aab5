"""Products on the macro: how a layer is cut into descriptors, and the fields of each."""

import numpy as np

from dscim.arrays import Int8
from dscim.errors import UserError
from dscim.gateware.descriptor import Operation
from dscim.gateware.layout import ceil_div, pixel_words, tensor_words
from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.host.compile.descriptors import Bases, Fields, tensor_fields
from dscim.host.compile.packing import stacked_rows


def layer_fields(
    spec: SocSpec,
    layer: LayerSpec,
    bases: Bases | None = None,
    *,
    outputs: range | None = None,
    depth: int | None = None,
    raw: bool = False,
    windows: int = 1,
) -> Fields:
    """The descriptor of a convolution, or of the group `outputs` of its output channels.

    bases: by default the input is at word 0, followed by the output. depth: number of
    inputs of a window that count, by default all. raw: 32-bit sums instead of int8. windows: number
    of windows stacked in one window of the macro; `layer` then has the outputs of as many pixels.
    Raises UserError, with sizes, if something does not fit its memory, and SpecError for arithmetic
    that the device does not have. For a depthwise layer use `depthwise_fields`.
    """
    assert not layer.depthwise
    bases = bases or Bases(output=tensor_words(layer.input))
    outputs = outputs or range(layer.outputs)
    if depth is None:
        depth = stacked_rows(layer.depth, windows, spec.macro.or_width)
    values = _product_fields(spec, layer, bases, outputs, raw) | {
        "inputs": layer.input[2],
        "depth": depth,
        "windows_log2": windows.bit_length() - 1,
        "stride_x": layer.stride[1] // windows,
    }
    return _checked(spec, values, layer, raw)


def column_groups(depth: int, outputs: int, spec: SocSpec) -> list[range]:
    """Groups of output channels that fit weight and parameter memory, in whole column tiles.

    Empty if not even the `depth` rows of one column tile fit.
    """
    columns = spec.macro.columns
    together = min(spec.weight_rows // depth * columns, spec.channels // columns * columns)
    if not together:
        return []
    return [range(first, min(first + together, outputs)) for first in range(0, outputs, together)]


def depthwise_tiles(spec: SocSpec, layer: LayerSpec) -> list[range]:
    """The input channels of each row tile of a depthwise layer, in order; each is a descriptor."""
    together = max(1, spec.macro.rows // layer.depth)
    channels = layer.input[2]
    return [range(first, min(first + together, channels)) for first in range(0, channels, together)]


def depthwise_outputs(layer: LayerSpec, channels: range) -> range:
    """The output channels of a row tile with these input channels."""
    each = layer.outputs // layer.input[2]
    return range(channels.start * each, channels.stop * each)


def depthwise_matrix(weights: Int8, channels: range, each: int) -> Int8:
    """A row tile's block-diagonal matrix (len(channels)*KH*KW, len(channels)*each) int8.

    weights: (KH, KW, C*each) int8; output o of the layer belongs to input channel o // each.
    """
    taps = weights.shape[0] * weights.shape[1]
    own = weights.reshape(taps, -1, each)[:, channels.start : channels.stop]
    index = np.arange(len(channels))
    matrix = np.zeros((len(channels), taps, len(channels), each), np.int8)
    matrix[index, :, index] = own.transpose(1, 0, 2)
    return matrix.reshape(len(channels) * taps, -1)


def depthwise_fields(
    spec: SocSpec, layer: LayerSpec, channels: range, bases: Bases, *, raw: bool = False
) -> Fields:
    """The descriptor of one row tile of a depthwise layer; channels: one of `depthwise_tiles`.

    Its weights are those of `depthwise_matrix`. A channel with more taps than the macro has rows
    takes several row tiles, tap by tap: that is a plain product over one channel.
    Raises the errors of `layer_fields`.
    """
    depth = len(channels) * layer.depth
    single = depth > spec.macro.rows
    assert layer.depthwise and (len(channels) == 1 or not single)
    values = _product_fields(spec, layer, bases, depthwise_outputs(layer, channels), raw) | {
        "operation": int(Operation.PRODUCT if single else Operation.DEPTHWISE),
        "inputs": len(channels),
        "input_channel": channels.start,
        "depth": depth,
    }
    return _checked(spec, values, layer, raw)


def _product_fields(
    spec: SocSpec, layer: LayerSpec, bases: Bases, outputs: range, raw: bool
) -> Fields:
    """The fields that all products have in common."""
    product = layer.product
    return tensor_fields(layer.input, layer.output, bases) | {
        "outputs": len(outputs),
        "output_channel": outputs.start,
        "kernel_height": layer.kernel[0],
        "kernel_width": layer.kernel[1],
        "stride_y": layer.stride[0],
        "stride_x": layer.stride[1],
        "origin_y": -layer.padding[0][0],
        "origin_x": -layer.padding[1][0],
        "macro": spec.macro_for(product),
        "raw": int(raw),
        "samples_log2": 0 if product.exact else product.samples.bit_length() - 1,
        "offset": int(product.signed == "offset" and not product.exact),
        "activation_shift": 0 if product.exact else product.activation_shift,
        "decode_shift": product.decode_shift,
        "single_rounding": int(layer.single_rounding),
        "input_zero": layer.input_zero,
        "output_zero": layer.output_zero,
        "clamp_low": layer.clamp[0],
        "clamp_high": layer.clamp[1],
        "weight_base": bases.weights,
        "parameter_base": bases.parameters,
    }


def _checked(spec: SocSpec, values: Fields, layer: LayerSpec, raw: bool) -> Fields:
    """`values`; UserError unless everything fits the device's memories."""
    ends = (
        values["input_base"] + tensor_words(layer.input),
        values["output_base"] + layer.output[0] * layer.output[1] * pixel_words(layer.outputs, raw),
    )
    rows = values["depth"] * ceil_div(values["outputs"], spec.macro.columns)
    _check_room("input and output", max(ends), spec.activation_words, "words of activation memory")
    _check_room("weights", values["weight_base"] + rows, spec.weight_rows, "rows of weight memory")
    _check_room(
        "channels",
        values["parameter_base"] + values["outputs"],
        spec.channels,
        "channels of parameter memory",
    )
    if (values["parameter_base"] - values["output_channel"]) % 8:
        raise UserError(
            f"Parameters at {values['parameter_base']} cannot be used for channels from "
            f"{values['output_channel']} on; both must be equal modulo 8."
        )
    return values


def _check_room(what: str, needed: int, room: int, unit: str) -> None:
    if needed > room:
        raise UserError(
            f"The layer's {what} need {needed} {unit}, but the device has {room}; "
            "build a device with more, or split the layer."
        )
