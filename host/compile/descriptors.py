"""The descriptor's fields for each operation, from layers and nodes and their bases."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.errors import UserError
from dscim.gateware import descriptor
from dscim.gateware.descriptor import Operation
from dscim.gateware.layout import ceil_div, pixel_words, tensor_words
from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.host.compile.packing import stacked_rows
from dscim.host.network.node import Node, Shape
from dscim.host.network.plain import Add, Requantise
from dscim.host.network.pools import AveragePool, MaxPool, Mean

IDENTITY = (1 << 30, 1)
"""The Q31 multiplier and shift by which a pool leaves its values as they are."""

Fields = dict[str, int]
"""Every field of a descriptor by its name."""


@dataclasses.dataclass(frozen=True)
class Bases:
    """Where a descriptor's tensors and numbers lie in the device's memories.

    input, output, second: first words in the activation memory; second: an add's second input,
                or a residual.
    weights:    first row in the weight memory.
    parameters: the place of the parameters of the first channel that is written; equal to that
                channel modulo 8, so that a layer's parameters lie from a multiple of 8 on.
    """

    input: int = 0
    output: int = 0
    second: int = 0
    weights: int = 0
    parameters: int = 0


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
    """A convolution, or the group `outputs` of its output channels, all by default.

    bases: by default the input lies at word 0 and the output behind it. depth: inputs of a
    window that count, all by default. raw: 32-bit sums instead of int8. windows: of `layer`,
    whose output is of so many pixels together, in one window of the macro.
    Raises UserError, with sizes, when something does not fit the memory it is for, and SpecError
    for arithmetic that is not built. A depthwise layer has `depthwise_fields`.
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
    return _fitting(spec, values, layer, raw)


