"""Residual float networks for small pictures: ResNet-8 of MLPerf Tiny, and ResNet18."""

import torch
from torch import Tensor, nn

RESNET8 = (16, 32, 64)
"""MLPerf Tiny's image classification network."""

RESNET18 = (64, 64, 128, 128, 256, 256, 512, 512)
"""ResNet18 as it is used on CIFAR-10: a 3 x 3 stem that keeps the picture, no pool."""


class ConvNorm(nn.Module):
    """A convolution without bias, padded to keep the picture at stride 1, and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) float32 -> (N, outputs, H / stride, W / stride)."""
        result: Tensor = self.norm(self.conv(x))
        return result


class Stage(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: plain where the shape stays, 1 x 1 elsewhere."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3, 1)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else ConvNorm(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride), after ReLU."""
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResidualNet(nn.Module):
    """Stem, residual stages, global average pool, classifier.

    Input: (N, inputs, H, W) float32. Output: (N, classes) logits. widths: output channels of
    each stage; a stage that has more than the one before halves the picture.
    """

    def __init__(self, inputs: int, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = ConvNorm(inputs, widths[0], 3, 1)
        before = (widths[0], *widths)
        self.stages = nn.ModuleList(
            Stage(given, outputs, 1 if given == outputs else 2)
            for given, outputs in zip(before, widths, strict=False)
        )
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, classes) logits."""
        x = torch.relu(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        result: Tensor = self.classifier(x.mean((2, 3), keepdim=True).flatten(1))
        return result
