"""The steps between convolutions: sums, rescaling, pools."""

import torch
from torch import Tensor, nn

from dscim.host.network import Add, AveragePool, MaxPool, Node, Requantise
from dscim.host.network.scaling import add_factors, quantise_multiplier
from dscim.host.research.training import integers
from dscim.host.research.training.integers import straight
from dscim.host.research.training.product import Pair
from dscim.host.research.training.step import NO_BOUNDS, Padding, Signal, Step


class AddStep(Step):
    """The sum of two signals, as in TensorFlow Lite's ADD."""

    def real(self, *inputs: Tensor) -> Tensor:
        """The sum in real numbers."""
        return self.active(inputs[0] + inputs[1])

    def forward(self, first: Signal, second: Signal) -> Signal:
        """The sum in integers, with the gradient of the real sum."""
        output = (-self.log_scale).exp()
        surrogate = (first.value * first.scale + second.value * second.scale) * output
        if not self.exact:
            return self.rounded(surrogate)
        with torch.no_grad():
            scales = (float(first.scale), float(second.scale), self.scale)
            whole = integers.add(first.value, second.value, scales)
        return self.quantised(whole, surrogate)

    def export(self, inputs: list[Signal]) -> Node:
        """The node, with exactly the integers of the forward pass."""
        first, second = inputs
        multipliers, shifts = add_factors(float(first.scale), float(second.scale), self.scale)
        return Add(
            self.name,
            self.inputs,
            self.zero,
            self.scale,
            self.clamp,
            input_zeros=(first.zero, second.zero),
            multipliers=multipliers,
            shifts=shifts,
        )


class RequantiseStep(Step):
    """The same values with another scale; also an activation that is not fused."""

    def real(self, *inputs: Tensor) -> Tensor:
        """The activation in real numbers."""
        return self.active(inputs[0])

    def forward(self, signal: Signal) -> Signal:
        """The values in integers, with the gradient of the real ones."""
        surrogate = signal.value * signal.scale * (-self.log_scale).exp()
        with torch.no_grad():
            multiplier, shift = self._factors(signal)
            whole = integers.multiply(
                signal.value.long(), torch.tensor(multiplier), torch.tensor(shift)
            )
        return self.quantised(whole, surrogate)

    def export(self, inputs: list[Signal]) -> Node:
        """The node, with exactly the integers of the forward pass."""
        multiplier, shift = self._factors(inputs[0])
        return Requantise(
            self.name,
            self.inputs,
            self.zero,
            self.scale,
            self.clamp,
            input_zero=inputs[0].zero,
            multiplier=multiplier,
            shift=shift,
        )

    def _factors(self, source: Signal) -> Pair:
        """Multiplier and shift from the input's scale to the output's."""
        multiplier, shift = quantise_multiplier(float(source.scale) / self.scale)
        return int(multiplier), int(shift)


class PoolStep(Step):
    """A pool over windows, with the input's scale and zero point. Padding does not count."""

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        kernel: Pair,
        stride: Pair,
        padding: Padding = ((0, 0), (0, 0)),
    ) -> None:
        super().__init__(name, inputs, NO_BOUNDS)
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.log_scale.requires_grad_(False)

    @property
    def keeps_scale(self) -> bool:
        """True: a pool has no scale of its own."""
        return True

    def padded(self, x: Tensor, value: float) -> Tensor:
        """The input with `value` around it."""
        (top, bottom), (left, right) = self.padding
        return nn.functional.pad(x, (left, right, top, bottom), value=value)

    def exported(self, kind: type[AveragePool] | type[MaxPool], source: Signal) -> Node:
        """The node of this kind; source: the input."""
        return kind(
            self.name,
            self.inputs,
            source.zero,
            float(source.scale),
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
        )


class AverageStep(PoolStep):
    """The mean of each window."""

    def real(self, *inputs: Tensor) -> Tensor:
        """The mean in real numbers."""
        return self._sums(inputs[0]) / self._count(inputs[0])

    def forward(self, signal: Signal) -> Signal:
        """The mean in integers, with the gradient of the real mean."""
        real, count = self.real(signal.value), self._count(signal.value)
        total = self._sums(signal.value.detach().double()).round().long()
        whole = integers.mean(total, count.long(), signal.zero)
        return Signal(straight(whole.float(), real), signal.scale, signal.zero)

    def export(self, inputs: list[Signal]) -> Node:
        """The node."""
        return self.exported(AveragePool, inputs[0])

    def _sums(self, x: Tensor) -> Tensor:
        """The sum of each window."""
        return nn.functional.avg_pool2d(
            self.padded(x, 0), self.kernel, self.stride, divisor_override=1
        )

    def _count(self, x: Tensor) -> Tensor:
        """The positions of each window without padding, float32 (1, 1, H', W')."""
        return self._sums(torch.ones(1, 1, *x.shape[2:]))


class MaxStep(PoolStep):
    """The greatest value of each window."""

    def real(self, *inputs: Tensor) -> Tensor:
        """The maximum in real numbers, which equals that in integers."""
        x = self.padded(inputs[0], -torch.inf)
        return nn.functional.max_pool2d(x, self.kernel, self.stride)

    def forward(self, signal: Signal) -> Signal:
        """The maximum."""
        return Signal(self.real(signal.value), signal.scale, signal.zero)

    def export(self, inputs: list[Signal]) -> Node:
        """The node."""
        return self.exported(MaxPool, inputs[0])
