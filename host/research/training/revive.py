"""Turns a network file back into a trainable network, with its integers as real numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dscim.errors import UserError
from dscim.host.network import (
    INPUT,
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
from dscim.host.research.training.convolution import ConvStep
from dscim.host.research.training.joining import (
    AddStep,
    AverageStep,
    MaxStep,
    PoolStep,
    RequantiseStep,
)
from dscim.host.research.training.step import Bounds, Padding, Step

NO_PADDING: Padding = ((0, 0), (0, 0))


def revive(network: Network, saturating: bool = True) -> list[Step]:
    """The steps of `network` in real numbers, from its integers and their scales.

    saturating: a tensor is bounded by the range of its int8; otherwise only by its activation, as
    far as the integers show it. A mean gets its input's scale. A softmax at the end is dropped;
    padding and flattening become part of the layer that follows.
    UserError names a node that has no trainable form.
    """
    return _Reviver(network, saturating).steps


class _Reviver:
    """Visits the nodes in order and records which step computes each tensor."""

    def __init__(self, network: Network, saturating: bool) -> None:
        self._saturating = saturating
        self.steps: list[Step] = []
        self._shapes = network.shapes()
        self._scales = {INPUT: network.scale} | {n.name: n.output_scale for n in network.nodes}
        self._made = {INPUT: INPUT}
        self._padded: dict[str, Padding] = {}
        self._flat: dict[str, tuple[int, int, int]] = {}
        self._last = network.nodes[-1]
        for node in network.nodes:
            self._visit(node)

    def _visit(self, node: Node) -> None:
        """Adds the node's step, or passes its input on."""
        form = FORMS[type(node)]
        for source in node.inputs:
            if source in self._padded and not form.takes_padded:
                raise _untrainable(node, "takes a padded tensor, but is not a convolution")
            if source in self._flat and not form.takes_flat:
                raise _untrainable(node, "takes a flattened tensor, but is not a full convolution")
        form.revive(self, node)

    def convolution(self, node: Conv) -> None:
        """A convolution, or a fully connected layer after a flatten."""
        weights, source = node.weights, node.inputs[0]
        if source in self._flat:
            weights = weights.reshape(len(weights), *self._flat[source])
        self._weighted(node, _tensor(weights.transpose(0, 3, 1, 2)), 1)

    def depthwise(self, node: Depthwise) -> None:
        """A depthwise convolution; of a single channel it is a full one."""
        weights = _tensor(node.weights.transpose(2, 0, 1)[:, None])
        self._weighted(node, weights, self._shapes[node.inputs[0]][2])

    def _weighted(self, node: Weighted, weights: Tensor, groups: int) -> None:
        """A step with integer weights (O, C / groups, KH, KW)."""
        source = node.inputs[0]
        scale = self._scales[source]
        factor = node.multiplier.astype(np.float64) * np.exp2(node.shift.astype(np.float64) - 31)
        real = factor * node.output_scale / scale
        pads = self._padded.get(source, NO_PADDING)
        padding = tuple(
            (own[0] + extra[0], own[1] + extra[1])
            for own, extra in zip(node.padding, pads, strict=True)
        )
        unit = _tensor(real)
        step = ConvStep(
            node.name,
            self._inputs(node),
            self._bounds(node),
            weights * unit[:, None, None, None],
            _tensor(node.bias * real * scale),
            node.stride,
            (padding[0], padding[1]),
            groups,
        )
        step.hold(weights, unit)
        step.activation_shift, step.stretch = node.activation_shift, node.stretch
        self._add_step(node, step)

    def add(self, node: Add) -> None:
        """A sum."""
        self._add_step(node, AddStep(node.name, self._inputs(node), self._bounds(node)))

    def requantise(self, node: Requantise) -> None:
        """Another scale."""
        self._add_step(node, RequantiseStep(node.name, self._inputs(node), self._bounds(node)))

    def average_pool(self, node: AveragePool) -> None:
        """The mean of each window."""
        self._pool(node, AverageStep)

    def max_pool(self, node: MaxPool) -> None:
        """The maximum of each window."""
        self._pool(node, MaxStep)

    def _pool(self, node: AveragePool | MaxPool, kind: type[PoolStep]) -> None:
        """A pool, which has no activation of its own."""
        if node.clamp != (-128, 127):
            raise _untrainable(node, f"is a pool with the clamp {node.clamp}")
        self._add_step(
            node, kind(node.name, self._inputs(node), node.kernel, node.stride, node.padding)
        )

    def mean(self, node: Mean) -> None:
        """The mean over the whole image."""
        height, width, _ = self._shapes[node.inputs[0]]
        self._add_step(node, AverageStep(node.name, self._inputs(node), (height, width), (1, 1)))

    def pad(self, node: Pad) -> None:
        """Padding for the convolution that reads it."""
        self._padded[node.name] = node.padding
        self._pass_on(node)

    def reshape(self, node: Reshape) -> None:
        """A flatten for the layer that reads it."""
        before, after = self._shapes[node.inputs[0]], self._shapes[node.name]
        if before != after:
            if after[:2] != (1, 1):
                raise _untrainable(node, f"reshapes {before} to {after}, which does not flatten it")
            self._flat[node.name] = before
        self._pass_on(node)

    def softmax(self, node: Softmax | IntegerSoftmax) -> None:
        """Nothing at the end of a network; elsewhere it has no trainable form."""
        if node is not self._last:
            raise _untrainable(node, "is a softmax before the end")
        self._pass_on(node)

    def untrainable(self, node: Node) -> None:
        """A kind that only the host computes."""
        raise _untrainable(node, f"is of kind {type(node).__name__}")

    def _pass_on(self, node: Node) -> None:
        """The node's output is that of its input's step."""
        self._made[node.name] = self._made[node.inputs[0]]

    def _add_step(self, node: Node, step: Step) -> None:
        """Adds the node's own step."""
        with torch.no_grad():
            step.log_scale.fill_(float(np.log(node.output_scale)))
            step.zero_point.fill_(node.output_zero)
        self._made[node.name] = node.name
        self.steps.append(step)

    def _inputs(self, node: Node) -> tuple[str, ...]:
        """The names of the steps that compute a node's inputs."""
        return tuple(self._made[name] for name in node.inputs)

    def _bounds(self, node: Node) -> Bounds:
        """The real range of the node's output."""
        low, high = ((bound - node.output_zero) * node.output_scale for bound in node.clamp)
        if self._saturating:
            return low, high
        return (
            None if node.clamp[0] == -128 != node.output_zero else low,
            None if node.clamp[1] == 127 else high,
        )


