"""QuantizeLinear and DequantizeLinear: where real numbers become the integers of nodes."""

from typing import Any

import numpy as np

from dscim.arrays import Array
from dscim.host.network import AveragePool, Requantise
from dscim.host.network.importers.draft import at
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_values import Activation, Constant, Fixed
from dscim.host.network.importers.onnx_walk import Walk
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.scaling import quantise_multiplier


def quantise(walk: Walk, operator: Operator) -> None:
    """QuantizeLinear: what was pending becomes a node; a constant is quantised."""
    made = operator.outputs[0]
    if walk.is_start(operator):
        walk.begin(made, _quantity(walk, operator, *_scale(walk, operator)))
        return
    value = walk.value(operator, 0)
    if isinstance(value, Constant | Fixed):
        walk.values[made] = _fixed(walk, operator, walk.numbers(operator, 0, "input"))
        return
    quantity = _quantity(walk, operator, *_scale(walk, operator))
    node = (
        _rescaled(walk, operator, value, quantity)
        if isinstance(value, Activation)
        else walk.materialise(operator, value, quantity)
    )
    walk.values[made] = node
    walk.named(node, made)


def dequantise(walk: Walk, operator: Operator) -> None:
    """DequantizeLinear: the same integers, meant as real numbers."""
    if walk.is_start(operator):
        kind = walk.graph.input[1].lower()
        kind = kind if kind in ("int8", "uint8") else "uint8"
        walk.begin(operator.inputs[0], _quantity(walk, operator, *_scale(walk, operator, kind)))
    value = walk.value(operator, 0)
    if isinstance(value, Activation):
        scale, zero = _scale(walk, operator)
        quantity = (
            value.quantity
            if not walk.given(operator, 2) and scale[0] == value.quantity.scale
            else _quantity(walk, operator, scale, zero)
        )
        if quantity != value.quantity:
            walk.refuse(operator, f"reads integers of {value.quantity} as {quantity}")
    elif isinstance(value, Constant):
        scale, zero = _scale(walk, operator, value.values.dtype)
        integers = value.values
        if integers.dtype == np.uint8:
            integers = (integers ^ np.uint8(128)).view(np.int8)
        value = Fixed(integers, scale, zero, _axis(walk, operator, integers, scale))
    elif not isinstance(value, Fixed):
        walk.refuse(operator, "takes real numbers")
    walk.values[operator.outputs[0]] = value


def _quantity(walk: Walk, operator: Operator, scale: Array, zero: Array) -> Quantity:
    """What one scale and zero point say."""
    if scale.size != 1:
        walk.refuse(operator, f"has {scale.size} scales for an activation; one is needed")
    return at(operator.place, lambda: Quantity(float(scale[0]), int(zero[0])))


def _rescaled(walk: Walk, operator: Operator, value: Activation, quantity: Quantity) -> Activation:
    """The same values by another scale and zero point; nothing where they are the same."""
    if quantity == value.quantity:
        return value
    assert walk.draft is not None
    finer = value.quantity.scale / quantity.scale
    if finer >= 2 and any(
        node.name == value.name and isinstance(node, AveragePool) for node in walk.draft.nodes
    ):
        walk.refuse(
            operator,
            f"makes the scale of an average {finer:.3g} times finer after it is "
            "rounded; give it the scale of the pool's input",
        )
    multiplier, shift = quantise_multiplier([finer])
    node = Requantise(
        f"scale_{operator.index}",
        (value.name,),
        quantity.zero,
        quantity.scale,
        input_zero=value.quantity.zero,
        multiplier=int(multiplier[0]),
        shift=int(shift[0]),
        single_rounding=True,
    )
    walk.draft.add(node, value.layout.shape, operator.outputs[0])
    return Activation(node.name, quantity, value.layout)


def _scale(walk: Walk, operator: Operator, kind: Any = np.uint8) -> tuple[Array, Array]:
    """Scales and zero points, (n,) each, as for int8 or int32; uint8 is shifted by 128.

    kind: the type of the integers where no zero point tells it.
    """
    scale = walk.numbers(operator, 1, "scale").astype(np.float32).astype(np.float64).ravel()
    zero = walk.numbers(operator, 2, "zero point") if walk.given(operator, 2) else np.zeros(1, kind)
    if zero.dtype not in (np.int8, np.uint8, np.int32):
        walk.refuse(operator, f"is of type {zero.dtype}; int8 and uint8 are known")
    if not (
        np.isfinite(scale).all()
        and (scale > 0).all()
        and scale.size
        and zero.size in (1, scale.size)
    ):
        walk.refuse(
            operator, "has scales that are no numbers above 0, or other than its zero points"
        )
    shifted = zero.astype(np.int64).ravel() - (128 if zero.dtype == np.uint8 else 0)
    return scale, np.broadcast_to(shifted, scale.shape)


def _fixed(walk: Walk, operator: Operator, values: Array) -> Fixed:
    """A constant as QuantizeLinear quantises it, to int8."""
    scale, zero = _scale(walk, operator)
    axis = _axis(walk, operator, values, scale)
    shape = [1] * values.ndim
    if scale.size > 1:
        shape[axis] = -1
    integers = np.rint(values / scale.reshape(shape)) + zero.reshape(shape)
    return Fixed(np.clip(np.nan_to_num(integers), -128, 127).astype(np.int8), scale, zero, axis)


def _axis(walk: Walk, operator: Operator, values: Array, scale: Array) -> int:
    """The axis of one scale an entry."""
    if scale.size == 1:
        return 0
    axis = int(operator.attributes.get("axis", 1)) % max(values.ndim, 1)
    if values.ndim == 0 or values.shape[axis] != scale.size:
        walk.refuse(operator, f"has {scale.size} scales for axis {axis} of {values.shape}")
    return axis