def column_groups(depth: int, outputs: int, spec: SocSpec) -> list[range]:
    """Output channels that fit weight and parameter memory together, whole column tiles each.

    Empty when not even the `depth` rows of one column tile fit.
    """
    columns = spec.macro.columns
    together = min(spec.weight_rows // depth * columns, spec.channels // columns * columns)
    if not together:
        return []
    return [range(first, min(first + together, outputs)) for first in range(0, outputs, together)]


def depthwise_tiles(spec: SocSpec, layer: LayerSpec) -> list[range]:
    """The input channels of each row tile of a depthwise layer, in order: a descriptor each."""
    together = max(1, spec.macro.rows // layer.depth)
    channels = layer.input[2]
    return [range(first, min(first + together, channels)) for first in range(0, channels, together)]


def depthwise_outputs(layer: LayerSpec, channels: range) -> range:
    """The output channels that belong to a row tile's input channels."""
    each = layer.outputs // layer.input[2]
    return range(channels.start * each, channels.stop * each)


def depthwise_matrix(
    weights: npt.NDArray[np.int8], channels: range, each: int
) -> npt.NDArray[np.int8]:
    """(len(channels)*KH*KW, len(channels)*each): a row tile's block-diagonal matrix.

    weights: (KH, KW, C*each) int8; output o belongs to input channel o // each.
    """
    taps = weights.shape[0] * weights.shape[1]
    held = weights.reshape(taps, -1, each)[:, channels.start : channels.stop]
    place = np.arange(len(channels))
    matrix = np.zeros((len(channels), taps, len(channels), each), np.int8)
    matrix[place, :, place] = held.transpose(1, 0, 2)
    return matrix.reshape(len(channels) * taps, -1)


def depthwise_fields(
    spec: SocSpec, layer: LayerSpec, channels: range, bases: Bases, *, raw: bool = False
) -> Fields:
    """One row tile of a depthwise layer: `channels` is one of `depthwise_tiles`.

    Its weights are those of `depthwise_matrix`. A channel with more taps than the macro has rows
    takes several row tiles, tap after tap: that is a plain product over one channel.
    Raises as `layer_fields`.
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
    return _fitting(spec, values, layer, raw)


def vector_fields(node: Node, shape: Shape, bases: Bases) -> Fields:
    """A node that needs no macro: Add, MaxPool, AveragePool, Mean or Requantise, on `shape`.

    Raises UserError for another kind, and for an add that widens beyond 32 bits.
    """
    output = node.output_shape([shape, shape][: node.arity])
    values = _fields(shape, output, bases) | {
        "inputs": shape[2],
        "outputs": output[2],
        "depth": 1,
        "output_zero": node.output_zero,
        "clamp_low": node.clamp[0],
        "clamp_high": node.clamp[1],
        "input_zero": node.output_zero,
        "kernel_height": 1,
        "kernel_width": 1,
        "stride_y": 1,
        "stride_x": 1,
    }
    if isinstance(node, Add):
        return values | _add_fields(node, bases)
    if isinstance(node, Requantise):
        return values | _scaling(
            Operation.MAX_POOL, node.input_zero, node.multiplier, node.shift, node.single_rounding
        )
    if isinstance(node, Mean):
        return (
            values
            | {"kernel_height": shape[0], "kernel_width": shape[1]}
            | _scaling(
                Operation.SUM_POOL,
                node.input_zero,
                node.multiplier,
                node.shift,
                node.single_rounding,
            )
        )
    if not isinstance(node, AveragePool | MaxPool):
        raise UserError(f"node {node.name!r} of kind {type(node).__name__} has no descriptor.")
    kind = Operation.MAX_POOL if isinstance(node, MaxPool) else Operation.AVERAGE_POOL
    return (
        values
        | _scaling(kind, node.output_zero, *IDENTITY)
        | {
            "kernel_height": node.kernel[0],
            "kernel_width": node.kernel[1],
            "stride_y": node.stride[0],
            "stride_x": node.stride[1],
            "origin_y": -node.padding[0][0],
            "origin_x": -node.padding[1][0],
        }
    )


def _add_fields(node: Add, bases: Bases) -> Fields:
    return {
        "operation": int(Operation.ADD),
        "kernel_width": 2,
        "second_base": bases.second,
        "output_zero": 0,
        "clamp_low": 0,
        "clamp_high": 0,
        **_sum_fields(node, (0, 1)),
    }


def _sum_fields(node: Add, order: tuple[int, int]) -> Fields:
    """The integers of an add whose inputs `order[0]` and `order[1]` are the first and second.

    Raises UserError for one that widens beyond 32 bits.
    """
    widest = node.left_shift + max(0, *node.shifts[:2])
    if widest > descriptor.MOST_WIDENING:
        raise UserError(
            f"node {node.name!r} widens an input by {widest} bits; the device adds in "
            f"32 bits, which hold {descriptor.MOST_WIDENING}."
        )
    fields = {
        "left_shift": node.left_shift,
        "sum_zero": node.output_zero,
        "sum_low": node.clamp[0],
        "sum_high": node.clamp[1],
        "output_multiplier": node.multipliers[2],
        "output_shift": node.shifts[2],
    }
    for name, place in zip(("first", "second"), order, strict=True):
        fields |= {
            f"{name}_zero": node.input_zeros[place],
            f"{name}_multiplier": node.multipliers[place],
            f"{name}_shift": node.shifts[place],
        }
    return fields


def residual_fields(node: Add, product: str, base: int) -> Fields:
    """What makes of a product's descriptor one whose outputs are added to a residual.

    node: the add, one of whose inputs is the product of this name; its other input lies at word
    `base`. Raises UserError as `vector_fields`.
    """
    first = node.inputs.index(product)
    return {"residual": 1, "second_base": base, **_sum_fields(node, (first, 1 - first))}


def _scaling(
    operation: Operation, zero: int, multiplier: int, shift: int, single_rounding: bool = False
) -> Fields:
    return {
        "operation": int(operation),
        "input_zero": zero,
        "output_multiplier": multiplier,
        "output_shift": shift,
        "single_rounding": int(single_rounding),
    }


def _fields(shape: Shape, output: Shape, bases: Bases) -> Fields:
    """Sizes and bases; everything else zero."""
    return dict.fromkeys(descriptor.BY_NAME, 0) | {
        "input_height": shape[0],
        "input_width": shape[1],
        "input_channels": shape[2],
        "output_height": output[0],
        "output_width": output[1],
        "output_channels": output[2],
        "input_base": bases.input,
        "output_base": bases.output,
    }


def _product_fields(
    spec: SocSpec, layer: LayerSpec, bases: Bases, outputs: range, raw: bool
) -> Fields:
    """What every product has, whichever channels it reads."""
    product = layer.product
    return _fields(layer.input, layer.output, bases) | {
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


def _fitting(spec: SocSpec, values: Fields, layer: LayerSpec, raw: bool) -> Fields:
    """`values` when everything fits the device's memories; else UserError."""
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
            f"Parameters at {values['parameter_base']} cannot serve channels from "
            f"{values['output_channel']} on; both must be equal modulo 8."
        )
    return values


def _check_room(what: str, needed: int, room: int, unit: str) -> None:
    if needed > room:
        raise UserError(
            f"The layer's {what} need {needed} {unit}, but the device has {room}; "
            "build a device with more, or split the layer."
        )
