"""How a node's integers change when the tensors around it get other scales and zero points.

A tensor's rescaling: x' - z' = scale * (x - z), where x is the value before calibration. Nodes that
keep their input's scale (pools, padding, reshaping) pass it on.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Floats, Int8
from dscim.host.network import (
    ON_HOST,
    Add,
    AveragePool,
    Combine,
    Concat,
    Conv,
    Depthwise,
    Extreme,
    IntegerSoftmax,
    LogSoftmax,
    Lookup,
    MaxPool,
    Mean,
    Network,
    Node,
    Pad,
    Requantise,
    Reshape,
    Select,
    Softmax,
    Sum,
    Transpose,
    Weighted,
)
from dscim.host.network.node import ByKind
from dscim.host.network.scaling import add_factors, quantise_multiplier

LOWEST, HIGHEST = -128, 127


@dataclasses.dataclass(frozen=True)
class Rescaling:
    """x' - zero' = scale * (x - zero)."""

    scale: float = 1.0
    zero: int = 0


def real_factor(multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The real factor of a Q31 multiplier and its shift."""
    return np.ldexp(np.asarray(multiplier, np.float64), np.asarray(shift, np.int64) - 31)


def add_inputs(node: Add) -> tuple[float, float]:
    """The value of one step of each input, in steps of the output."""
    first, second, output = real_factor(node.multipliers, node.shifts) * np.array(
        [1, 1, 2.0**node.left_shift]
    )
    return float(first * output), float(second * output)


def has_relu(node: Node) -> bool:
    """True if no output value is below the zero point."""
    return node.clamp[0] >= node.output_zero


def rescaled_output(node: Node, to: Rescaling) -> dict[str, Any]:
    """The fields that describe the output of `node`, for the rescaled output."""
    low, high = (_moved(limit, node.output_zero, to) for limit in node.clamp)
    if node.clamp[0] <= LOWEST and not has_relu(node):
        low = LOWEST
    if node.clamp[1] >= HIGHEST:
        high = HIGHEST
    return {
        "output_zero": to.zero,
        "output_scale": node.output_scale / to.scale,
        "clamp": (low, high),
    }


def _moved(limit: int, zero: int, to: Rescaling) -> int:
    return int(np.clip(round(to.scale * (limit - zero)) + to.zero, LOWEST, HIGHEST))


def rescaled(node: Node, scales: list[Rescaling], to: Rescaling) -> Node:
    """A node without weights for inputs rescaled by `scales`, its output rescaled by `to`."""
    adapt = INPUTS[type(node)]
    assert adapt is not None, "the weights of a product are chosen, not rescaled"
    return dataclasses.replace(node, **rescaled_output(node, to), **adapt(node, scales, to))


def _nothing(node: Node, scales: list[Rescaling], to: Rescaling) -> dict[str, Any]:
    return {}


def _add_inputs(node: Add, scales: list[Rescaling], to: Rescaling) -> dict[str, Any]:
    factors = [
        factor * to.scale / tensor.scale
        for factor, tensor in zip(add_inputs(node), scales, strict=True)
    ]
    multipliers, shifts = add_factors(factors[0], factors[1], 1.0, node.left_shift)
    return {
        "input_zeros": (scales[0].zero, scales[1].zero),
        "multipliers": multipliers,
        "shifts": shifts,
    }


def _scaled(
    node: Mean | Requantise | Sum, scales: list[Rescaling], to: Rescaling
) -> dict[str, Any]:
    factor = real_factor(node.multiplier, node.shift) * to.scale / scales[0].scale
    multiplier, shift = quantise_multiplier(factor)
    return {"input_zero": scales[0].zero, "multiplier": int(multiplier), "shift": int(shift)}


INPUTS: ByKind[Callable[[Any, list[Rescaling], Rescaling], dict[str, Any]] | None] = {
    Add: _add_inputs,
    AveragePool: _nothing,
    MaxPool: _nothing,
    Mean: _scaled,
    Pad: _nothing,
    Requantise: _scaled,
    Reshape: _nothing,
    Softmax: _nothing,
    Combine: _nothing,
    Concat: _nothing,
    Extreme: _nothing,
    IntegerSoftmax: _nothing,
    LogSoftmax: _nothing,
    Lookup: _nothing,
    Select: _nothing,
    Sum: _scaled,
    Transpose: _nothing,
    Conv: None,
    Depthwise: None,
}
"""The fields that adapt each kind of node to rescaled inputs, apart from those of its output.

None: a product, whose integers the calibration chooses.
"""


def _sum(node: Add, inputs: list[Int8], scales: list[Rescaling]) -> Floats:
    terms = [
        np.float32(factor / scale.scale) * (x.astype(np.float32) - scale.zero)
        for factor, scale, x in zip(add_inputs(node), scales, inputs, strict=True)
    ]
    total: Floats = np.maximum(terms[0] + terms[1], 0 if has_relu(node) else -np.inf)
    return total


UNROUNDED: ByKind[Callable[[Any, list[Int8], list[Rescaling]], Floats] | None] = {
    Add: _sum,
    AveragePool: None,
    MaxPool: None,
    Mean: None,
    Pad: None,
    Requantise: None,
    Reshape: None,
    Softmax: None,
    **dict.fromkeys(ON_HOST),
    Conv: None,
    Depthwise: None,
}
"""The unrounded output of each kind of node, in steps of the network before calibration.

The output's new scale is chosen from it. None: the output keeps its scale or has that of the input;
for a product, the output is computed when its weights are chosen.
"""


def families(network: Network) -> dict[str, list[Node]]:
    """By name of each node: the nodes that pass its scale on, if it does not pass one on itself."""
    passed: dict[str, list[Node]] = {node.name: [] for node in network.nodes}
    root = {node.name: node.name for node in network.nodes}
    for node in network.nodes:
        if node.keeps_scale and node.inputs[0] in root:
            root[node.name] = root[node.inputs[0]]
            passed[root[node.name]].append(node)
    return passed


def fixed_scale(network: Network, members: set[str]) -> bool:
    """True if the tensors `members` must keep their scale: the output, or a softmax's input."""
    return network.nodes[-1].name in members or any(
        node.fixes_scale and members & set(node.inputs) for node in network.nodes
    )


def requantised(
    node: Weighted, gain: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """The fields bias, multiplier and shift that compute gain * sum + bias, in steps of the output.

    gain, bias: (O,). A channel whose gain and bias are 0 has the multiplier and bias 0.
    """
    gain = np.maximum(gain, np.abs(bias) / 2.0**30)
    multiplier, shift = quantise_multiplier(gain)
    units = np.divide(bias, gain, out=np.zeros_like(gain), where=gain > 0)
    return {"bias": np.rint(units).astype(np.int32), "multiplier": multiplier, "shift": shift}
