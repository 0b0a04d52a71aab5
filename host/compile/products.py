"""Products on the macro: how a layer is cut into descriptors, and the fields of each."""

import dataclasses

import numpy as np

from dscim.arrays import Int8, Words
from dscim.errors import UserError
from dscim.gateware.descriptor import BY_NAME, MAX_KERNEL, Operation
from dscim.gateware.kernels import kernel_rows, pack_kernels
from dscim.gateware.layout import (
    column_tiles,
    depthwise_rows,
    pack_depthwise,
    pack_product,
    pixel_words,
    product_rows,
    tensor_rows,
    unit_depth,
)
from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.descriptors import Bases, Fields, tensor_fields
from dscim.host.golden.reference.depthwise import tap_rows
from dscim.host.network.node import Shape

MAX_UNITS = 4096
"""The most units of a window in a descriptor."""

MAX_CHANNELS = BY_NAME["inputs"].limits[-1]
"""The most channels of a tensor in a descriptor."""


def memory_shape(shape: Shape) -> Shape:
    """The shape in which a tensor of `shape` lies in the activation memory.

    It is `shape` itself, unless that is one pixel of more channels than a descriptor has: then
    these are seen as pixels of a row, in the fewest units, if they can be divided.
    """
    channels = shape[2]
    if shape[:2] != (1, 1) or channels <= MAX_CHANNELS:
        return shape
    views = [
        each
        for each in range(MAX_CHANNELS // UNIT_ROWS * UNIT_ROWS, 0, -1)
        if channels % each == 0 and channels // each <= MAX_CHANNELS
    ]
    each = min(views, key=lambda each: channels // each * pixel_words(each), default=channels)
    return 1, channels // each, each


def viewed(layer: LayerSpec) -> LayerSpec:
    """A fully connected layer with its input in the `memory_shape`; any other layer itself.

    The rows of its window are the same.
    """
    shape = memory_shape(layer.input)
    if shape == layer.input or layer.depthwise or not layer.kernel == layer.output[:2] == (1, 1):
        return layer
    if any(map(any, layer.padding)):
        return layer
    return dataclasses.replace(layer, input=shape, kernel=shape[:2], stride=(1, 1))


def describable(spec: SocSpec, layer: LayerSpec) -> bool:
    """Whether descriptors can compute `layer`; else the host unrolls its windows.

    In an ordered macro the rows of a window must be at their places modulo G without gaps. Raises
    SpecError for arithmetic that the device does not have.
    """
    taps, channels = layer.kernel[0] * layer.kernel[1], layer.input[2]
    if max(channels, layer.outputs) > MAX_CHANNELS:
        return False
    if taps * (1 if layer.depthwise else pixel_words(channels)) > MAX_UNITS:
        return False
    if not spec.macros[spec.macro_for(layer.product)].ordered:
        return True
    return not layer.depthwise and (taps == 1 or channels % WORD_BYTES == 0)


def layer_fields(
    spec: SocSpec,
    layer: LayerSpec,
    bases: Bases | None = None,
    *,
    outputs: range | None = None,
    units: int | None = None,
    raw: bool = False,
) -> Fields:
    """The descriptor of a convolution, or of the group `outputs` of its output channels.

    bases: by default the input is at row 0, followed by the output. units: number of units of a
    window that count, by default all. raw: 32-bit sums instead of int8.
    Raises UserError, with sizes, if something does not fit its memory, and SpecError for arithmetic
    that the device does not have. For a depthwise layer use `depthwise_fields`.
    """
    assert not layer.depthwise
    bases = bases or Bases(output=tensor_rows(layer.input, spec.banks))
    outputs = outputs or range(layer.outputs)
    if units is None:
        units = layer.kernel[0] * layer.kernel[1] * pixel_words(layer.input[2])
    values = _product_fields(spec, layer, bases, outputs, raw) | {
        "inputs": layer.input[2],
        "units": units,
        "weight_rows": product_rows(spec, layer.input[2], unit_depth(layer.input[2], units)),
    }
    return _checked(spec, values, layer, raw)


def column_groups(spec: SocSpec, layer: LayerSpec) -> list[range]:
    """Groups of output channels that fit weight and parameter memory.

    Empty if not even one column tile fits.
    """
    rows = product_rows(spec, layer.input[2], layer.depth)
    return _groups(layer.outputs, spec.weight_rows // rows * spec.macro.columns, spec)


def _groups(outputs: int, most: int, spec: SocSpec) -> list[range]:
    """`outputs` channels in groups of at most `most` that fit the parameter memory."""
    together = min(most, spec.channels)
    if not together:
        return []
    return [range(first, min(first + together, outputs)) for first in range(0, outputs, together)]


@dataclasses.dataclass(frozen=True)
class ChannelGroup:
    """What a descriptor computes of a depthwise layer.

    inputs: the channels that it reads, from the first of a plane on. outputs: those that it writes.
    operation: CHANNELWISE, DEPTHWISE, or a PRODUCT over the channels of one plane with zeros off
    the diagonal.
    """

    inputs: range
    outputs: range
    operation: Operation


def depthwise_groups(spec: SocSpec, layer: LayerSpec) -> list[ChannelGroup]:
    """The descriptors of a depthwise layer, in order; empty if one does not fit."""
    channels, each = layer.input[2], layer.outputs // layer.input[2]
    if _channelwise(spec, layer):
        wide = UNIT_ROWS * spec.banks
        most = spec.weight_rows // kernel_rows(spec, min(wide, channels), layer.depth) * wide
        groups = _groups(channels, most, spec)
        return [ChannelGroup(group, group, Operation.CHANNELWISE) for group in groups]
    if each == 1 and spec.macro.columns >= UNIT_ROWS:
        planes = spec.weight_rows // depthwise_rows(spec, layer.depth)
        groups = _groups(channels, planes * UNIT_ROWS, spec)
        return [ChannelGroup(group, group, Operation.DEPTHWISE) for group in groups]
    made = []
    for first in range(0, channels, UNIT_ROWS):
        plane = range(first, min(first + UNIT_ROWS, channels))
        rows = product_rows(spec, len(plane), len(plane) * layer.depth)
        most = spec.weight_rows // rows * spec.macro.columns
        parts = _groups(len(plane) * each, most, spec)
        if not parts:
            return []
        for group in parts:
            outputs = range(first * each + group.start, first * each + group.stop)
            made.append(ChannelGroup(plane, outputs, Operation.PRODUCT))
    return made


def _channelwise(spec: SocSpec, layer: LayerSpec) -> bool:
    """Whether the depthwise unit computes a layer."""
    product = layer.product
    return (
        spec.depthwise > 0
        and not product.exact
        and product.samples <= spec.depthwise_samples
        and layer.outputs == layer.input[2]
        and max(*layer.kernel, layer.stride[0]) <= MAX_KERNEL
    )


def layer_rows(spec: SocSpec, layer: LayerSpec) -> int:
    """Rows of the weight memory that all weights of a layer take."""
    if not layer.depthwise:
        rows = product_rows(spec, layer.input[2], layer.depth)
        return rows * column_tiles(spec, Operation.PRODUCT, layer.outputs)
    return sum(
        _group_rows(spec, layer, group) * column_tiles(spec, group.operation, len(group.outputs))
        for group in depthwise_groups(spec, layer)
    )


def _group_rows(spec: SocSpec, layer: LayerSpec, group: ChannelGroup) -> int:
    """Rows of a column tile in the weight memory."""
    if group.operation is Operation.CHANNELWISE:
        return kernel_rows(spec, len(group.inputs), layer.depth)
    if group.operation is Operation.DEPTHWISE:
        return depthwise_rows(spec, layer.depth)
    return product_rows(spec, len(group.inputs), len(group.inputs) * layer.depth)


def depthwise_weights(spec: SocSpec, layer: LayerSpec, group: ChannelGroup, weights: Int8) -> Words:
    """The packed weights of a group of a depthwise layer; weights: (KH, KW, C*each) int8."""
    taps, channels = layer.depth, layer.input[2]
    rows = tap_rows(taps, channels)[:, group.inputs.start : group.inputs.stop]
    own = weights.reshape(taps, -1)
    if group.operation is Operation.CHANNELWISE:
        chosen = own[:, group.outputs.start : group.outputs.stop]
        return pack_kernels(spec, chosen, rows, pixel_words(channels))
    if group.operation is Operation.DEPTHWISE:
        return pack_depthwise(spec, own[:, group.outputs.start : group.outputs.stop], rows)
    each = layer.outputs // channels
    matrix = np.zeros((taps, len(group.inputs), len(group.outputs)), np.int8)
    for column, output in enumerate(group.outputs):
        matrix[:, output // each - group.inputs.start, column] = own[:, output]
    return pack_product(
        spec, matrix.reshape(-1, len(group.outputs)), len(group.inputs), rows.reshape(-1)
    )


def depthwise_fields(
    spec: SocSpec, layer: LayerSpec, group: ChannelGroup, bases: Bases, *, raw: bool = False
) -> Fields:
    """The descriptor of one of the `depthwise_groups` of a layer. Raises as `layer_fields`."""
    assert layer.depthwise
    values = _product_fields(spec, layer, bases, group.outputs, raw) | {
        "operation": int(group.operation),
        "inputs": len(group.inputs),
        "input_plane": group.inputs.start // UNIT_ROWS,
        "units": layer.depth,
        "weight_rows": _group_rows(spec, layer, group),
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
        values["input_base"] + tensor_rows(layer.input, spec.banks),
        values["output_base"] + tensor_rows(layer.output, spec.banks, raw),
    )
    tiles = column_tiles(spec, Operation(values["operation"]), values["outputs"])
    rows = values["weight_base"] + tiles * values["weight_rows"]
    _check_room("input and output", max(ends), spec.activation_rows, "rows of activation memory")
    _check_room("weights", rows, spec.weight_rows, "rows of weight memory")
    _check_room(
        "channels",
        values["parameter_base"] + values["outputs"],
        spec.channels,
        "channels of parameter memory",
    )
    return values


def _check_room(what: str, needed: int, room: int, unit: str) -> None:
    if needed > room:
        raise UserError(
            f"The layer's {what} need {needed} {unit}, but the device has {room}; "
            "build a device with more, or split the layer."
        )
