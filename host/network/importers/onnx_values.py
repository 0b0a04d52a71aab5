"""The tensors of an ONNX QDQ graph during its import.

A tensor is a constant, a quantised constant, an activation (the integers of a node), or pending:
the real result of an operator, which becomes a node when a QuantizeLinear sets its scale.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from dscim.arrays import Array, Float64, Int8, Int64
from dscim.gateware.specs.base import require
from dscim.host.network import Conv, Depthwise, Node, Shape
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.scaling import quantise_multiplier

IMAGE = "chw"
"""The order of an image's dimensions after the batch; "hwc" after a Transpose."""


@dataclass(frozen=True)
class Constant:
    """Numbers that are not quantised."""

    values: Array


@dataclass(frozen=True)
class Fixed:
    """Quantised numbers: real = scale * (values - zero), one scale or one per entry of `axis`."""

    values: Array
    scale: Float64
    zero: Int64
    axis: int

    def real(self) -> Float64:
        """The real numbers."""
        scale, zero = self.scale, self.zero
        if self.scale.size > 1:
            shape = [1] * self.values.ndim
            shape[self.axis] = -1
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        return (self.values.astype(np.float64) - zero) * scale

    def transposed(self, order: tuple[int, ...]) -> "Fixed":
        """The same numbers with their axes in another order."""
        return replace(self, values=self.values.transpose(order), axis=order.index(self.axis))


@dataclass(frozen=True)
class Layout:
    """How a tensor's dimensions after the batch form an image of `shape`.

    order: "h", "w" and "c" in the order of the dimensions. flat: whether they are one dimension.
    """

    shape: Shape
    order: str = IMAGE
    flat: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """The dimensions in their order, before they were flattened."""
        return tuple(self.shape["hwc".index(letter)] for letter in self.order)


@dataclass(frozen=True)
class Activation:
    """The int8 output of node `name`, and the real numbers that it represents."""

    name: str
    quantity: Quantity
    layout: Layout


@dataclass(frozen=True)
class Pending:
    """Real numbers that an operator computes from activations.

    low, high: the bounds from activation functions so far. title: the name of the node.
    """

    inputs: tuple[Activation, ...]
    layout: Layout
    low: float | None = None
    high: float | None = None
    title: str = ""

    def bounded(self, low: float | None, high: float | None) -> Self:
        """The same value, also kept within low..high."""
        lows = [bound for bound in (self.low, low) if bound is not None]
        highs = [bound for bound in (self.high, high) if bound is not None]
        return replace(self, low=max(lows, default=None), high=min(highs, default=None))

    def node(self, fields: dict[str, Any]) -> Node:
        """The node. fields: its name, inputs, output zero point and scale, and clamp."""
        raise NotImplementedError


@dataclass(frozen=True)
class Simple(Pending):
    """A Pending whose node needs only its inputs and the quantity of its output."""

    make: Callable[[dict[str, Any]], Node] = field(kw_only=True)
    own: Quantity | None = None
    """The scale and zero point that the node keeps from its input; None: free to choose."""
    average: bool = False
    """Whether its integers are averages, rounded to the input's scale."""

    def node(self, fields: dict[str, Any]) -> Node:
        """The node from `make`."""
        return self.make(fields)


@dataclass(frozen=True)
class Product(Pending):
    """gain * (weights . input + bias) + offset, channel by channel.

    weights: int8, outputs first: OHWI, or (outputs, KH, KW) of a depthwise convolution.
    scale: (outputs,) of the weights. bias: (outputs,) in units of input scale * weight scale.
    gain, offset: (outputs,) real numbers, from batch normalisations and biases.
    geometry: stride and padding.
    """

    weights: Int8 = field(kw_only=True)
    scale: Float64 = field(kw_only=True)
    bias: Float64 = field(kw_only=True)
    gain: Float64 = field(kw_only=True)
    offset: Float64 = field(kw_only=True)
    geometry: dict[str, Any] = field(kw_only=True)

    def node(self, fields: dict[str, Any]) -> Node:
        """A Conv or Depthwise with gain and offset in its bias, multiplier and shift.

        SpecError if a bias does not fit 32 bits.
        """
        quantity = self.inputs[0].quantity
        output = fields["output_scale"]
        factor = quantity.scale * self.scale * np.abs(self.gain) / output
        none = factor < 2.0**-31
        factor = np.where(none, 2.0**-16, factor)
        bias = np.rint(
            np.where(none, 0, self.bias) * np.sign(self.gain) + self.offset / output / factor
        )
        require(
            bool((np.abs(bias) < 2.0**31).all()),
            f"Node {fields['name']!r} has a bias of {np.abs(bias).max():.3g} steps of its "
            "product, beyond 32 bits; the weights are too small for it.",
        )
        multiplier, shift = quantise_multiplier(factor)
        shape = (-1,) + (1,) * (self.weights.ndim - 1)
        weights = (
            self.weights * np.where(none, 0, np.sign(self.gain)).astype(np.int8).reshape(shape)
        ).astype(np.int8)
        common = {
            **fields,
            "bias": bias.astype(np.int32),
            "multiplier": multiplier,
            "shift": shift,
            "single_rounding": True,
            "input_zero": quantity.zero,
            **self.geometry,
        }
        if self.weights.ndim == 3:
            return Depthwise(**common, weights=weights.transpose(1, 2, 0))
        return Conv(**common, weights=weights)


Value = Constant | Fixed | Activation | Pending
