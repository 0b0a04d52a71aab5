"""Convolutions in training: full and depthwise ones, and fully connected layers."""

from typing import Any

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.network import Conv, Depthwise, Node
from dscim.host.network.scaling import quantise_multiplier
from dscim.host.network.weighted import stretched
from dscim.host.research.training.integers import straight
from dscim.host.research.training.product import ConvShape, Pair, Product
from dscim.host.research.training.step import Bounds, Padding, Signal, Step


class ConvStep(Step):
    """A convolution with its batch norm folded in; groups: 1, or the number of input channels.

    The real weights are weight * size[channel]; size is fixed so that the greatest weight of a
    channel is about 1 at first. clip: the weight that becomes 127. gain, bias: (O,), folded into
    multiplier and bias of the node.
    """

    product: Product

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        bounds: Bounds,
        weight: Tensor,
        bias: Tensor,
        stride: Pair,
        padding: Padding,
        groups: int = 1,
    ) -> None:
        """weight: real, (O, C / groups, KH, KW). bias: real, (O,)."""
        super().__init__(name, inputs, bounds)
        outputs = len(weight)
        self.weight = nn.Parameter(torch.zeros(weight.shape))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.clip = nn.Parameter(torch.ones(outputs))
        self.gain = nn.Parameter(torch.ones(outputs))
        self.register_buffer("size", torch.ones(outputs))
        self.padding, self.activation_shift, self.stretch = padding, 0, 1
        _, channels, height, width = weight.shape
        self.shape = ConvShape((height, width), stride, channels * groups, groups)
        self.adopt(weight, bias)
        self.use(ProductSpec(exact=True))

    def use(self, spec: ProductSpec) -> None:
        """Sets the arithmetic, with this layer's activation shift and stretch."""
        self.product = Product(stretched(spec, self.activation_shift, self.stretch), self.shape)

    @torch.no_grad()
    def hold(self, weights: Tensor, unit: Tensor) -> None:
        """Sets the weights to integers (O, C / groups, KH, KW); unit: (O,) the real value of 1."""
        self.size.copy_(unit * 127)
        self.weight.copy_(weights / 127)
        self.clip.fill_(1)
        self.gain.fill_(1)

    @torch.no_grad()
    def adopt(self, weight: Tensor, bias: Tensor) -> None:
        """Sets the weights and the bias to real numbers (O, C / groups, KH, KW) and (O,)."""
        size = weight.abs().amax((1, 2, 3)).clamp(min=1e-6)
        self.size.copy_(size)
        self.weight.copy_(weight / size[:, None, None, None])
        self.bias.copy_(bias)
        self.clip.fill_(1)
        self.gain.fill_(1)

    def real_weight(self) -> Tensor:
        """The real weights (O, C / groups, KH, KW), including the gain."""
        return self.weight * (self.size * self.gain)[:, None, None, None]

    def real(self, *inputs: Tensor) -> Tensor:
        """The convolution in real numbers."""
        y = self.shape.convolve(self._padded(inputs[0]), self.real_weight())
        return self.active(y + self.bias[:, None, None])

    def integers(self) -> tuple[Tensor, Tensor]:
        """The weights in -127..127 to write, and the average values that they represent.

        The latter have a gradient.
        """
        scaled = self.weight / self.clip[:, None, None, None] * 127
        written, values = self.product.nearest(scaled.detach())
        return written, straight(values, scaled.clamp(-128, 128))

    def weight_scale(self) -> Tensor:
        """The real value (O,) of 1 in the integer weights, including the gain."""
        return self.size * self.gain * self.clip / 127

    def forward(self, signal: Signal) -> Signal:
        """The convolution in integers, with the gradient of the product of average values."""
        x, (written, values) = self._padded(signal.value), self.integers()
        if self.exact:
            whole = self.product.run(x, written, signal.zero, self._scaling(signal.scale))
            return Signal(whole - self.zero, self.log_scale.exp(), self.zero)
        sums = self.product.sums(x, written, values, signal.zero)
        unit = (-self.log_scale).exp()
        factor = signal.scale * self.weight_scale() * unit
        return self.rounded(
            torch.addcmul((self.bias * unit)[:, None, None], sums, factor[:, None, None])
        )

    def export(self, inputs: list[Signal]) -> Node:
        """The node, with exactly the integers of the forward pass."""
        kind = Depthwise if self.shape.groups > 1 else Conv
        return kind(
            self.name,
            self.inputs,
            output_scale=self.scale,
            **self._scaling(inputs[0].scale),
            weights=self.shape.weights(self.integers()[0]),
            input_zero=inputs[0].zero,
            stride=self.shape.stride,
            padding=self.padding,
            activation_shift=self.activation_shift,
            stretch=self.stretch,
        )

    @torch.no_grad()
    def _scaling(self, input_scale: Tensor) -> dict[str, Any]:
        """The fields of the node for what follows the product; bias in product units."""
        scale = input_scale * self.weight_scale()
        multiplier, shift = quantise_multiplier((scale * (-self.log_scale).exp()).double().numpy())
        bias = (self.bias / scale).double().clamp(-(2**30), 2**30).round().int().numpy()
        return {
            "bias": bias,
            "multiplier": multiplier,
            "shift": shift,
            "clamp": self.clamp,
            "output_zero": self.zero,
        }

    def _padded(self, x: Tensor) -> Tensor:
        """The padded input; padding is 0, in x - z and in real numbers."""
        (top, bottom), (left, right) = self.padding
        return (
            nn.functional.pad(x, (left, right, top, bottom))
            if any((top, bottom, left, right))
            else x
        )
