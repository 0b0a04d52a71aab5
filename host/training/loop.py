"""The training loop that float training and fine-tuning share: resumable, seeded, measured."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from dscim.host.errors import UserError
from dscim.host.training.dataset import Dataset


@dataclass(frozen=True)
class Recipe:
    """What a training run is repeated from; stored in its checkpoint.

    `images` are drawn anew for each epoch from the training set without its last `held_out`
    images of a permutation by `split_seed`; the rate rises over the first `warm` of all steps
    and then falls to zero along half a cosine. `reach`: pixels by which images are shifted.
    `grid`: steps of the weights in fine-tuning.
    """

    epochs: int
    rate: float
    seed: int
    images: int = 55_000
    batch: int = 128
    reach: int = 2
    warm: float = 0.15
    held_out: int = 5_000
    split_seed: int = 2026
    grid: int = 2


@dataclass(frozen=True)
class Split:
    """The training set in two: images uint8 (N, 28, 28), labels int64 (N,)."""

    images: Tensor
    labels: Tensor
    held_images: Tensor
    held_labels: Tensor


def split(data: Dataset, recipe: Recipe) -> Split:
    """Training and held-out images; the test set takes no part in any choice."""
    order = np.random.default_rng(recipe.split_seed).permutation(len(data.train_labels))
    images = torch.from_numpy(data.train_images[order])
    labels = torch.from_numpy(data.train_labels[order]).long()
    edge = len(order) - recipe.held_out
    return Split(images[:edge], labels[:edge], images[edge:], labels[edge:])


def augment(images: Tensor, generator: torch.Generator, reach: int) -> Tensor:
    """Each image shifted by up to `reach` pixels both ways and mirrored at random.

    uint8 (N, H, W) -> uint8 (N, H, W); what moves in is 0.
    """
    count, height, width = images.shape
    padded = nn.functional.pad(images, (reach,) * 4)
    top, left = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=generator)
    mirror = torch.rand((count, 1), generator=generator) < 0.5
    column = torch.arange(width).expand(count, width)
    column = left + torch.where(mirror, width - 1 - column, column)
    row = top + torch.arange(height)
    return padded[torch.arange(count)[:, None, None], row[:, :, None], column[:, None, :]]


def fit(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    validate: Callable[[], float],
    parts: Split,
    recipe: Recipe,
    checkpoint: Path,
) -> dict[str, Any]:
    """Train `model` by `recipe`, or go on from `checkpoint`; return the last checkpoint.

    `loss` takes uint8 images (N, H, W) and labels (N,); `validate` returns the accuracy on the
    held-out part, 0 to 1. The checkpoint has `best`, the state of the epoch with the highest
    held-out accuracy, `history`, one entry an epoch, and `recipe`. `model` ends in `best`.
    """
    steps = min(recipe.images, len(parts.labels)) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in optimiser.param_groups],
        total_steps=recipe.epochs * steps, pct_start=recipe.warm, cycle_momentum=False,
    )
    state = _resume(checkpoint, recipe)
    if state["epoch"]:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
    print(f"seed {recipe.seed}, split seed {recipe.split_seed}, epoch {state['epoch']} done")
    for epoch in range(state["epoch"], recipe.epochs):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000 + epoch)
        torch.manual_seed(recipe.seed * 1_000 + epoch)
        started, total = time.monotonic(), 0.0
        model.train()
        for images, labels in _batches(parts, recipe, steps, generator, epoch):
            optimiser.zero_grad()
            value = loss(images, labels)
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += value.item()
        model.eval()
        accuracy = validate()
        seconds = time.monotonic() - started
        state["history"].append({"loss": total / steps, "accuracy": accuracy, "seconds": seconds})
        if accuracy >= max(entry["accuracy"] for entry in state["history"]):
            state["best"] = {k: v.clone() for k, v in model.state_dict().items()}
        state |= {
            "epoch": epoch + 1, "model": model.state_dict(), "recipe": asdict(recipe),
            "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(),
        }
        save(state, checkpoint)
        left = seconds * (recipe.epochs - epoch - 1)
        print(f"epoch {epoch + 1}/{recipe.epochs}: loss {total / steps:.4f}, held-out "
              f"{100 * accuracy:.2f} %, {steps * recipe.batch / seconds:.0f} images/s, "
              f"{left:.0f} s left", flush=True)
    model.load_state_dict(state["best"])
    model.eval()
    return state


def save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint beside `path`, then rename it, so that none is ever half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    torch.save(state, beside)
    os.replace(beside, path)


def restore(path: Path) -> dict[str, Any]:
    """Read a checkpoint; UserError when it is missing or is none."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint {path}: train it first") from error
    except Exception as error:
        raise UserError(f"{path} is not a checkpoint: remove it and train again") from error
    return state


def _resume(path: Path, recipe: Recipe) -> dict[str, Any]:
    """The checkpoint to go on from, or a fresh state; UserError when the recipes differ."""
    if not path.exists():
        return {"epoch": 0, "history": []}
    state = restore(path)
    if state["recipe"] != asdict(recipe):
        raise UserError(f"{path} was trained by another recipe, {state['recipe']}: remove it")
    return state


def _batches(
    parts: Split, recipe: Recipe, steps: int, generator: torch.Generator, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch's augmented batches, with a progress bar on a terminal."""
    order = torch.randperm(len(parts.labels), generator=generator)
    columns = (TextColumn("{task.description}"), BarColumn(),
               TextColumn("{task.fields[rate]:.0f} images/s"), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(f"epoch {epoch + 1}/{recipe.epochs}", total=steps, rate=0.0)
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            yield augment(parts.images[chosen], generator, recipe.reach), parts.labels[chosen]
            rate = (progress.tasks[task].speed or 0.0) * recipe.batch
            progress.update(task, advance=1, rate=rate)
