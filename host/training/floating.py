"""Training of the float network."""

from pathlib import Path

import torch
from torch import Tensor, nn

from dscim.host.training.dataset import Dataset
from dscim.host.training.loop import Recipe, fit, restore, split
from dscim.host.training.model import ResNet8

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4


def as_input(images: Tensor) -> Tensor:
    """uint8 (N, H, W) -> float32 (N, 1, H, W) in 0..1, the network's input."""
    return (images[:, None].float() / 255).contiguous(memory_format=torch.channels_last)


def train(data: Dataset, recipe: Recipe, checkpoint: Path, start: Path | None = None,
          smoothing: float = 0.05) -> ResNet8:
    """Train the float network, or go on; the epoch with the best held-out accuracy is kept.

    start: the checkpoint of another training to begin with. smoothing: of the labels.
    """
    torch.manual_seed(recipe.seed)
    model = load(start) if start else ResNet8().to(memory_format=torch.channels_last)
    parts = split(data, recipe)
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
    optimiser = torch.optim.SGD(model.parameters(), recipe.rate, MOMENTUM,
                                weight_decay=WEIGHT_DECAY, nesterov=True)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        result: Tensor = criterion(model(as_input(images)), labels)
        return result

    def validate() -> float:
        return accuracy(model, parts.held_images, parts.held_labels)

    fit(model, optimiser, loss, validate, parts, recipe, checkpoint)
    return model


def load(checkpoint: Path) -> ResNet8:
    """The float network of a checkpoint, in its best epoch, ready to evaluate."""
    model = ResNet8().to(memory_format=torch.channels_last)
    model.load_state_dict(restore(checkpoint)["best"])
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share, 0 to 1, of uint8 images (N, H, W) whose label the model names."""
    parts = [model(as_input(batch)).argmax(1) for batch in images.split(128)]
    return float((torch.cat(parts) == labels).float().mean())
