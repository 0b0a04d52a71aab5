"""TensorFlow Lite's integer operations in torch, with the gradients of the real operations."""

from typing import Any

import torch
from torch import Tensor

from dscim.host.network.scaling import add_factors


class _Straight(torch.autograd.Function):
    """See `straight`. Adding and subtracting the surrogate instead would round."""

    @staticmethod
    def forward(context: Any, value: Tensor, surrogate: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


def straight(value: Tensor, surrogate: Tensor) -> Tensor:
    """`value` in the forward pass, the gradient of `surrogate` in the backward pass."""
    result: Tensor = _Straight.apply(value, surrogate)
    return result


class _Rounded(torch.autograd.Function):
    """See `rounded`."""

    @staticmethod
    def forward(context: Any, real: Tensor, low: int, high: int) -> Tensor:
        context.save_for_backward(real)
        context.bounds = low, high
        return real.round().clamp_(low, high)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        passed = torch.ops.aten.hardtanh_backward(gradient, *context.saved_tensors, *context.bounds)
        return passed, None, None


def rounded(real: Tensor, low: int, high: int) -> Tensor:
    """`real` rounded and clamped, with the gradient of the clamp only."""
    result: Tensor = _Rounded.apply(real, low, high)
    return result


def multiply(x: Tensor, multiplier: Tensor, shift: Tensor) -> Tensor:
    """MultiplyByQuantizedMultiplier of int64 x by Q31 multiplier and shift (positive = left)."""
    high = ((x << shift.clamp(min=0)) * multiplier + (1 << 30)) >> 31
    right = (-shift).clamp(min=0)
    half = (torch.ones_like(right) << right) >> 1
    return (high + half - ((high < 0) & (right > 0)).long()) >> right


def add(first: Tensor, second: Tensor, scales: tuple[float, float, float]) -> Tensor:
    """TensorFlow Lite's ADD of two inputs x - z, before output zero point and clamp, int64.

    scales: those of the first input, the second input, and the output.
    """
    multipliers, shifts = (torch.tensor(values) for values in add_factors(*scales))
    total = multiply(first.long() << 20, multipliers[0], shifts[0])
    total = total + multiply(second.long() << 20, multipliers[1], shifts[1])
    return multiply(total, multipliers[2], shifts[2])


def mean(total: Tensor, count: Tensor, zero: int) -> Tensor:
    """The mean of each window less the zero point, int64.

    total: sums of x - z, int64. count: the positions of each window. The kernel rounds the mean of
    x, not of x - z, half away from zero.
    """
    whole = total + zero * count
    return whole.sign() * ((whole.abs() + count // 2) // count) - zero
