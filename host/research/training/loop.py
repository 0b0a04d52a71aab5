"""The training loop of float training, fine-tuning, PruningNets and retraining of structures.

It is seeded, and resumes from the last epoch with the same result as an uninterrupted training.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dscim.host.research.training import together
from dscim.host.research.training.checkpoint import kept, restore, resume, save
from dscim.host.research.training.images import Images, augment, batches
from dscim.host.research.training.recipe import Recipe
from dscim.progress import Progress, Say, silent

Loss = Callable[[Tensor, Tensor, np.random.Generator], Tensor]
"""The loss of uint8 images (B, H, W, C) and labels (B,), with the random generator of the step."""

State = dict[str, Tensor]
"""A model's state_dict."""


@dataclass(frozen=True)
class Callbacks:
    """What a training reports to: say(line) once per epoch, step(what, done, total) per batch."""

    say: Say = print
    step: Progress = lambda *_: None


SILENT = Callbacks(silent)


@dataclass(frozen=True)
class Training:
    """What is trained.

    model:    on `together.device()`.
    optimiser: with the highest rate of each parameter group.
    loss:     of a batch, with gradients of the model's parameters.
    images, labels: uint8 (N, H, W, C) and (N,), the training images.
    validate: accuracy, 0 to 1, on held-out images; None: the last epoch is the one to keep.
    facts:    JSON values that identify what is trained; a checkpoint with others is rejected.
    start:    provenance of the training that this one starts from.
    readers:  processes that read image files in advance.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    loss: Loss
    images: Images
    labels: Tensor
    validate: Callable[[], float] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    start: dict[str, Any] | None = None
    readers: int = 0


def fit(
    training: Training, recipe: Recipe, checkpoint: Path, callbacks: Callbacks = SILENT
) -> dict[str, Any]:
    """Trains with `recipe`, or resumes from `checkpoint`; returns the last checkpoint.

    Afterwards the model is on the CPU, in the state after the epoch with the highest held-out
    accuracy, averaged over steps, or after the last epoch if there are no held-out images. Of
    processes that train together only the first writes and reports.
    """
    callbacks = SILENT if together.rank() else callbacks
    model, steps = training.model, recipe.steps(len(training.labels))
    rates = [group["lr"] for group in training.optimiser.param_groups]
    state = resume(checkpoint, {"recipe": asdict(recipe), "facts": training.facts})
    if state["epoch"]:
        model.load_state_dict(state["model"])
        training.optimiser.load_state_dict(state["optimiser"])
    average = Average(model, recipe.average, state["epoch"] * steps, state.get("average"))
    together.wait()  # no process writes while others still read
    callbacks.say(f"seed {recipe.seed}, {state['epoch']} of {recipe.epochs} epochs done")
    for epoch in range(state["epoch"], recipe.epochs):
        began, cpu = time.monotonic(), time.process_time()
        entry = {"loss": _epoch(training, recipe, epoch, rates, average, callbacks)}
        if training.validate:
            with average.applied() as averaged:
                entry["accuracy"] = training.validate()
            if entry["accuracy"] >= max((e["accuracy"] for e in state["history"]), default=0.0):
                state["best"] = averaged
        entry |= {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
        state["history"].append(entry)
        if not together.rank():
            state |= {
                "epoch": epoch + 1,
                "start": training.start,
                "model": _on_cpu(model.state_dict()),
                "optimiser": training.optimiser.state_dict(),
            }
            save(state | ({"average": average.state} if recipe.average else {}), checkpoint)
        callbacks.say(_line(entry, epoch, recipe, steps))
    together.wait()
    state = restore(checkpoint)
    model.cpu().load_state_dict(kept(state))
    model.eval()
    return state


def sgd(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum, as the recipe says."""
    return torch.optim.SGD(
        model.parameters(),
        recipe.rate,
        recipe.momentum,
        weight_decay=recipe.decay,
        nesterov=True,
    )


class Average:
    """The exponential moving average of a model's state over training steps.

    state: by name, as the model's state_dict; integers are the latest. steps: so far. The decay
    rises with the steps, so that the initial state is soon forgotten.
    """

    def __init__(
        self, model: nn.Module, decay: float, steps: int = 0, state: State | None = None
    ) -> None:
        """decay: 0 up to 1, the weight of the past in each step; 0: the state is the model's."""
        self._model, self._decay, self.steps = model, decay, steps
        self.state: State = model.state_dict()
        if decay:
            self.state = {name: value.clone() for name, value in (state or self.state).items()}

    @torch.no_grad()
    def update(self) -> None:
        """Adds the model's state after a step to the average."""
        self.steps += 1
        if not self._decay:
            return
        decay = min(self._decay, self.steps / (self.steps + 9))
        for name, value in self._model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[State]:
        """The model has the averaged state within the block; yields a copy of that state."""
        latest = {name: value.clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(self.state)
        try:
            yield _on_cpu({name: value.clone() for name, value in self.state.items()})
        finally:
            self._model.load_state_dict(latest)


def _epoch(
    training: Training,
    recipe: Recipe,
    epoch: int,
    rates: list[float],
    average: Average,
    callbacks: Callbacks,
) -> float:
    """Trains one epoch; the mean loss. Random choices depend only on seed, epoch and step.

    rates: the highest of each parameter group. Afterwards the model is ready to evaluate.
    """
    model, optimiser = training.model, training.optimiser
    steps = recipe.steps(len(training.labels))
    generator = torch.Generator().manual_seed(recipe.epoch_seed(epoch))
    torch.manual_seed(recipe.epoch_seed(epoch))
    order = torch.randperm(len(training.labels), generator=generator)
    share = together.share(recipe.batch)
    chosen = [batch[share] for batch in order[: steps * recipe.batch].split(recipe.batch)]
    if together.rank():  # each process augments in its own way
        generator.manual_seed(recipe.epoch_seed(epoch) * 1_009 + together.rank())
    model.train()
    total = 0.0
    for step, batch in enumerate(batches(training.images, chosen, training.readers)):
        for group, highest in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = recipe.rate_at(epoch * steps + step, recipe.epochs * steps, highest)
        optimiser.zero_grad()
        value = training.loss(
            augment(batch, recipe, generator).to(together.device()),
            training.labels[chosen[step]].to(together.device()),
            np.random.default_rng((recipe.seed, epoch, step)),
        )
        value.backward()
        optimiser.step()
        average.update()
        total += value.item()
        callbacks.step(f"epoch {epoch + 1}/{recipe.epochs}", step + 1, steps)
    model.eval()
    return together.average(total / steps)


def _line(entry: dict[str, float], epoch: int, recipe: Recipe, steps: int) -> str:
    """One line on an epoch, with its speed and the time that is left."""
    held_out = f"held-out {100 * entry['accuracy']:.2f} %, " if "accuracy" in entry else ""
    return (
        f"epoch {epoch + 1}/{recipe.epochs}: loss {entry['loss']:.4f}, {held_out}"
        f"{steps * recipe.batch / entry['seconds']:.0f} images/s, "
        f"{entry['seconds'] * (recipe.epochs - epoch - 1):.0f} s left"
    )


def _on_cpu(state: State) -> State:
    return {name: value.cpu() for name, value in state.items()}
