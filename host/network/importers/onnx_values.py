"""The tensors of an ONNX graph during its import.

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
from dscim.host.network.importers.views import Dims, folded
from dscim.host.network.node import Pair
from dscim.host.network.scaling import quantise_multiplier

WEIGHT = 64
"""The weight of every position of an average that is a product."""


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
    """How the values of a node, (H, W, C) of `shape`, form the tensor of `dims` in the file.

    The node's dimensions in the order `order` of "h", "w" and "c" are the tensor's values in order.
    dims: all dimensions of the tensor, with a batch of 1.
    """

    shape: Shape
    order: str
    dims: Dims

    @property
    def sizes(self) -> Dims:
        """The node's dimensions in `order`."""
        return tuple(self.shape["hwc".index(letter)] for letter in self.order)

    @property
    def letters(self) -> str:
        """The order without the dimensions of size 1."""
        return "".join(each for each in self.order if self.shape["hwc".index(each)] != 1)

    @property
    def plain(self) -> bool:
        """Whether the node's values are in the order of the tensor's."""
        return list(self.letters) == sorted(self.letters, key="hwc".index)

    @property
    def direct(self) -> bool:
        """Whether the tensor's dimensions after the batch are the node's in `order`."""
        return self.dims == (1, *self.sizes)

    def axis(self, place: int) -> int | None:
        """The node's dimension that is the tensor's dimension `place`; None if there is none."""
        if self.direct and place >= 1:
            return "hwc".index(self.order[place - 1])
        return None


def image_layout(dims: Dims) -> Layout:
    """The layout of an image (1, C, H, W), or of (1, C, W) with the height 1."""
    channels, height, width = dims[1], *((1, *dims[2:])[-2:])
    return Layout((height, width, channels), "chw", dims)


def plain_layout(dims: Dims) -> Layout:
    """The layout of a tensor whose values are in order."""
    return Layout(folded(dims), "hwc", dims)


@dataclass(frozen=True)
class Activation:
    """The integers of node `name`, and the real numbers that they represent.

    stored: numpy's name of the file's type, "int8" or "uint8"; the node has int8.
    """

    name: str
    quantity: Quantity
    layout: Layout
    stored: str


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
        if low is not None and self.high is not None and low > self.high:
            return replace(self, low=low, high=low)
        if high is not None and self.low is not None and high < self.low:
            return replace(self, low=high, high=high)
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

    def node(self, fields: dict[str, Any]) -> Node:
        """The node from `make`."""
        return self.make(fields)


@dataclass(frozen=True)
class Average(Simple):
    """The averages of windows, which the node rounds to the input's scale.

    A finer scale would show that, so the QuantizeLinear after it decides; see `OnnxImporter`.
    geometry: kernel, stride and padding.
    """

    geometry: dict[str, Any] = field(kw_only=True)

    def unrounded(self, quantity: Quantity, clamp: Pair, name: str) -> Node | None:
        """The averages in the scale of `quantity`, by a product; None if windows are padded."""
        kernel, source = self.geometry["kernel"], self.inputs[0]
        if self.geometry["padding"] != ((0, 0), (0, 0)):
            return None
        channels = self.layout.shape[2]
        real = source.quantity.scale / quantity.scale / (WEIGHT * kernel[0] * kernel[1])
        multiplier, shift = quantise_multiplier([real] * channels)
        return Depthwise(
            name,
            (source.name,),
            quantity.zero,
            quantity.scale,
            clamp,
            weights=np.full((*kernel, channels), WEIGHT, np.int8),
            bias=np.zeros(channels, np.int32),
            multiplier=multiplier,
            shift=shift,
            input_zero=source.quantity.zero,
            stride=self.geometry["stride"],
            single_rounding=True,
        )


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
