"""Training of the float network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dscim.errors import UserError
from dscim.host.network.datasets import Dataset
from dscim.host.research.training import inputs
from dscim.host.research.training.checkpoint import kept, provenance, restore
from dscim.host.research.training.experiment import Experiment
from dscim.host.research.training.images import split
from dscim.host.research.training.loop import Callbacks, Training, fit, sgd
from dscim.host.research.training.recipe import Recipe

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4

BATCH = 128
"""Images per batch outside training."""


def train(
    experiment: Experiment,
    data: Dataset,
    recipe: Recipe,
    checkpoint: Path,
    start: Path | None = None,
    callbacks: Callbacks = Callbacks(),  # noqa: B008
) -> nn.Module:
    """Trains the float network, or resumes; the epoch with the best held-out accuracy is kept.

    recipe: its momentum and weight decay are replaced. start: the checkpoint of an earlier training
    to start from.
    """
    recipe = replace(recipe, momentum=MOMENTUM, decay=WEIGHT_DECAY)
    torch.manual_seed(recipe.seed)
    model = load(experiment, start) if start else blank(experiment)
    parts = split(data, recipe.held_out)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)

    def loss(images: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
        result: Tensor = criterion(model(inputs.real(experiment.input, images)), labels)
        return result

    training = Training(
        model,
        sgd(model, recipe),
        loss,
        parts.images,
        parts.labels,
        lambda: accuracy(experiment, model, parts.held_images[:], parts.held_labels),
        start=provenance(start) if start else None,
    )
    fit(training, recipe, checkpoint, callbacks)
    return model


def blank(experiment: Experiment) -> nn.Module:
    """The untrained float network."""
    return experiment.build().to(memory_format=torch.channels_last)


def load(experiment: Experiment, checkpoint: Path) -> nn.Module:
    """The float network of a checkpoint in its best epoch, ready to evaluate."""
    model = blank(experiment)
    model.load_state_dict(kept(restore(checkpoint)))
    return model.eval()


def published(experiment: Experiment, weights: Path) -> nn.Module:
    """The float network with published weights, a state dictionary; UserError if they don't fit."""
    model = blank(experiment)
    try:
        model.load_state_dict(torch.load(weights, weights_only=True))
    except Exception as error:  # the bytes of another file can cause any error
        raise UserError(
            f"'{weights}' does not have the weights of {experiment.name}: "
            f"{(str(error) or repr(error)).splitlines()[0]}"
        ) from error
    return model.eval()


@torch.no_grad()
def accuracy(experiment: Experiment, model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share, 0 to 1, of uint8 images (N, H, W, C) whose label the model predicts."""
    parts = [model(inputs.real(experiment.input, batch)).argmax(1) for batch in images.split(BATCH)]
    return float((torch.cat(parts) == labels).float().mean())


def answers(experiment: Experiment, model: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function from uint8 images (B, H, W, C) to the model's logits (B, classes)."""

    @torch.no_grad()
    def answer(images: Tensor) -> Tensor:
        result: Tensor = model(inputs.real(experiment.input, images))
        return result

    return answer
