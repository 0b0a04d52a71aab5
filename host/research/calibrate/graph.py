"""How a node's integers change when the tensors around it get other scales and zero points.

A tensor's rescaling: x' - z' = scale * (x - z), where x is what the given network has. Nodes that
keep their input's scale (pools, padding, reshaping) pass it on.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.host.network import (
    Add,
    AveragePool,
    MaxPool,
    Mean,
    Network,
    Node,
    Pad,
    Requantise,
    Reshape,
    Softmax,
    Weighted,
)
from dscim.host.network.scaling import add_factors, quantise_multiplier

PASSING = (AveragePool, MaxPool, Pad, Reshape)
"""Nodes whose output has the scale and zero point of their input."""

LOWEST, HIGHEST = -128, 127


@dataclasses.dataclass(frozen=True)
class Rescaling:
    """x' - zero' = scale * (x - zero)."""

    scale: float = 1.0
    zero: int = 0


def real_factor(multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """What a Q31 multiplier and its shift stand for."""
    return np.ldexp(np.asarray(multiplier, np.float64), np.asarray(shift, np.int64) - 31)


def add_inputs(node: Add) -> tuple[float, float]:
    """By how many steps of the output a step of each input moves a sum."""
    first, second, output = real_factor(node.multipliers, node.shifts) * np.array(
        [1, 1, 2.0**node.left_shift]
    )
    return float(first * output), float(second * output)


def has_relu(node: Node) -> bool:
    """Whether nothing of the output lies below its zero point."""
    return node.clamp[0] >= node.output_zero


def rescaled_output(node: Node, to: Rescaling) -> dict[str, Any]:
    """The fields of `node` that tell of its output, for the output rescaled."""
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


def rescaled(node: Node, given: list[Rescaling], to: Rescaling) -> Node:
    """A node without weights of its own for rescaled inputs, its output rescaled."""
    fields = rescaled_output(node, to)
    if isinstance(node, PASSING):
        return dataclasses.replace(node, **fields)
    if isinstance(node, Add):
        factors = [
            factor * to.scale / tensor.scale
            for factor, tensor in zip(add_inputs(node), given, strict=True)
        ]
        multipliers, shifts = add_factors(factors[0], factors[1], 1.0, node.left_shift)
        return dataclasses.replace(
            node,
            **fields,
            input_zeros=(given[0].zero, given[1].zero),
            multipliers=multipliers,
            shifts=shifts,
        )
    if isinstance(node, Mean | Requantise):
        factor = real_factor(node.multiplier, node.shift) * to.scale / given[0].scale
        multiplier, shift = quantise_multiplier(factor)
        return dataclasses.replace(
            node, **fields, input_zero=given[0].zero, multiplier=int(multiplier), shift=int(shift)
        )
    return node


def families(network: Network) -> dict[str, list[Node]]:
    """By the name of each tensor that has a scale of its own: the nodes that pass it on."""
    passed: dict[str, list[Node]] = {node.name: [] for node in network.nodes}
    root = {node.name: node.name for node in network.nodes}
    for node in network.nodes:
        if isinstance(node, PASSING) and node.inputs[0] in root:
            root[node.name] = root[node.inputs[0]]
            passed[root[node.name]].append(node)
    return passed


def fixed_scale(network: Network, members: set[str]) -> bool:
    """Whether the tensors `members` must keep their scale: an output, or a softmax's input."""
    return network.nodes[-1].name in members or any(
        isinstance(node, Softmax) and members & set(node.inputs) for node in network.nodes
    )


def requantised(
    node: Weighted, gain: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """bias, multiplier and shift of gain * sum + bias (in steps of the output), both (O,).

    A channel that gives nothing, neither gain nor bias, has neither.
    """
    gain = np.maximum(gain, np.abs(bias) / 2.0**30)
    multiplier, shift = quantise_multiplier(gain)
    units = np.divide(bias, gain, out=np.zeros_like(gain), where=gain > 0)
    return {"bias": np.rint(units).astype(np.int32), "multiplier": multiplier, "shift": shift}
