"""QuantizeLinear and DequantizeLinear: between real numbers and the integers of nodes."""

import numpy as np

from dscim.arrays import Array
from dscim.host.network import Requantise
from dscim.host.network.importers.draft import Origin, at
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_values import Activation, Constant, Fixed
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.scaling import quantise_factor

STORED = {2: "uint8", 3: "int8"}
"""numpy's names of the types of activations, by their numbers in the file."""


def quantise(importer: OnnxImporter, operator: Operator) -> None:
    """QuantizeLinear: a pending value becomes a node; a constant is quantised."""
    made = operator.outputs[0]
    number = int(operator.attributes.get("output_dtype", 0)) or 2
    if number not in STORED:
        importer.refuse(operator, f"quantises to the type {number}; int8 and uint8 are supported")
    if importer.is_start(operator):
        scale, zero, stored = _scale(importer, operator, STORED[number])
        importer.begin(made, _quantity(importer, operator, scale, zero), stored)
        return
    value = importer.value(operator, 0)
    if isinstance(value, Constant | Fixed):
        numbers = importer.numbers(operator, 0, "input")
        importer.values[made] = _fixed(importer, operator, numbers, STORED[number])
        return
    scale, zero, stored = _scale(importer, operator, STORED[number])
    quantity = _quantity(importer, operator, scale, zero)
    node = (
        _rescaled(importer, operator, value, quantity, stored)
        if isinstance(value, Activation)
        else importer.materialise(operator, value, quantity, stored)
    )
    importer.values[made] = node
    importer.name_tensor(node, made)


def dequantise(importer: OnnxImporter, operator: Operator) -> None:
    """DequantizeLinear: the same integers, taken as real numbers."""
    if importer.is_start(operator):
        stored = importer.graph.input[1].lower()
        stored = stored if stored in STORED.values() else "uint8"
        scale, zero, stored = _scale(importer, operator, stored)
        importer.begin(operator.inputs[0], _quantity(importer, operator, scale, zero), stored)
    value = importer.value(operator, 0)
    if isinstance(value, Activation):
        scale, zero, stored = _scale(importer, operator, value.stored)
        quantity = _quantity(importer, operator, scale, zero)
        if quantity != value.quantity or stored != value.stored:
            importer.refuse(
                operator,
                f"reads {value.stored} of {value.quantity} as {stored} of {quantity} (zero points "
                "after the shift to int8; an omitted one is 0): give both the same scale and zero "
                "point",
            )
    elif isinstance(value, Constant):
        kind = value.values.dtype.name
        scale, zero, stored = _scale(importer, operator, kind)
        integers = value.values
        if stored != kind or kind not in ("int8", "uint8", "int32"):
            importer.refuse(operator, f"reads a constant of {kind} as {stored}; both must agree")
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
    importer: OnnxImporter, operator: Operator, value: Activation, quantity: Quantity, stored: str
) -> Activation:
    """The same values with another scale and zero point; no new node if these are equal."""
    if quantity == value.quantity:
        return Activation(value.name, quantity, value.layout, stored)
    multiplier, shift = quantise_factor(value.quantity.scale / quantity.scale)
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
    origin = Origin(operator.outputs[0], order=value.layout.order)
    importer.network.add(node, value.layout.shape, origin, operator.place)
    return Activation(node.name, quantity, value.layout, stored)


def _scale(importer: OnnxImporter, operator: Operator, kind: str) -> tuple[Array, Array, str]:
    """Scales and zero points, (n,) each, for int8 or int32, and the type of the integers.

    uint8 is shifted by 128. kind: the type if there is no zero point, which is then 0.
    """
    scale = importer.numbers(operator, 1, "scale").astype(np.float32).astype(np.float64).ravel()
    if operator.attributes.get("block_size", 0):
        importer.refuse(operator, "has a scale per block, which is not supported")
    zero = (
        importer.numbers(operator, 2, "zero point")
        if importer.has_input(operator, 2)
        else np.zeros(1, kind if kind in ("int8", "int32") else "uint8")
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
    return scale, np.broadcast_to(shifted, scale.shape), zero.dtype.name


def _fixed(importer: OnnxImporter, operator: Operator, values: Array, kind: str) -> Fixed:
    """A constant quantised to int8 as QuantizeLinear does."""
    scale, zero, _ = _scale(importer, operator, kind)
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
    axis = int(operator.attributes.get("axis", 1))
    if values.ndim == 0 or not -values.ndim <= axis < values.ndim:
        importer.refuse(operator, f"has {scale.size} scales for axis {axis} of {values.shape}")
    if values.shape[axis] != scale.size:
        importer.refuse(operator, f"has {scale.size} scales for axis {axis} of {values.shape}")
    return axis % values.ndim
