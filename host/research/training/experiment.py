"""Experiments: a float network, the data set that it is trained on, and its input."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from dscim.errors import UserError
from dscim.host.network.datasets.pixels import IMAGENET_SCALING, Input
from dscim.host.research.training.models import RESNET8, RESNET18, MobileNetV2, ResidualNet


@dataclass(frozen=True)
class Experiment:
    """A float network and its data set.

    name: beginning of the names of its networks. dataset: a name in `dscim.host.network.datasets`.
    build: makes the untrained float network. input: how it takes pixels.
    """

    name: str
    dataset: str
    build: Callable[[], nn.Module]
    input: Input = Input()


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment("fashion-resnet8", "fashion-mnist", lambda: ResidualNet(1, 10, RESNET8)),
        Experiment("cifar10-resnet8", "cifar10", lambda: ResidualNet(3, 10, RESNET8)),
        Experiment("cifar10-resnet18", "cifar10", lambda: ResidualNet(3, 10, RESNET18)),
        Experiment(
            "imagenet-mobilenetv2", "folder", MobileNetV2, Input.spanning(*IMAGENET_SCALING)
        ),
    )
}
"""Every experiment by its name."""


def experiment(name: str) -> Experiment:
    """The experiment `name`; UserError when there is no such experiment."""
    if name not in EXPERIMENTS:
        raise UserError(f"there is no experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]
