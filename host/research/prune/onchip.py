"""The costs of a structure on a device: busy cycles of the engine and bytes of memory."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.errors import UserError
from dscim.gateware.layout import PARAMETER_WORDS, tensor_rows
from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.cycles import add_cycles, pool_cycles, product_cycles
from dscim.host.compile.packing import best_packing, packed_layer
from dscim.host.compile.products import layer_rows
from dscim.host.compile.strips import strips
from dscim.host.network import Add, Conv, Depthwise, MaxPool, Node
from dscim.host.research.prune.operations import Kind, Operation

CHANNEL_BYTES = 4 * PARAMETER_WORDS
"""Bytes of a channel's bias, multiplier and shift."""


def cycles(spec: SocSpec, operation: Operation) -> int:
    """Busy cycles of an operation per image; `operation.layer.product` is the arithmetic.

    If the tensors do not fit the activation memory, the operation runs in row strips, as in
    `dscim.host.compile`. An addition takes 0 cycles: its cycles are part of its convolution's.
    UserError if the operation cannot run at all.
    """
    if operation.kind is Kind.ADD:
        return 0
    own = sum(_whole(spec, operation.kind, layer) for layer in _pieces(spec, operation))
    if not operation.summed:
        return own
    layer = operation.layer
    needed = tensor_rows(layer.input, spec.banks) + 2 * tensor_rows(layer.output, spec.banks)
    if needed <= spec.activation_rows:
        return product_cycles(spec, layer, residual=True)
    add = Operation(
        "add",
        Kind.ADD,
        ("", ""),
        replace(
            layer,
            input=layer.output,
            kernel=(1, 1),
            stride=(1, 1),
            padding=((0, 0), (0, 0)),
            depthwise=True,
        ),
        (),
    )
    return own + sum(add_cycles(spec, part) for part in _pieces(spec, add))


def memory(spec: SocSpec, operations: Iterable[Operation]) -> int:
    """Bytes of memory for the whole network on the device at once.

    This is the sum of all weights and parameters, packed for its macro, and the peak size of the
    tensors that are live at the same time.
    """
    operations = tuple(operations)
    last = {name: place for place, each in enumerate(operations) for name in each.inputs}
    rows = {"input": tensor_rows(operations[0].layer.input, spec.banks)}
    constant, peak = 0, 0
    for place, each in enumerate(operations):
        rows[each.name] = tensor_rows(each.layer.output, spec.banks)
        if each.kind is Kind.ADD:  # its convolution's outputs are never stored
            del rows[operations[place - 1].name]
        peak = max(peak, sum(rows.values()))
        rows = {name: size for name, size in rows.items() if last.get(name, 0) > place}
        if each.kind in (Kind.CONVOLUTION, Kind.CLASSIFIER):
            constant += weight_rows(spec, each.layer) * spec.macro.columns
            constant += channels(spec, each.layer) * CHANNEL_BYTES
    return constant + WORD_BYTES * spec.banks * peak


def weight_rows(spec: SocSpec, layer: LayerSpec) -> int:
    """Rows of the weight memory that a layer's packed weights take."""
    return layer_rows(spec, packed_layer(layer, best_packing(spec, layer)))


def channels(spec: SocSpec, layer: LayerSpec) -> int:
    """Output channels with parameters on the device: those of all pixels of a window."""
    return layer.outputs * best_packing(spec, layer)


def _whole(spec: SocSpec, kind: Kind, layer: LayerSpec) -> int:
    """Busy cycles of an operation whose tensors are in the device."""
    if kind in (Kind.MEAN, Kind.MAX_POOL):
        return pool_cycles(spec, layer, averages=kind is Kind.MEAN)
    return product_cycles(spec, layer)


def _pieces(spec: SocSpec, operation: Operation) -> list[LayerSpec]:
    """The layer, or the row strips of it that fit the activation memory."""
    layer = operation.layer
    inputs = len(operation.inputs) * tensor_rows(layer.input, spec.banks)
    if inputs + tensor_rows(layer.output, spec.banks) <= spec.activation_rows:
        return [layer]
    parts = strips(_blank(operation), layer.input, spec)
    if not parts:
        raise UserError(
            f"{operation.name!r} on {layer.input} does not fit the device's "
            f"{spec.activation_words} words of activation memory, not even one output row; "
            "use a device with more."
        )
    return [
        LayerSpec(
            (len(part.input), *layer.input[1:]),
            layer.outputs,
            layer.kernel,
            layer.stride,
            getattr(part.node, "padding", layer.padding),
            product=layer.product,
            depthwise=layer.depthwise,
        )
        for part in parts
    ]


def _blank(operation: Operation) -> Node:
    """A node with the operation's geometry; all its arrays are zero and share their memory."""
    layer = operation.layer
    common = (operation.name, operation.inputs, 0, 1.0)
    if operation.kind is Kind.ADD:
        return Add(*common, input_zeros=(0, 0), multipliers=(0, 0, 0), shifts=(0, 0, 0))
    if operation.kind in (Kind.MEAN, Kind.MAX_POOL):
        return MaxPool(*common, kernel=layer.kernel, stride=layer.stride, padding=layer.padding)
    zeros = np.broadcast_to(np.int32(0), layer.outputs)
    integers: dict[str, Any] = {
        "bias": zeros,
        "multiplier": zeros,
        "shift": zeros,
        "input_zero": 0,
        "stride": layer.stride,
        "padding": layer.padding,
    }
    if layer.depthwise:
        return Depthwise(*common, weights=_zeros(*layer.kernel, layer.outputs), **integers)
    return Conv(*common, weights=_zeros(layer.outputs, *layer.kernel, layer.input[2]), **integers)


def _zeros(*shape: int) -> npt.NDArray[np.int8]:
    """int8 zeros that occupy one byte."""
    return np.broadcast_to(np.int8(0), shape)
