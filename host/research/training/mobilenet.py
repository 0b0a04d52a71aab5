"""MobileNetV2, with the key names that ImageNet weights for PyTorch usually have."""

from torch import Tensor, nn

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
    """Expand, depthwise, project; with a shortcut where the shape stays."""

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
