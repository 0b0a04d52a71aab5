"""Fine-tuning through the DS-CIM product with a network in real numbers as teacher."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dscim.host.research.training.loop import Split, Training, fit
from dscim.host.research.training.quantised import QuantisedNet
from dscim.host.research.training.recipe import Recipe

VALIDATION = 2_000
"""Held-out images by which the epoch is chosen."""

TEMPERATURE = 3.0
"""Softens the teacher's and the student's answers before they are compared."""

LABELS = 0.3
"""The labels' share of the loss; the rest is the teacher's."""

SCALE_RATE = 0.3
"""The rate of clips, gains, biases and scales, as a part of the weights' rate."""

Teacher = Callable[[Tensor], Tensor]
"""uint8 images (B, H, W, C) -> logits (B, classes)."""


def finetune(
    net: QuantisedNet,
    teacher: Teacher,
    parts: Split,
    recipe: Recipe,
    checkpoint: Path,
    origin: dict[str, Any],
    say: Callable[[str], None] = print,
) -> None:
    """Fine-tune a calibrated network, or go on; the epoch with the best held-out accuracy is kept.

    origin: what is known of the network that it begins with. say: told one line an epoch. The
    held-out accuracy is that of the integers.
    """

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        net.round_as_kernels(False)
        return _loss(net(images), teacher(images), labels)

    def validate() -> float:
        net.round_as_kernels(True)
        return accuracy(net, parts.held_images[:VALIDATION], parts.held_labels[:VALIDATION])

    training = Training(net, _optimiser(net, recipe.rate), loss, validate, origin, say)
    fit(training, parts, recipe, checkpoint)
    net.round_as_kernels(True)


@torch.no_grad()
def accuracy(net: QuantisedNet, images: Tensor, labels: Tensor) -> float:
    """The share, 0 to 1, of uint8 images (N, H, W, C) whose label the integers name."""
    parts = [net(batch).argmax(1) for batch in images.split(128)]
    return float((torch.cat(parts) == labels).float().mean())


def _loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """The labels' cross entropy and the teacher's, softened, in the shares of LABELS."""
    soft = (
        nn.functional.cross_entropy(student / TEMPERATURE, (teacher / TEMPERATURE).softmax(1))
        * TEMPERATURE**2
    )
    return LABELS * nn.functional.cross_entropy(student, labels) + (1 - LABELS) * soft


def _optimiser(net: QuantisedNet, rate: float) -> torch.optim.Optimizer:
    """Adam, with a rate of its own for everything that is not a weight."""
    weights = [p for name, p in net.named_parameters() if name.endswith(".weight")]
    others = [p for name, p in net.named_parameters() if not name.endswith(".weight")]
    return torch.optim.Adam(
        [{"params": weights, "lr": rate}, {"params": others, "lr": rate * SCALE_RATE}]
    )
