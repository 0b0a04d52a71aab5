"""The nodes that run on the macro: convolutions and depthwise convolutions."""

from dataclasses import dataclass, field, replace

import numpy as np

from dscim.arrays import Int8, Int32
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.gateware.specs.base import require
from dscim.host.network.node import Node, Padding, Pair, Shape, check_scaling

STRETCHES = (1, 2, 4, 8, 16, 32, 64)
"""The factors by which a layer's stream may be longer than the network's."""


def stretched(network: ProductSpec, activation_shift: int, stretch: int) -> ProductSpec:
    """`network`'s arithmetic for a layer with this activation shift and stretch.

    In signed mode offset there is no shift. The stream is at most as long as the sequence allows.
    """
    shift = activation_shift if network.signed == "split" else 0
    return replace(
        network, activation_shift=shift, length=min(network.length * stretch, network.longest)
    )


@dataclass(frozen=True, eq=False)
class Weighted(Node):
    """A product with constant weights, a bias and a requantisation of each output channel.

    weights: int8; each kind defines the axes. bias: (outputs,) int32 in product units: its scale is
    input scale * weight scale of the channel. multiplier, shift: (outputs,) int32, the
    requantisation as in TensorFlow Lite: Q31 multiplier, positive shift = left.
    stride: (y, x). padding: filled with input_zero.
    activation_shift: e of the signed mode split, 0..3.
    stretch: the factor by which this layer's stream is longer than the network's, one of STRETCHES;
    the stream is at most as long as the sequence allows.
    single_rounding: whether it rounds once, ties away from zero, not twice as in gemmlowp.
    """

    pointwise, keeps_scale, fixes_scale = False, False, False

    weights: Int8 = field(kw_only=True)
    bias: Int32 = field(kw_only=True)
    multiplier: Int32 = field(kw_only=True)
    shift: Int32 = field(kw_only=True)
    input_zero: int = field(kw_only=True)
    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    activation_shift: int = 0
    stretch: int = 1
    single_rounding: bool = False

    @property
    def outputs(self) -> int:
        """Output channels."""
        raise NotImplementedError

    @property
    def kernel(self) -> Pair:
        """Height and width of the window."""
        raise NotImplementedError

    def layer(self, shape: Shape, arithmetic: ProductSpec) -> LayerSpec:
        """The layer as the engine runs it on an input of `shape` with `arithmetic`.

        The activation shift is the node's own; signed mode offset has none.
        """
        raise NotImplementedError

    def zeros(self) -> tuple[int | None, ...]:
        """The input must have the zero point that fills the padding."""
        return (self.input_zero,)

    def output_shape(self, shapes: list[Shape]) -> Shape:
        """The output shape of the layer, which does not depend on the arithmetic."""
        return self.layer(shapes[0], ProductSpec()).output

    def check_arrays(self, axes: str, dimensions: int) -> None:
        """Raises SpecError unless the arrays have the right shapes, types and ranges."""
        require(
            self.weights.dtype == np.int8 and self.weights.ndim == dimensions,
            f"Node {self.name!r} has weights {self.weights.dtype} of shape "
            f"{self.weights.shape}, not {axes} int8.",
        )
        for what in ("bias", "multiplier", "shift"):
            array = getattr(self, what)
            require(
                array.dtype == np.int32 and array.shape == (self.outputs,),
                f"Node {self.name!r} has a {what} {array.dtype} of shape {array.shape}, not "
                f"one int32 for each of its {self.outputs} outputs.",
            )
        check_scaling(self.name, self.multiplier, self.shift)
        require(
            self.activation_shift in range(4),
            f"Node {self.name!r} has the activation shift {self.activation_shift}, not 0..3.",
        )
        require(
            self.stretch in STRETCHES,
            f"Node {self.name!r} has the stretch {self.stretch}, not one of {STRETCHES}.",
        )

    def arithmetic(self, network: ProductSpec) -> ProductSpec:
        """`network`'s arithmetic with this node's activation shift and stretch."""
        return stretched(network, self.activation_shift, self.stretch)


@dataclass(frozen=True, eq=False)
class Conv(Weighted):
    """A convolution; it is fully connected if the kernel is as large as the unpadded input.

    The rows of such a kernel are in H, W, C order, the order of the flattened input.
    weights: (outputs, KH, KW, C) int8.
    """

    @property
    def outputs(self) -> int:
        """Output channels."""
        return self.weights.shape[0]

    @property
    def kernel(self) -> Pair:
        """Height and width of the window."""
        return self.weights.shape[1], self.weights.shape[2]

    def check(self) -> None:
        """Raises SpecError unless the arrays are consistent."""
        self.check_arrays("OHWI", 4)

    def layer(self, shape: Shape, arithmetic: ProductSpec) -> LayerSpec:
        """The convolution on an input of `shape` with `arithmetic`."""
        outputs, height, width, channels = self.weights.shape
        require(
            channels == shape[2],
            f"Node {self.name!r} has weights for {channels} channels, "
            f"but its input has {shape[2]}.",
        )
        return LayerSpec(
            shape,
            outputs,
            (height, width),
            self.stride,
            self.padding,
            self.input_zero,
            self.output_zero,
            self.clamp,
            self.arithmetic(arithmetic),
            single_rounding=self.single_rounding,
        )


@dataclass(frozen=True, eq=False)
class Depthwise(Weighted):
    """A depthwise convolution with m outputs for each of C input channels.

    weights: (KH, KW, C*m) int8; output o is a product with input channel o // m only.
    """

    @property
    def outputs(self) -> int:
        """Output channels, C*m."""
        return self.weights.shape[2]

    @property
    def kernel(self) -> Pair:
        """Height and width of the window."""
        return self.weights.shape[0], self.weights.shape[1]

    def check(self) -> None:
        """Raises SpecError unless the arrays are consistent."""
        self.check_arrays("HWO", 3)

    def layer(self, shape: Shape, arithmetic: ProductSpec) -> LayerSpec:
        """The depthwise convolution on an input of `shape` with `arithmetic`, split or exact."""
        height, width, outputs = self.weights.shape
        require(
            shape[2] > 0 and outputs % shape[2] == 0,
            f"Node {self.name!r} has weights for {outputs} outputs, which is not a multiple of "
            f"the {shape[2]} channels of its input.",
        )
        return LayerSpec(
            shape,
            outputs,
            (height, width),
            self.stride,
            self.padding,
            self.input_zero,
            self.output_zero,
            self.clamp,
            self.arithmetic(arithmetic),
            True,
            self.single_rounding,
        )
