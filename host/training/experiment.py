"""An experiment: which float network, trained on which data set, with which input.

One declaration an experiment; everything else in this package takes an `Experiment`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dscim.host.errors import UserError
from dscim.host.training.model import ResNet8


@dataclass(frozen=True)
class Input:
    """How a network takes images: uint8 (B, H, W, C) in, (B, C, H, W) float32 out.

    As real numbers a pixel is (pixel / 255 - mean) / std; as an int8 it is that divided by
    `scale`, plus `zero`, rounded and clamped.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1 / 255
    zero: int = -128

    def real(self, images: Tensor) -> Tensor:
        """The float network's input."""
        pixels = images.permute(0, 3, 1, 2).float() / 255
        return (pixels - _channels(self.mean)) / _channels(self.std)

    def integers(self, images: Tensor) -> Tensor:
        """The quantised network's input less its zero point: whole numbers."""
        if self == Input():
            return images.permute(0, 3, 1, 2).float()
        whole = (self.real(images) / self.scale).round()
        return whole.clamp(-128 - self.zero, 127 - self.zero)


def _channels(values: tuple[float, ...]) -> Tensor:
    """One value for each channel, or one for all."""
    return torch.tensor(values)[:, None, None]


@dataclass(frozen=True)
class Experiment:
    """What is trained on what.

    name: the stem of its networks' names. dataset: a name of `dscim.host.datasets`.
    build: makes the untrained float network. input: what it takes.
    """

    name: str
    dataset: str
    build: Callable[[], nn.Module]
    input: Input = Input()


EXPERIMENTS = {experiment.name: experiment for experiment in (
    Experiment("fashion-resnet8", "fashion-mnist", lambda: ResNet8(1, 10)),
    Experiment("cifar10-resnet8", "cifar10", lambda: ResNet8(3, 10)),
)}
"""Every experiment by its name."""


def experiment(name: str) -> Experiment:
    """The experiment `name`; UserError when there is none."""
    if name not in EXPERIMENTS:
        raise UserError(f"there is no experiment {name!r}; choose {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]
