"""Chooses the ranges of integers: every clip and scale, by least squares on images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dscim.host.network import INPUT
from dscim.host.research.training.convolution import ConvStep
from dscim.host.research.training.joining import MaxStep
from dscim.host.research.training.quantised import QuantisedNet

FRACTIONS = torch.linspace(0.2, 1.1, 46)
"""The ranges to try, as fractions of the greatest value."""

SAMPLES = 200_000
"""The number of values of each tensor that are sampled."""

PIXELS = 1 << 18
"""Pixels of the images that are processed at a time, which bounds the memory."""


@dataclass
class Observed:
    """Statistics of a tensor: least and greatest value, and a sample of its values."""

    low: Tensor
    high: Tensor
    values: Tensor


@torch.no_grad()
def calibrate(net: QuantisedNet, images: Tensor) -> None:
    """Chooses every clip and scale for the least square error on uint8 images (N, H, W, C).

    The network must compute exact products. A tensor that has no activation and that no convolution
    reads keeps its whole range.
    """
    seen = observe(net, images)
    read = _read(net)
    for step in net.convolutions():
        step.clip.copy_(_weight_clips(step))
    for step in net.steps:
        if step.keeps_scale:
            continue
        of = seen[step.name]
        if step.bounds[0] == 0:
            scale = _activation_scale(of)
        elif step.name in read:
            scale = _signed_scale(of)
        else:
            scale = (of.high - of.low) / 255
        if step.bounds[0] != 0:
            step.zero_point.fill_(_zero(of, scale))
        step.log_scale.copy_(scale.log())


@torch.no_grad()
def observe(net: QuantisedNet, images: Tensor) -> dict[str, Observed]:
    """Ranges and samples of every tensor in real numbers, by name, in bounded memory."""
    seen: dict[str, list[Observed]] = {}
    for batch in images.split(max(1, PIXELS // (images.shape[1] * images.shape[2]))):
        for name, tensor in net.real(batch).items():
            flat, wanted = tensor.flatten(), SAMPLES * len(batch) // len(images)
            sample = flat[:: max(1, len(flat) // max(1, wanted))].clone()
            low, high = flat.aminmax()
            seen.setdefault(name, []).append(Observed(low, high, sample))
    return {
        name: Observed(
            torch.stack([part.low for part in parts]).min(),
            torch.stack([part.high for part in parts]).max(),
            torch.cat([part.values for part in parts]),
        )
        for name, parts in seen.items()
    }


def _read(net: QuantisedNet) -> set[str]:
    """The tensors that convolutions read, directly or through a maximum."""
    read: set[str] = set()
    for step in reversed(net.steps):
        if isinstance(step, ConvStep) or (isinstance(step, MaxStep) and step.name in read):
            read.update(step.inputs)
    return read - {INPUT}


def _zero(of: Observed, scale: Tensor) -> int:
    """The zero point that centres a range, clipped at `scale` if need be, in -128..127."""
    middle = (of.low + of.high) / 2
    return int((-0.5 - middle / scale).round().clamp(-128, 127))


def _weight_clips(step: ConvStep) -> Tensor:
    """For each channel the clip with the least square error of the weights."""
    top = step.weight.abs().amax((1, 2, 3))
    errors = []
    for fraction in FRACTIONS:
        scale = (top * fraction / 127)[:, None, None, None]
        error = (step.weight / scale).round().clamp(-127, 127) * scale - step.weight
        errors.append(error.square().sum((1, 2, 3)))
    return top * FRACTIONS[torch.stack(errors).argmin(0)]


def _activation_scale(of: Observed) -> Tensor:
    """The scale of a tensor after ReLU with the least square error."""
    errors = []
    for fraction in FRACTIONS:
        scale = of.high * fraction / 255
        whole = (of.values / scale).round().clamp(0, 255)
        errors.append((whole * scale - of.values).square().mean())
    return (of.high * FRACTIONS[torch.stack(errors).argmin()] / 255).clamp(min=1e-9)


def _signed_scale(of: Observed) -> Tensor:
    """The scale of a tensor of both signs with the least square error."""
    errors = []
    for fraction in FRACTIONS:
        scale = (of.high - of.low) * fraction / 255
        zero = _zero(of, scale)
        whole = (of.values / scale).round().clamp(-128 - zero, 127 - zero)
        errors.append((whole * scale - of.values).square().mean())
    best = FRACTIONS[torch.stack(errors).argmin()]
    return ((of.high - of.low) * best / 255).clamp(min=1e-9)
