"""The descriptors of nodes without weights: FIELDS, the fields that each kind of node sets."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from dscim.errors import UserError
from dscim.gateware import descriptor
from dscim.gateware.descriptor import Operation
from dscim.host.network.node import ByKind, Node, Shape
from dscim.host.network.nodes import ON_HOST
from dscim.host.network.plain import Add, Pad, Requantise, Reshape
from dscim.host.network.pools import AveragePool, MaxPool, Mean
from dscim.host.network.softmax import Softmax
from dscim.host.network.weighted import Conv, Depthwise

IDENTITY = (1 << 30, 1)
"""The Q31 multiplier and shift with which a pool leaves its values unchanged."""

Fields = dict[str, int]
"""The value of every field of a descriptor, by name."""


@dataclasses.dataclass(frozen=True)
class Bases:
    """The places of a descriptor's tensors and numbers in the device's memories.

    input, output, second: first rows in the activation memory; second is an add's second input,
                or a residual.
    weights:    first row in the weight memory.
    parameters: index of the parameters of the first channel that is written.
    """

    input: int = 0
    output: int = 0
    second: int = 0
    weights: int = 0
    parameters: int = 0

    @property
    def tensors(self) -> "Bases":
        """The places of the tensors alone."""
        return Bases(self.input, self.output, self.second)


def vector_fields(node: Node, shape: Shape, bases: Bases) -> Fields:
    """The descriptor of a node without weights on inputs of `shape`.

    Raises UserError for a kind that is None in FIELDS, and for an add that exceeds 32 bits.
    """
    make = FIELDS[type(node)]
    if make is None:
        raise UserError(f"node {node.name!r} of kind {type(node).__name__} has no descriptor.")
    output = node.output_shape([shape] * len(node.inputs))
    return (
        tensor_fields(shape, output, bases)
        | {
            "inputs": shape[2],
            "outputs": output[2],
            "units": 1,
            "output_zero": node.output_zero,
            "clamp_low": node.clamp[0],
            "clamp_high": node.clamp[1],
            "input_zero": node.output_zero,
            "kernel_height": 1,
            "kernel_width": 1,
            "stride_y": 1,
            "stride_x": 1,
        }
        | make(node, shape, bases)
    )


def _add(node: Add, shape: Shape, bases: Bases) -> Fields:
    """A sum has its own zero point and clamp; those of products are unused."""
    return {
        "operation": int(Operation.ADD),
        "kernel_width": 2,
        "second_base": bases.second,
        "output_zero": 0,
        "clamp_low": 0,
        "clamp_high": 0,
        **_sum_fields(node, (0, 1)),
    }


def _pool(operation: Operation, node: AveragePool | MaxPool, shape: Shape, bases: Bases) -> Fields:
    return {
        **_scaling(operation, node.output_zero, *IDENTITY),
        "kernel_height": node.kernel[0],
        "kernel_width": node.kernel[1],
        "stride_y": node.stride[0],
        "stride_x": node.stride[1],
        "origin_y": -node.padding[0][0],
        "origin_x": -node.padding[1][0],
    }


def _mean(node: Mean, shape: Shape, bases: Bases) -> Fields:
    """A sum over the whole input; its scaling includes the division."""
    return {
        "kernel_height": shape[0],
        "kernel_width": shape[1],
        **_scaling(
            Operation.SUM_POOL, node.input_zero, node.multiplier, node.shift, node.single_rounding
        ),
    }


def _requantise(node: Requantise, shape: Shape, bases: Bases) -> Fields:
    """The maximum of a single value, scaled."""
    return _scaling(
        Operation.MAX_POOL, node.input_zero, node.multiplier, node.shift, node.single_rounding
    )


FIELDS: ByKind[Callable[[Any, Shape, Bases], Fields] | None] = {
    Add: _add,
    AveragePool: partial(_pool, Operation.AVERAGE_POOL),
    MaxPool: partial(_pool, Operation.MAX_POOL),
    Mean: _mean,
    Requantise: _requantise,
    Conv: None,
    Depthwise: None,
    Pad: None,
    Reshape: None,
    Softmax: None,
    **dict.fromkeys(ON_HOST),
}
"""The fields that each kind of node sets, in addition to those that `vector_fields` sets for all.

None: a product, for which see `dscim.host.compile.products`, or a node that the host computes.
"""


def _sum_fields(node: Add, order: tuple[int, int]) -> Fields:
    """The integers of an add.

    order: the indices of the inputs that are the first and the second operand. Raises UserError if
    the inputs are widened beyond 32 bits.
    """
    widest = node.left_shift + max(0, *node.shifts[:2])
    if widest > descriptor.MAX_WIDENING:
        raise UserError(
            f"node {node.name!r} widens an input by {widest} bits; the device adds in "
            f"32 bits, which hold {descriptor.MAX_WIDENING}."
        )
    fields = {
        "left_shift": node.left_shift,
        "sum_zero": node.output_zero,
        "sum_low": node.clamp[0],
        "sum_high": node.clamp[1],
        "output_multiplier": node.multipliers[2],
        "output_shift": node.shifts[2],
    }
    for name, index in zip(("first", "second"), order, strict=True):
        fields |= {
            f"{name}_zero": node.input_zeros[index],
            f"{name}_multiplier": node.multipliers[index],
            f"{name}_shift": node.shifts[index],
        }
    return fields


def residual_fields(node: Add, product: str, base: int) -> Fields:
    """The fields that add a residual to the outputs of a product's descriptor.

    node: the add, one of whose inputs is the node named `product`; the other input is at row
    `base`. Raises UserError if the inputs are widened beyond 32 bits.
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


def tensor_fields(shape: Shape, output: Shape, bases: Bases) -> Fields:
    """All fields, with the sizes and bases of the tensors; everything else is 0."""
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