@dataclass(frozen=True)
class _Form:
    """How a kind of node is revived.

    takes_padded, takes_flat: the input may come from a Pad, or from a Reshape that flattens.
    """

    revive: Callable[[_Reviver, Any], None]
    takes_padded: bool = False
    takes_flat: bool = False


FORMS: ByKind[_Form] = {
    Conv: _Form(_Reviver.convolution, takes_padded=True, takes_flat=True),
    Depthwise: _Form(_Reviver.depthwise, takes_padded=True),
    Add: _Form(_Reviver.add),
    AveragePool: _Form(_Reviver.average_pool),
    MaxPool: _Form(_Reviver.max_pool),
    Mean: _Form(_Reviver.mean),
    Pad: _Form(_Reviver.pad),
    Requantise: _Form(_Reviver.requantise),
    Reshape: _Form(_Reviver.reshape),
    Softmax: _Form(_Reviver.softmax, takes_padded=True, takes_flat=True),
    Combine: _Form(_Reviver.untrainable),
    Concat: _Form(_Reviver.untrainable),
    Extreme: _Form(_Reviver.untrainable),
    IntegerSoftmax: _Form(_Reviver.softmax, takes_padded=True, takes_flat=True),
    LogSoftmax: _Form(_Reviver.untrainable),
    Lookup: _Form(_Reviver.untrainable),
    Select: _Form(_Reviver.untrainable),
    Sum: _Form(_Reviver.untrainable),
    Transpose: _Form(_Reviver.untrainable),
}
"""The trainable form of each kind of node."""


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    """An array as float32."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _untrainable(node: Node, reason: str) -> UserError:
    """The error for a node that cannot be trained."""
    return UserError(
        f"the node {node.name!r} {reason}: it has no trainable form; calibrate the "
        "network instead, or train it in PyTorch and import it."
    )
