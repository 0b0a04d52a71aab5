"""The network in trainable integers: what is exported is what the forward pass computed.

Every activation is carried as x - z, integers in float32 with the gradient of the real value;
every step is the integer kernel's, exact, with the real step's gradient (straight through).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.network import INPUT, Add, AveragePool, Conv, Network, Node
from dscim.host.network.scaling import add_factors, quantise_multiplier
from dscim.host.training import integers
from dscim.host.training.dataset import CLASSES
from dscim.host.training.integers import straight
from dscim.host.training.product import arithmetic

INPUT_SCALE, INPUT_ZERO = 1 / 255, -128
"""The input's integer is the pixel less 128; as a real number a pixel is 0..1."""


@dataclass(frozen=True)
class Signal:
    """A quantised tensor: value = x - z (B, C, H, W) float32 integers; real = scale * value."""

    value: Tensor
    scale: Tensor
    zero: int


class Step(nn.Module):
    """A node of the network in training: its name, its inputs' names, its output's quantiser.

    relu: the output is clamped at its zero point, which is then -128.
    """

    def __init__(self, name: str, inputs: tuple[str, ...], relu: bool) -> None:
        super().__init__()
        self.name, self.inputs, self.relu = name, inputs, relu
        self.exact = True
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("zero_point", torch.tensor(-128 if relu else 0))

    @property
    def zero(self) -> int:
        """The zero point of the output."""
        return int(self.zero_point)

    @property
    def clamp(self) -> tuple[int, int]:
        """Least and greatest output."""
        return (self.zero if self.relu else -128), 127

    def quantised(self, whole: Tensor, surrogate: Tensor) -> Signal:
        """Clamps the integers `whole`, that stand for x - z, and joins them to their gradient."""
        low, high = (bound - self.zero for bound in self.clamp)
        value = straight(whole.clamp(low, high).float(), surrogate.clamp(low, high))
        return Signal(value, self.log_scale.exp(), self.zero)

    def real(self, *inputs: Tensor) -> Tensor:
        """The output in real numbers, without any quantisation."""
        raise NotImplementedError

    def export(self, inputs: list[Signal]) -> Node:
        """The node of the network file; inputs: signals whose scale and zero count."""
        raise NotImplementedError


