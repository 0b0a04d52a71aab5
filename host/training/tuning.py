"""Quantisation, and fine-tuning through the DS-CIM product with the float net as teacher."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.training import floating
from dscim.host.training.calibrate import adopt, calibrate, quantised_net
from dscim.host.training.dataset import Dataset
from dscim.host.training.loop import Recipe, Split, fit, restore, split
from dscim.host.training.model import ResNet8
from dscim.host.training.quantised import QuantisedNet

CALIBRATION = 512
"""Training images from which ranges are chosen."""

VALIDATION = 2_000
"""Held-out images by which the epoch is chosen."""

TEMPERATURE = 3.0
"""Softens the teacher's and the student's answers before they are compared."""

LABELS = 0.3
"""The labels' share of the loss; the rest is the teacher's."""

SCALE_RATE = 0.3
"""The rate of clips, gains, biases and scales, as a part of the weights' rate."""


def quantise(model: ResNet8, parts: Split, spec: ProductSpec, grid: int = 2) -> QuantisedNet:
    """The float network in integers for the arithmetic `spec`, without any training."""
    net = quantised_net(spec, grid)
    adopt(net, model)
    calibrate(net, parts.images[:CALIBRATION])
    return net.eval()


def finetune(data: Dataset, teacher: Path, spec: ProductSpec, recipe: Recipe, checkpoint: Path,
             start: Path | None) -> QuantisedNet:
    """Fine-tune for `spec`, or go on; the epoch with the best held-out accuracy is kept.

    teacher: the float network's checkpoint. start: the checkpoint of another fine-tuning to
    begin with, else the calibrated network. The held-out accuracy is that of the integers.
    """
    parts, model = split(data, recipe), floating.load(teacher)
    net = quantise(model, parts, spec, recipe.grid)
    if start:
        net.load_state_dict(restore(start)["best"])

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        net.round_as_kernels(False)
        return _loss(net(images), _answers(model, images), labels)

    def validate() -> float:
        net.round_as_kernels(True)
        return accuracy(net, parts.held_images[:VALIDATION], parts.held_labels[:VALIDATION])

    fit(net, _optimiser(net, recipe.rate), loss, validate, parts, recipe, checkpoint)
    net.round_as_kernels(True)
    return net


def load(checkpoint: Path, spec: ProductSpec, grid: int | None = None
         ) -> tuple[QuantisedNet, dict[str, Any]]:
    """A fine-tuned network in its best epoch, and the recipe and history of its training.

    grid: steps of the weights, when the recipe does not name them.
    """
    state = restore(checkpoint)
    recipe = {"grid": grid or 2} | state["recipe"]
    net = quantised_net(spec, recipe["grid"])
    net.load_state_dict(state["best"])
    return net.eval(), {"recipe": recipe, "history": state["history"]}


@torch.no_grad()
def accuracy(net: QuantisedNet, images: Tensor, labels: Tensor) -> float:
    """The share, 0 to 1, of uint8 images (N, H, W) whose label the integers name."""
    parts = [net(batch).argmax(1) for batch in images.split(128)]
    return float((torch.cat(parts) == labels).float().mean())


@torch.no_grad()
def _answers(model: ResNet8, images: Tensor) -> Tensor:
    """The teacher's logits."""
    result: Tensor = model(floating.as_input(images))
    return result


def _loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """The labels' cross entropy and the teacher's, softened, in the shares of LABELS."""
    soft = nn.functional.cross_entropy(
        student / TEMPERATURE, (teacher / TEMPERATURE).softmax(1)) * TEMPERATURE**2
    return LABELS * nn.functional.cross_entropy(student, labels) + (1 - LABELS) * soft


def _optimiser(net: QuantisedNet, rate: float) -> torch.optim.Optimizer:
    """Adam, with a rate of its own for everything that is not a weight."""
    weights = [p for name, p in net.named_parameters() if name.endswith(".weight")]
    others = [p for name, p in net.named_parameters() if not name.endswith(".weight")]
    return torch.optim.Adam([{"params": weights, "lr": rate},
                             {"params": others, "lr": rate * SCALE_RATE}])


def provenance(teacher: Path, tuned: dict[str, Any] | None) -> dict[str, Any]:
    """What a network file says of its making."""
    state = restore(teacher)
    return {
        "data": "Fashion-MNIST", "torch": torch.__version__, "float": state["recipe"],
        "finetune": tuned["recipe"] if tuned else None,
    }


def describe(recipe: Recipe) -> str:
    """A recipe in one line."""
    return ", ".join(f"{name} {value}" for name, value in asdict(recipe).items())
