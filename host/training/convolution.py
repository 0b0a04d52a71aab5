"""Convolutions in training: full and depthwise ones, and fully connected layers."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.network import Conv, Depthwise, Node
from dscim.host.network.scaling import quantise_multiplier
from dscim.host.training import integers
from dscim.host.training.integers import straight
from dscim.host.training.product import Counter, Exact, Pair, Window, arithmetic
from dscim.host.training.step import Bounds, Padding, Signal, Step


class ConvStep(Step):
    """A convolution with its batch norm folded in; groups 1 or as many as input channels.

    The real weights are weight * size[channel], with size fixed, so that a weight of 1 is about
    the greatest of its channel at first. clip: the weight that becomes 127. gain, bias: of each
    channel, folded into multiplier and bias of the node.
    """

    product: Counter | Exact

    def __init__(self, name: str, inputs: tuple[str, ...], bounds: Bounds, weight: Tensor,
                 bias: Tensor, stride: Pair, padding: Padding, groups: int = 1) -> None:
        """weight: real, (O, C / groups, KH, KW). bias: real, (O,)."""
        super().__init__(name, inputs, bounds)
        outputs = len(weight)
        self.weight = nn.Parameter(torch.zeros(weight.shape))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.clip = nn.Parameter(torch.ones(outputs))
        self.gain = nn.Parameter(torch.ones(outputs))
        self.register_buffer("size", torch.ones(outputs))
        self.padding = padding
        _, channels, height, width = weight.shape
        self.window = Window((height, width), stride, channels * groups, groups)
        self.adopt(weight, bias)
        self.use(ProductSpec(exact=True), 1)

    def use(self, spec: ProductSpec, grid: int) -> None:
        """Compute by `spec` from now on; grid: P, the steps of the weights."""
        self.product = arithmetic(spec, self.window, grid)

    @torch.no_grad()
    def adopt(self, weight: Tensor, bias: Tensor) -> None:
        """Take over real weights (O, C / groups, KH, KW) and bias (O,)."""
        size = weight.abs().amax((1, 2, 3)).clamp(min=1e-6)
        self.size.copy_(size)
        self.weight.copy_(weight / size[:, None, None, None])
        self.bias.copy_(bias)
        self.clip.fill_(1)
        self.gain.fill_(1)

    def real_weight(self) -> Tensor:
        """The real weights (O, C / groups, KH, KW), gain included."""
        return self.weight * (self.size * self.gain)[:, None, None, None]

    def real(self, *inputs: Tensor) -> Tensor:
        """The convolution in real numbers."""
        y = self.window.convolve(self._padded(inputs[0]), self.real_weight())
        return self.active(y + self.bias[:, None, None])

    def integers(self) -> Tensor:
        """The weights in -127..127, each in the middle of its level, with their gradient."""
        scaled = self.weight / self.clip[:, None, None, None] * 127
        whole = self.product.effective_weights(scaled.detach().clamp(-127, 127).round())
        return straight(whole.clamp(-127, 127).round(), scaled.clamp(-127, 127))

    def weight_scale(self) -> Tensor:
        """What 1 in the integer weights stands for, (O,), gain included."""
        return self.size * self.gain * self.clip / 127

    def forward(self, signal: Signal) -> Signal:
        """The convolution in integers, with the gradient of the product of the levels."""
        w, x, signed = self.integers(), self._padded(signal.value), signal.zero != -128
        levels = self.product.levels(x.detach(), signed)
        effective = straight(self.product.effective_weights(w.detach()), w)
        sums = self.window.convolve(straight(levels * self.product.unit, x), effective)
        scale = signal.scale * self.weight_scale()
        factor = scale * (-self.log_scale).exp()
        surrogate = sums * factor[:, None, None] + (
            self.bias * (-self.log_scale).exp())[:, None, None]
        with torch.no_grad():
            sums = self.product.sums(sums, levels, w, signed)
            bias = self._bias(scale)[:, None, None]
            if self.exact:
                whole = integers.requantise(sums.long() + bias, factor)
            else:
                whole = ((sums + bias) * factor[:, None, None]).float().round()
        return self.quantised(whole, surrogate)

    def export(self, inputs: list[Signal]) -> Node:
        """The node, with the very integers of the forward pass."""
        scale = inputs[0].scale * self.weight_scale()
        multiplier, shift = quantise_multiplier(
            (scale * (-self.log_scale).exp()).double().numpy())
        kind, weights = self._arrays()
        return kind(
            self.name, self.inputs, self.zero, self.scale, self.clamp, weights=weights,
            bias=self._bias(scale).int().numpy(), multiplier=multiplier, shift=shift,
            input_zero=inputs[0].zero, stride=self.window.stride, padding=self.padding,
            activation_shift=self.product.spec.activation_shift)

    def _arrays(self) -> tuple[type[Conv] | type[Depthwise], npt.NDArray[np.int8]]:
        """The kind of the node, and its weights in the order of that kind."""
        weights = self.integers().to(torch.int8)
        if self.window.groups == 1:
            return Conv, weights.permute(0, 2, 3, 1).contiguous().numpy()
        return Depthwise, weights[:, 0].permute(1, 2, 0).contiguous().numpy()

    def _padded(self, x: Tensor) -> Tensor:
        """The input with its padding around it, which is 0 in x - z as in real numbers."""
        (top, bottom), (left, right) = self.padding
        return nn.functional.pad(x, (left, right, top, bottom)) if any(
            (top, bottom, left, right)) else x

    def _bias(self, scale: Tensor) -> Tensor:
        """The bias in product units, int64, kept within int32."""
        return (self.bias / scale).double().clamp(-2**30, 2**30).round().long()
