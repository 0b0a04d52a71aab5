"""The base class of the steps of a network in training, and the signals between steps."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dscim.host.network import Node
from dscim.host.research.training import integers
from dscim.host.research.training.integers import straight

Bounds = tuple[float | None, float | None]
"""The least and greatest real output of a fused activation; None: unbounded."""

Padding = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)), in positions."""

NO_BOUNDS: Bounds = (None, None)
RELU: Bounds = (0.0, None)


@dataclass(frozen=True)
class Signal:
    """A quantised tensor: value = x - z (B, C, H, W) float32 integers; real = scale * value."""

    value: Tensor
    scale: Tensor
    zero: int


class Step(nn.Module):
    """A node of the network in training, with its output's quantiser.

    name, inputs: its own name and those of the steps whose outputs it takes. bounds: of the fused
    activation, in real numbers. With a lower bound of 0 the zero point is -128, so that the whole
    int8 range represents values that pass the activation.
    """

    def __init__(self, name: str, inputs: tuple[str, ...], bounds: Bounds) -> None:
        super().__init__()
        self.name, self.inputs = name, inputs
        self.exact = True
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("zero_point", torch.tensor(0))
        self.bound(bounds)

    def bound(self, bounds: Bounds) -> None:
        """Sets the fused activation."""
        self.bounds = bounds
        self.zero_point.fill_(-128 if bounds[0] == 0 else 0)

    @property
    def keeps_scale(self) -> bool:
        """True if the output has its input's scale and zero point."""
        return False

    @property
    def zero(self) -> int:
        """The zero point of the output."""
        return int(self.zero_point)

    @property
    def clamp(self) -> tuple[int, int]:
        """Least and greatest output."""
        low, high = (
            None if bound is None else self.zero + round(bound / self.scale)
            for bound in self.bounds
        )
        return (
            -128 if low is None else min(max(low, -128), 127),
            127 if high is None else min(max(high, -128), 127),
        )

    @property
    def scale(self) -> float:
        """The real value of 1 in the output."""
        return float(self.log_scale.detach().exp())

    def quantised(self, whole: Tensor, surrogate: Tensor) -> Signal:
        """The integers `whole` (x - z), clamped, with the gradient of `surrogate`."""
        low, high = (bound - self.zero for bound in self.clamp)
        value = straight(whole.clamp(low, high).float(), surrogate.clamp(low, high))
        return Signal(value, self.log_scale.exp(), self.zero)

    def rounded(self, real: Tensor) -> Signal:
        """`real`, in units of the output, rounded and clamped in floating point."""
        low, high = (bound - self.zero for bound in self.clamp)
        return Signal(integers.rounded(real, low, high), self.log_scale.exp(), self.zero)

    def active(self, y: Tensor) -> Tensor:
        """The fused activation in real numbers."""
        low, high = self.bounds
        return y if self.bounds == NO_BOUNDS else y.clamp(low, high)

    def real(self, *inputs: Tensor) -> Tensor:
        """The output in real numbers, without any quantisation."""
        raise NotImplementedError

    def export(self, inputs: list[Signal]) -> Node:
        """The node of the network file; inputs: signals, of which only scale and zero matter."""
        raise NotImplementedError
