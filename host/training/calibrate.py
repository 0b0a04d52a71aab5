"""From the float network to integers: batch norm folded, ranges chosen by least squares."""

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.network import INPUT
from dscim.host.training.model import CHANNELS, ConvNorm, ResNet8
from dscim.host.training.quantised import AddStep, ConvStep, PoolStep, QuantisedNet, Step

FRACTIONS = torch.linspace(0.2, 1.1, 46)
"""The ranges tried, as parts of the greatest value."""


def quantised_net(spec: ProductSpec, grid: int = 2) -> QuantisedNet:
    """ResNet-8's steps for the arithmetic `spec`, not yet filled; grid: steps of the weights."""
    steps: list[Step] = [ConvStep("stem", (INPUT,), True, (CHANNELS[0], 1, 3, 3), 1, spec, grid)]
    for number, outputs in enumerate(CHANNELS, 1):
        given, inputs = steps[-1].name, CHANNELS[max(number - 2, 0)]
        stage, stride = f"stage{number}", 1 if number == 1 else 2
        kernel = (outputs, inputs, 3, 3)
        steps.append(ConvStep(f"{stage}.first", (given,), True, kernel, stride, spec, grid))
        kernel = (outputs, outputs, 3, 3)
        steps.append(ConvStep(f"{stage}.second", (f"{stage}.first",), False, kernel, 1, spec, grid))
        if number > 1:
            kernel = (outputs, inputs, 1, 1)
            steps.append(ConvStep(f"{stage}.shortcut", (given,), False, kernel, stride, spec, grid))
            given = f"{stage}.shortcut"
        steps.append(AddStep(f"{stage}.add", (f"{stage}.second", given), True))
    steps.append(PoolStep("pool", (steps[-1].name,), 7))
    kernel = (10, CHANNELS[-1], 1, 1)
    steps.append(ConvStep("classifier", ("pool",), False, kernel, 1, spec, grid))
    return QuantisedNet(steps, spec)


@torch.no_grad()
def adopt(net: QuantisedNet, model: ResNet8) -> None:
    """Take over the float network's weights with their batch norm folded in."""
    sources = {"stem": model.stem}
    for number, stage in enumerate(model.stages, 1):
        for name, block in stage.named_children():
            sources[f"stage{number}.{name}"] = block
    for step in net.steps:
        if step.name in sources:
            step.adopt(*_folded(sources[step.name]))
    net.steps[-1].adopt(model.classifier.weight[..., None, None], model.classifier.bias)


def _folded(block: ConvNorm) -> tuple[Tensor, Tensor]:
    """Weights and bias of a convolution with its batch norm folded in."""
    norm: nn.BatchNorm2d = block.norm
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()  # type: ignore[operator]
    return (block.conv.weight * factor[:, None, None, None],
            norm.bias - norm.running_mean * factor)  # type: ignore[operator]


@torch.no_grad()
def calibrate(net: QuantisedNet, images: Tensor) -> None:
    """Choose every clip and scale for the least square error on uint8 images (N, H, W).

    Weights and the tensors that convolutions read are judged by what their levels stand for.
    """
    values = net.real(images)
    read = {name for step in net.steps if isinstance(step, ConvStep) for name in step.inputs}
    for step in net.steps:
        if isinstance(step, ConvStep):
            step.clip.copy_(_weight_clips(step))
        if isinstance(step, PoolStep):
            continue
        if step.relu:
            reader = next(s for s in net.steps if isinstance(s, ConvStep))
            scale = _activation_scale(values[step.name], reader, step.name in read)
        else:
            low, high = values[step.name].aminmax()
            scale = (high - low) / 255
            step.zero_point.fill_(int((-128 - low / scale).round().clamp(-128, 127)))
        step.log_scale.copy_(scale.log())


def _weight_clips(step: ConvStep) -> Tensor:
    """For each channel the clip with the least square error of the weights' levels."""
    top = step.weight.abs().amax((1, 2, 3))
    errors = []
    for fraction in FRACTIONS:
        scale = (top * fraction / 127)[:, None, None, None]
        whole = (step.weight / scale).round().clamp(-127, 127)
        error = step.product.effective_weights(whole) * scale - step.weight
        errors.append(error.square().sum((1, 2, 3)))
    return top * FRACTIONS[torch.stack(errors).argmin(0)]


def _activation_scale(values: Tensor, reader: ConvStep, levels: bool) -> Tensor:
    """The scale of a tensor after ReLU with the least square error; levels: as it is read."""
    flat = values.flatten()
    flat = flat[:: max(1, len(flat) // 200_000)]
    errors = []
    for fraction in FRACTIONS:
        scale = values.max() * fraction / 255
        whole = (flat / scale).round().clamp(0, 255)
        whole = reader.product.effective_activations(whole) if levels else whole
        errors.append((whole * scale - flat).square().mean())
    return values.max() * FRACTIONS[torch.stack(errors).argmin()] / 255
