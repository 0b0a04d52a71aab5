"""The training loop that float training and fine-tuning share: resumable, seeded, measured."""

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

from dscim.host.network.datasets import Dataset
from dscim.host.research.training.average import Average
from dscim.host.research.training.checkpoint import resume, save
from dscim.host.research.training.recipe import Recipe


@dataclass(frozen=True)
class Split:
    """The training set in two: images uint8 (N, H, W, C), labels int64 (N,)."""

    images: Tensor
    labels: Tensor
    held_images: Tensor
    held_labels: Tensor


def split(data: Dataset, recipe: Recipe) -> Split:
    """Training and held-out images; the test set takes no part in any choice."""
    order = np.random.default_rng(recipe.split_seed).permutation(len(data.train_labels))
    images = torch.from_numpy(data.train_images[order])
    labels = torch.from_numpy(data.train_labels[order])
    edge = len(order) - recipe.held_out
    return Split(images[:edge], labels[:edge], images[edge:], labels[edge:])


def augment(images: Tensor, generator: torch.Generator, reach: int) -> Tensor:
    """Each image shifted by up to `reach` pixels both ways and mirrored at random.

    uint8 (N, H, W, C) -> uint8 (N, H, W, C); what moves in is 0.
    """
    count, height, width, _ = images.shape
    padded = nn.functional.pad(images, (0, 0, *(reach,) * 4))
    top, left = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=generator)
    mirror = torch.rand((count, 1), generator=generator) < 0.5
    column = torch.arange(width).expand(count, width)
    column = left + torch.where(mirror, width - 1 - column, column)
    row = top + torch.arange(height)
    return padded[torch.arange(count)[:, None, None], row[:, :, None], column[:, None, :]]


@dataclass(frozen=True)
class Training:
    """What is trained.

    loss: takes uint8 images (N, H, W, C) and labels (N,). validate: the accuracy on the held-out
    part, 0 to 1. start: what is known of the training that this one begins with.
    say: told one line an epoch.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    loss: Callable[[Tensor, Tensor], Tensor]
    validate: Callable[[], float]
    start: dict[str, Any] | None = None
    say: Callable[[str], None] = print


def fit(training: Training, parts: Split, recipe: Recipe, checkpoint: Path) -> dict[str, Any]:
    """Train by `recipe`, or go on from `checkpoint`; return the last checkpoint.

    The checkpoint has `best`, the averaged state of the epoch with the highest held-out accuracy,
    `history`, one entry an epoch, `recipe` and `start`. The model ends in `best`.
    """
    model, optimiser = training.model, training.optimiser
    steps = min(recipe.images, len(parts.labels)) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [group["lr"] for group in optimiser.param_groups],
        total_steps=recipe.epochs * steps,
        pct_start=recipe.warm,
        cycle_momentum=False,
    )
    state = resume(checkpoint, recipe)
    moving = {"model": model, "optimiser": optimiser, "schedule": schedule}
    if state["epoch"]:
        for name, part in moving.items():
            part.load_state_dict(state[name])
    average = Average(model, recipe.average)
    average.state |= state.get("average", {})
    average.steps = state["epoch"] * steps
    training.say(f"seed {recipe.seed}, split seed {recipe.split_seed}, epoch {state['epoch']} done")
    for epoch in range(state["epoch"], recipe.epochs):
        began, cpu = time.monotonic(), time.process_time()
        mean = _epoch(training, schedule, average, _batches(parts, recipe, steps, epoch))
        with average.applied() as averaged:
            accuracy = training.validate()
        entry = {
            "loss": mean,
            "accuracy": accuracy,
            "seconds": time.monotonic() - began,
            "cpu_seconds": time.process_time() - cpu,
        }
        state["history"].append(entry)
        if entry["accuracy"] >= max(past["accuracy"] for past in state["history"]):
            state["best"] = averaged
        state |= {
            "epoch": epoch + 1,
            "recipe": asdict(recipe),
            "start": training.start,
            "average": average.state,
        }
        save(state | {name: part.state_dict() for name, part in moving.items()}, checkpoint)
        training.say(_line(entry, epoch, recipe, steps))
    model.load_state_dict(state["best"])
    model.eval()
    return state


def _epoch(
    training: Training,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    average: Average,
    batches: Iterator[tuple[Tensor, Tensor]],
) -> float:
    """One step a batch; the mean loss. The model is left ready to evaluate."""
    values = []
    training.model.train()
    for images, labels in batches:
        training.optimiser.zero_grad()
        value = training.loss(images, labels)
        value.backward()  # type: ignore[no-untyped-call]
        training.optimiser.step()
        schedule.step()
        average.update()
        values.append(value.item())
    training.model.eval()
    return sum(values) / len(values)


def _line(entry: dict[str, float], epoch: int, recipe: Recipe, steps: int) -> str:
    """One line on an epoch, with its rate and what is left."""
    return (
        f"epoch {epoch + 1}/{recipe.epochs}: loss {entry['loss']:.4f}, held-out "
        f"{100 * entry['accuracy']:.2f} %, {steps * recipe.batch / entry['seconds']:.0f} "
        f"images/s, {entry['seconds'] * (recipe.epochs - epoch - 1):.0f} s left"
    )


def _batches(
    parts: Split, recipe: Recipe, steps: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch's augmented batches, with a progress bar on a terminal; all chance is seeded."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000 + epoch)
    torch.manual_seed(recipe.seed * 1_000 + epoch)
    order = torch.randperm(len(parts.labels), generator=generator)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]:.0f} images/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(f"epoch {epoch + 1}/{recipe.epochs}", total=steps, rate=0.0)
        for step in range(steps):
            chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
            yield augment(parts.images[chosen], generator, recipe.reach), parts.labels[chosen]
            rate = (progress.tasks[task].speed or 0.0) * recipe.batch
            progress.update(task, advance=1, rate=rate)