class ConvStep(Step):
    """A convolution with its batch norm folded in.

    The real weights are weight * size[channel], with size fixed, so that a weight of 1 is about
    the greatest of its channel at first. clip: the weight that becomes 127. gain, bias: of each
    channel, folded into multiplier and bias of the node.
    """

    def __init__(self, name: str, inputs: tuple[str, ...], relu: bool, shape: tuple[int, ...],
                 stride: int, spec: ProductSpec, grid: int) -> None:
        """shape: (outputs, channels, KH, KW); padding keeps the picture at stride 1.

        grid: P, the steps of the weights.
        """
        super().__init__(name, inputs, relu)
        self.weight = nn.Parameter(torch.zeros(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        self.clip = nn.Parameter(torch.ones(shape[0]))
        self.gain = nn.Parameter(torch.ones(shape[0]))
        self.register_buffer("size", torch.ones(shape[0]))
        self.stride, self.padding = (stride, stride), (shape[2] // 2, shape[3] // 2)
        self.product = arithmetic(spec, (shape[2], shape[3]), shape[1], grid)

    def adopt(self, weight: Tensor, bias: Tensor) -> None:
        """Take over real weights (O, C, KH, KW) and bias (O,)."""
        size = weight.abs().amax((1, 2, 3)).clamp(min=1e-6)
        self.size.copy_(size)
        self.weight.data.copy_(weight / size[:, None, None, None])
        self.bias.data.copy_(bias)
        self.clip.data.fill_(1)
        self.gain.data.fill_(1)

    def real_weight(self) -> Tensor:
        """The real weights (O, C, KH, KW), gain included."""
        return self.weight * (self.size * self.gain)[:, None, None, None]

    def real(self, *inputs: Tensor) -> Tensor:
        """The convolution in real numbers."""
        y = nn.functional.conv2d(
            inputs[0], self.real_weight(), self.bias, self.stride, self.padding)
        return y.relu() if self.relu else y

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
        w = self.integers()
        levels = straight(self.product.effective_activations(signal.value.detach()), signal.value)
        effective = straight(self.product.effective_weights(w.detach()), w)
        sums = nn.functional.conv2d(levels, effective, None, self.stride, self.padding)
        scale = signal.scale * self.weight_scale()
        factor = scale * (-self.log_scale).exp()
        surrogate = sums * factor[:, None, None] + (
            self.bias * (-self.log_scale).exp())[:, None, None]
        with torch.no_grad():
            sums = self.product.sums(sums, signal.value, w, self.stride, self.padding)
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
        down, across = self.padding
        return Conv(
            self.name, self.inputs, self.zero, float(self.log_scale.exp()), self.clamp,
            weights=self.integers().permute(0, 2, 3, 1).to(torch.int8).contiguous().numpy(),
            bias=self._bias(scale).int().numpy(), multiplier=multiplier, shift=shift,
            input_zero=inputs[0].zero, stride=self.stride,
            padding=((down, down), (across, across)),
            activation_shift=self.product.spec.activation_shift)

    def _bias(self, scale: Tensor) -> Tensor:
        """The bias in product units, int64, kept within int32."""
        return (self.bias / scale).double().clamp(-2**30, 2**30).round().long()


class AddStep(Step):
    """The sum of two signals, as TensorFlow Lite's ADD."""

    def real(self, *inputs: Tensor) -> Tensor:
        """The sum in real numbers."""
        y = inputs[0] + inputs[1]
        return y.relu() if self.relu else y

    def forward(self, first: Signal, second: Signal) -> Signal:
        """The sum in integers, with the gradient of the real sum."""
        output = (-self.log_scale).exp()
        surrogate = (first.value * first.scale + second.value * second.scale) * output
        with torch.no_grad():
            scales = (float(first.scale), float(second.scale), float(self.log_scale.exp()))
            whole = (integers.add(first.value, second.value, scales) if self.exact
                     else surrogate.round())
        return self.quantised(whole, surrogate)

    def export(self, inputs: list[Signal]) -> Node:
        """The node, with the very integers of the forward pass."""
        first, second = inputs
        output = float(self.log_scale.exp())
        multipliers, shifts = add_factors(float(first.scale), float(second.scale), output)
        return Add(self.name, self.inputs, self.zero, output, self.clamp,
                   input_zeros=(first.zero, second.zero), multipliers=multipliers, shifts=shifts)


class PoolStep(Step):
    """The mean over the whole picture; scale and zero point stay the input's."""

    def __init__(self, name: str, inputs: tuple[str, ...], side: int) -> None:
        """side: of the square picture."""
        super().__init__(name, inputs, True)
        self.side = side
        self.log_scale.requires_grad_(False)

    def real(self, *inputs: Tensor) -> Tensor:
        """The mean in real numbers."""
        return inputs[0].mean((2, 3), keepdim=True)

    def forward(self, signal: Signal) -> Signal:
        """The mean in integers, with the gradient of the real mean."""
        whole = integers.mean(signal.value.detach(), signal.zero).float()
        value = straight(whole, signal.value.mean((2, 3), keepdim=True))
        return Signal(value, signal.scale, signal.zero)

    def export(self, inputs: list[Signal]) -> Node:
        """The node."""
        return AveragePool(self.name, self.inputs, inputs[0].zero, float(inputs[0].scale),
                           kernel=(self.side, self.side))


class QuantisedNet(nn.Module):
    """The steps in order; the last gives the logits."""

    def __init__(self, steps: list[Step], spec: ProductSpec) -> None:
        super().__init__()
        self.steps, self.spec = nn.ModuleList(steps), spec

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W) -> real logits (B, classes), with gradients."""
        last = list(self.signals(images).values())[-1]
        return (last.value * last.scale).flatten(1)

    def signals(self, images: Tensor) -> dict[str, Signal]:
        """Every signal by name, INPUT's included, for uint8 images (B, H, W)."""
        pixels = images[:, None].float().contiguous(memory_format=torch.channels_last)
        known = {INPUT: Signal(pixels, torch.tensor(INPUT_SCALE), INPUT_ZERO)}
        for step in self.steps:
            known[step.name] = step(*(known[name] for name in step.inputs))
        return known

    def real(self, images: Tensor) -> dict[str, Tensor]:
        """Every tensor in real numbers, without quantisation, for uint8 images (B, H, W)."""
        known = {INPUT: images[:, None].float() / 255}
        for step in self.steps:
            known[step.name] = step.real(*(known[name] for name in step.inputs))
        return known

    def round_as_kernels(self, exact: bool) -> None:
        """Round as the integer kernels do (True, and at first), or as real numbers (faster).

        The two differ rarely and by one; products are exact in both.
        """
        for step in self.steps:
            step.exact = exact

    @torch.no_grad()
    def export(self, name: str, provenance: dict[str, Any]) -> Network:
        """The network in integers: its outputs are those of the forward pass, bit for bit."""
        blank = torch.zeros((1, 28, 28), dtype=torch.uint8)
        signals = self.signals(blank)
        nodes = tuple(step.export([signals[given] for given in step.inputs])
                      for step in self.steps)
        return Network(name, (28, 28, 1), INPUT_SCALE, INPUT_ZERO, nodes, CLASSES, self.spec,
                       provenance)
