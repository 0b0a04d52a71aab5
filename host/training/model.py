"""The float network: ResNet-8 in MLPerf Tiny's shape, 16, 32 and 64 channels."""

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 64)
"""Output channels of the three residual stages; stages 2 and 3 halve the picture."""


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


class ResNet8(nn.Module):
    """Stem, three residual stages, global average pool, classifier.

    Input: (N, inputs, H, W) float32. Output: (N, classes) logits.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.stem = ConvNorm(inputs, CHANNELS[0], 3, 1)
        widths = (CHANNELS[0], *CHANNELS)
        self.stages = nn.ModuleList(
            Stage(widths[index], outputs, 1 if index == 0 else 2)
            for index, outputs in enumerate(CHANNELS)
        )
        self.classifier = nn.Linear(CHANNELS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, classes) logits."""
        x = torch.relu(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        result: Tensor = self.classifier(x.mean((2, 3), keepdim=True).flatten(1))
        return result
