"""QuantizeLinear and DequantizeLinear: between real numbers and the integers of nodes."""

from typing import Any

import numpy as np

from dscim.arrays import Array
from dscim.host.network import Requantise
from dscim.host.network.importers.draft import at
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_values import Activation, Constant, Fixed
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.scaling import quantise_factor


def quantise(importer: OnnxImporter, operator: Operator) -> None:
    """QuantizeLinear: a pending value becomes a node; a constant is quantised."""
    made = operator.outputs[0]
    if importer.is_start(operator):
        importer.begin(made, _quantity(importer, operator, *_scale(importer, operator)))
        return
    value = importer.value(operator, 0)
    if isinstance(value, Constant | Fixed):
        importer.values[made] = _fixed(importer, operator, importer.numbers(operator, 0, "input"))
        return
    quantity = _quantity(importer, operator, *_scale(importer, operator))
    node = (
        _rescaled(importer, operator, value, quantity)
        if isinstance(value, Activation)
        else importer.materialise(operator, value, quantity)
    )
    importer.values[made] = node
    importer.name_tensor(node, made)


def dequantise(importer: OnnxImporter, operator: Operator) -> None:
    """DequantizeLinear: the same integers, taken as real numbers."""
    if importer.is_start(operator):
        kind = importer.graph.input[1].lower()
        kind = kind if kind in ("int8", "uint8") else "uint8"
        importer.begin(
            operator.inputs[0], _quantity(importer, operator, *_scale(importer, operator, kind))
        )
    value = importer.value(operator, 0)
    if isinstance(value, Activation):
        scale, zero = _scale(importer, operator)
        quantity = (
            value.quantity
            if not importer.has_input(operator, 2) and scale[0] == value.quantity.scale
            else _quantity(importer, operator, scale, zero)
        )
        if quantity != value.quantity:
            importer.refuse(operator, f"reads integers of {value.quantity} as {quantity}")
    elif isinstance(value, Constant):
        scale, zero = _scale(importer, operator, value.values.dtype)
        integers = value.values
        if integers.dtype == np.uint8:
            integers = (integers ^ np.uint8(128)).view(np.int8)
        value = Fixed(integers, scale, zero, _axis(importer, operator, integers, scale))
    elif not isinstance(value, Fixed):
        importer.refuse(operator, "takes real numbers")
    importer.values[operator.outputs[0]] = value


def _quantity(importer: OnnxImporter, operator: Operator, scale: Array, zero: Array) -> Quantity:
    """The quantity of one scale and zero point."""
    if scale.size != 1:
        importer.refuse(operator, f"has {scale.size} scales for an activation; one is needed")
    return at(operator.place, lambda: Quantity(float(scale[0]), int(zero[0])))


def _rescaled(
    importer: OnnxImporter, operator: Operator, value: Activation, quantity: Quantity
) -> Activation:
    """The same values with another scale and zero point; no new node if these are equal."""
    if quantity == value.quantity:
        return value
    assert importer.draft is not None
    finer = value.quantity.scale / quantity.scale
    if finer >= 2 and value.name in importer.averages:
        importer.refuse(
            operator,
            f"makes the scale of an average {finer:.3g} times finer after it is "
            "rounded; use the scale of the pool's input",
        )
    multiplier, shift = quantise_factor(finer)
    node = Requantise(
        f"scale_{operator.index}",
        (value.name,),
        quantity.zero,
        quantity.scale,
        input_zero=value.quantity.zero,
        multiplier=multiplier,
        shift=shift,
        single_rounding=True,
    )
    importer.draft.add(node, value.layout.shape, operator.outputs[0])
    return Activation(node.name, quantity, value.layout)


def _scale(importer: OnnxImporter, operator: Operator, kind: Any = np.uint8) -> tuple[Array, Array]:
    """Scales and zero points, (n,) each, for int8 or int32; uint8 is shifted by 128.

    kind: the type of the integers if there is no zero point.
    """
    scale = importer.numbers(operator, 1, "scale").astype(np.float32).astype(np.float64).ravel()
    zero = (
        importer.numbers(operator, 2, "zero point")
        if importer.has_input(operator, 2)
        else np.zeros(1, kind)
    )
    if zero.dtype not in (np.int8, np.uint8, np.int32):
        importer.refuse(operator, f"is of type {zero.dtype}; int8 and uint8 are supported")
    if not (
        np.isfinite(scale).all()
        and (scale > 0).all()
        and scale.size
        and zero.size in (1, scale.size)
    ):
        importer.refuse(
            operator, "has scales that are not above 0, or not as many as its zero points"
        )
    shifted = zero.astype(np.int64).ravel() - (128 if zero.dtype == np.uint8 else 0)
    return scale, np.broadcast_to(shifted, scale.shape)


def _fixed(importer: OnnxImporter, operator: Operator, values: Array) -> Fixed:
    """A constant quantised to int8 as QuantizeLinear does."""
    scale, zero = _scale(importer, operator)
    axis = _axis(importer, operator, values, scale)
    shape = [1] * values.ndim
    if scale.size > 1:
        shape[axis] = -1
    integers = np.rint(values / scale.reshape(shape)) + zero.reshape(shape)
    return Fixed(np.clip(np.nan_to_num(integers), -128, 127).astype(np.int8), scale, zero, axis)


def _axis(importer: OnnxImporter, operator: Operator, values: Array, scale: Array) -> int:
    """The axis along which each entry has its own scale."""
    if scale.size == 1:
        return 0
    axis = int(operator.attributes.get("axis", 1)) % max(values.ndim, 1)
    if values.ndim == 0 or values.shape[axis] != scale.size:
        importer.refuse(operator, f"has {scale.size} scales for axis {axis} of {values.shape}")
    return axis
