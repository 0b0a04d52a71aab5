"""The float networks: ResNet-8 of MLPerf Tiny, ResNet18, MobileNetV2.

MobileNetV2 has the usual key names of ImageNet weights for PyTorch.
"""

import torch
from torch import Tensor, nn

RESNET8 = (16, 32, 64)
"""MLPerf Tiny's image classification network."""

RESNET18 = (64, 64, 128, 128, 256, 256, 512, 512)
"""ResNet18 for CIFAR-10: a 3 x 3 stem with stride 1 and no pool."""

BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, repeats, stride of the first (paper: arXiv 1801.04381, table 2)."""

STEM, HEAD = 32, 1280
"""Channels of the first and of the last convolution."""


class ConvNorm(nn.Module):
    """A convolution without bias, padded to keep the size at stride 1, and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) float32 -> (N, outputs, H / stride, W / stride)."""
        result: Tensor = self.norm(self.conv(x))
        return result


class Stage(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: the identity where the shape stays, else 1 x 1."""

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
    each stage; a stage with more channels than the one before halves height and width.
    """

    def __init__(self, inputs: int, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = ConvNorm(inputs, widths[0], 3, 1)
        before = (widths[0], *widths)
        self.stages = nn.ModuleList(
            Stage(earlier, outputs, 1 if earlier == outputs else 2)
            for earlier, outputs in zip(before, widths, strict=False)
        )
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, classes) logits."""
        x = torch.relu(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        result: Tensor = self.classifier(x.mean((2, 3), keepdim=True).flatten(1))
        return result


def conv_norm(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution without bias, batch norm and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expand, depthwise, project, with a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        expand = [conv_norm(inputs, inner)] if expansion > 1 else []
        self.shortcut = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *expand,
            conv_norm(inner, inner, 3, stride, inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """MobileNetV2 of width 1: (N, 3, 224, 224) float32 -> (N, classes) logits."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_norm(3, STEM, 3, 2)]
        inputs = STEM
        for expansion, outputs, repeats, stride in BLOCKS:
            for index in range(repeats):
                layers.append(
                    InvertedResidual(inputs, outputs, stride if index == 0 else 1, expansion)
                )
                inputs = outputs
        self.features = nn.Sequential(*layers, conv_norm(inputs, HEAD))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(HEAD, classes))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes) logits."""
        y: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return y
